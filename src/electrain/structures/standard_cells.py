"""Standardised primitive cells of crystals, to which k-points refer."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from spglib import get_symmetry_dataset

from .checks import check_structure

if TYPE_CHECKING:
    from pymatgen.core import Structure

SYMMETRY_TOLERANCE = 0.01  # A, pymatgen's default
# spglib's own, which follows from the one in A; pymatgen's 5 degrees make strained crystals cubic
ANGLE_TOLERANCE = -1.0
_LENGTH_TOLERANCE = 1e-3  # A, below which two cells count as the same
_POSITION_TOLERANCE = 1e-6  # fractional, for the order of atoms
_INTENSITY_TOLERANCE = 1e-6  # of that of all atoms in phase
_MAX_INDEX = 3  # of planes whose intensities choose a setting


class StandardCell(NamedTuple):
    """A crystal in its standardised primitive cell.

    :param atoms: the crystal; lengths in A.
    :param changes: how it differs from what was given, for people; empty if it does not.
    """

    atoms: Atoms
    changes: str


def standard_cell(atoms: Atoms) -> StandardCell:
    """Bring a crystal into pymatgen's standardised primitive cell (``get_primitive_standard_structure``).

    The same crystal always gets the same lattice vectors, whatever the cell, the orientation and the order of the atoms
    are, so that fractional coordinates of k-points mean the same everywhere. Positions become exactly symmetric; atoms
    move by up to 0.01 A, the tolerance in the search for symmetries.

    :param atoms: a crystal, periodic in three directions.
    :raises ImportError: if pymatgen is not installed.
    :raises ValueError: for a molecule, a polymer or a slab, for an impossible structure, or if no symmetry is found.
    """
    check_crystal(atoms)
    with quiet():
        try:
            from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
        except ImportError as error:
            raise ImportError(
                "standardised cells and k-paths need pymatgen: pip install electrain[pymatgen]"
            ) from error
        try:
            analyzer = SpacegroupAnalyzer(to_structure(atoms), SYMMETRY_TOLERANCE, ANGLE_TOLERANCE)
            found = analyzer.get_primitive_standard_structure()
        except Exception as error:  # spglib and pymatgen have a dozen kinds for a failed search
            raise ValueError(
                f"no symmetry was found for {atoms.get_chemical_formula()}, not even translations, with a tolerance of "
                f"{SYMMETRY_TOLERANCE} A: {error}"
            ) from error
    standard = Atoms(found.atomic_numbers, scaled_positions=found.frac_coords, cell=found.lattice.matrix, pbc=True)
    standard.set_scaled_positions(standard.get_scaled_positions() @ _setting(standard).T)
    standard.wrap(eps=_POSITION_TOLERANCE)
    rounded = np.round(standard.get_scaled_positions() / _POSITION_TOLERANCE)
    standard = standard[np.lexsort((*rounded.T[::-1], standard.numbers))]
    return StandardCell(standard, _changes(atoms, standard))


def check_crystal(atoms: Atoms) -> None:
    """Raise a ``ValueError`` for a structure that is impossible or no crystal, with what to do instead.

    Slabs are refused: nothing defines where the third reciprocal vector of a layer ends, nor do models see layers in
    training, so that a path in the plane would look like an answer without being one.
    """
    check_structure(atoms)
    num_periodic = int(np.sum(atoms.pbc))
    if num_periodic < 3:
        kind = ("a molecule", "a chain", "a slab")[num_periodic]
        raise ValueError(
            f"expected a crystal, periodic in three directions, got {kind}, {atoms.get_chemical_formula()}, periodic "
            f"in {num_periodic or 'none'}: paths of k-points and bands are those of bulk crystals; if it is one, set "
            "atoms.pbc = True"
        )


def to_structure(atoms: Atoms) -> "Structure":
    """Return pymatgen's structure without magnetic moments and charges, which would lower the symmetry of paths."""
    from pymatgen.core import Structure

    return Structure(atoms.cell[:], atoms.numbers, atoms.get_scaled_positions())


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings of pymatgen and spglib, which are about how they call each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def laue_group(atoms: Atoms) -> NDArray[np.int64]:
    """Rotations of a crystal and their products with the inversion, which time reversal adds for k-points.

    :return: integer matrices of fractional coordinates of positions, shape ``(num_operations, 3, 3)``.
    """
    return _with_inversion(_rotations(atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers))


def _rotations(cell: NDArray[np.float64], positions: NDArray[np.float64], numbers: NDArray[np.int64]) -> Any:
    with quiet():
        found = get_symmetry_dataset((cell, positions, numbers), SYMMETRY_TOLERANCE)
    return np.eye(3, dtype=int)[None] if found is None else found.rotations


def _with_inversion(rotations: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(np.concatenate([rotations, -rotations]), axis=0)


def _setting(atoms: Atoms) -> NDArray[np.int64]:
    r"""Rotation of the lattice that brings a crystal into the one setting that is chosen from several.

    If the lattice has more symmetry than the crystal, the same crystal can be put into the same cell in several ways,
    as quartz can be rotated by 60 degrees. Chosen is the way whose first intensities, :math:`|\sum_j Z_j \exp(2 \pi
    i\, h \cdot x_j)|^2`, are the largest; they depend neither on the origin nor on the order of the atoms.

    :return: a proper rotation as an integer matrix of fractional coordinates.
    """
    laue = laue_group(atoms)
    lattice = _with_inversion(_rotations(atoms.cell[:], np.zeros((1, 3)), np.array([1])))
    candidates = np.array([matrix for matrix in lattice if round(np.linalg.det(matrix)) == 1])
    if len(lattice) == len(laue):
        return np.eye(3, dtype=int)
    indices = np.stack(np.meshgrid(*[np.arange(_MAX_INDEX, -_MAX_INDEX - 1, -1)] * 3, indexing="ij"), axis=-1)
    indices = indices.reshape(-1, 3)
    indices = indices[np.argsort(np.abs(indices).sum(axis=1), kind="stable")]
    phases = (indices @ candidates) @ atoms.get_scaled_positions().T  # (candidate, index, atom)
    intensities = np.abs(np.exp(2j * np.pi * phases) @ atoms.numbers) ** 2
    tolerance = _INTENSITY_TOLERANCE * float(atoms.numbers.sum()) ** 2
    left = np.arange(len(candidates))
    for column in intensities.T:
        left = left[column[left] >= column[left].max() - tolerance]
    return candidates[left[0]]


def _changes(given: Atoms, standard: Atoms) -> str:
    if len(given) != len(standard):
        times = len(given) / len(standard)
        return f"the given cell of {len(given)} atoms holds {times:g} primitive cells of {len(standard)}"
    if np.allclose(given.cell[:], standard.cell[:], atol=_LENGTH_TOLERANCE):
        return ""
    metrics = given.cell[:] @ given.cell[:].T, standard.cell[:] @ standard.cell[:].T
    size = float(np.max(standard.cell.lengths()))
    if np.allclose(*metrics, atol=2 * size * _LENGTH_TOLERANCE):
        return "the given crystal was rotated"
    return "the given cell is primitive with other lattice vectors"
