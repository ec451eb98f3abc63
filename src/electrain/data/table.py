"""One row for every structure, with all that is needed to choose the axis and the split and to find duplicates."""

import hashlib
import math
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.cell import Cell
from numpy.typing import NDArray

from electrain.interface.quantities import BAND_GAP

from .calculation import Calculation
from .sampled_spectrum import SampledSpectrum
from .splits import PARTS, Identity, identity_of
from .targets import Sample
from .zone import find_mesh

# Coordinates that differ by less are taken to be the same, written with a different number of digits.
_SAME = 1e-3  # A
# Atoms of symmetric crystals sit at round numbers, so the edges of the bins must not.
_ODD = 0.3819660112501051


class Row(NamedTuple):
    """A structure that passed its own checks; energies are relative to the Fermi level, in eV.

    :param source: index of the file.
    :param frame: index of the frame in the file.
    :param identity: formula, elements and related structures.
    :param num_atoms: number of atoms.
    :param fingerprint: equal for equal structures.
    :param lowest: lowest state.
    :param highest: highest trusted energy.
    :param band_gap: band gap, NaN if unknown.
    :param num_electrons: number of electrons, NaN if unknown.
    :param spins: ``"unpolarised"``, ``"collinear"`` (both are summed) or ``"noncollinear"``.
    :param num_k: number of k-points, 0 if the source is a density of states.
    :param num_zone: number of points in the whole Brillouin zone that the k-points represent, as far as is known.
    :param num_bands: number of bands, 0 if the source is a density of states.
    :param known: names of its known quantities other than the density of states.
    :param code: DFT code and its version, ``""`` if unknown.
    :param has_unknown_smearing: whether it was given as a density of states with an unknown smearing.
    """

    source: int
    frame: int
    identity: Identity
    num_atoms: int
    fingerprint: str
    lowest: float
    highest: float
    band_gap: float
    num_electrons: float
    spins: str
    num_k: int
    num_zone: int
    num_bands: int
    known: tuple[str, ...]
    code: str
    has_unknown_smearing: bool

    @property
    def is_sampled(self) -> bool:
        """Whether it was given as a density of states, not as eigenvalues."""
        return self.num_k == 0


class Dropped(NamedTuple):
    """A frame that is left out, and why.

    :param source: index of the file.
    :param frame: index of the frame in the file.
    :param reason: what was expected and what was found.
    """

    source: int
    frame: int
    reason: str


def make_row(source: int, frame: int, calculation: Calculation | SampledSpectrum, sample: Sample) -> Row:
    """Summarise a calculation."""
    if isinstance(calculation, SampledSpectrum):
        num_k, num_zone, num_bands, num_electrons = 0, 0, 0, calculation.num_electrons
        spins = "collinear" if len(calculation.values) == 2 else "unpolarised"
    else:
        _, num_k, num_bands = calculation.eigenvalues.shape
        mesh = None if calculation.k_points is None else find_mesh(calculation.k_points, calculation.weights)
        num_zone = num_k if mesh is None else mesh.num_points
        spins, num_electrons = calculation.spin_treatment, calculation.num_electrons
    return Row(
        source=source,
        frame=frame,
        identity=identity_of(calculation.atoms),
        num_atoms=len(calculation.atoms),
        fingerprint=fingerprint(calculation.atoms),
        lowest=sample.spectrum.lowest,
        highest=sample.spectrum.highest,
        band_gap=float(sample.values[BAND_GAP]),
        num_electrons=math.nan if num_electrons is None else num_electrons,
        spins=spins,
        num_k=num_k,
        num_zone=num_zone,
        num_bands=num_bands,
        known=tuple(name for name, values in sample.values.items() if np.isfinite(values).all()),
        code=calculation.code,
        has_unknown_smearing=isinstance(calculation, SampledSpectrum) and calculation.smearing is None,
    )


def row_from_list(values: Sequence[Any]) -> Row:
    """Restore a row from JSON, which has only lists."""
    source, frame, (formula, elements, subset, parent, name, part) = values[:3]
    identity = Identity(
        formula=sys.intern(formula),
        elements=tuple(map(sys.intern, elements)),
        subset=sys.intern(subset),
        parent=None if parent is None else sys.intern(parent),
        name=name,
        part=None if part is None else sys.intern(part),
    )
    *numbers, known, code, smearing = values[3:]
    return Row._make([source, frame, identity, *numbers, tuple(map(sys.intern, known)), sys.intern(code), smearing])


def fingerprint(atoms: Atoms) -> str:
    """Hash of elements, cell and positions, which is the same for structures that agree to 1e-3 A.

    It does not depend on the order of the atoms or on the periodic image of each. It depends on the origin, the
    orientation and the choice of the cell, so it finds copies of a calculation, not equivalent structures.
    """
    cell = Cell(atoms.cell[:] * atoms.pbc[:, None])
    complete = cell.complete()  # unit vectors in the open directions
    coordinates = np.linalg.solve(complete[:].T, atoms.positions.T).T
    coordinates = np.where(atoms.pbc, np.mod(coordinates + _ODD * _SAME, 1.0), coordinates)
    places = _bins(coordinates * complete.lengths())
    rows = np.column_stack([atoms.numbers.astype(np.int64), places])
    rows = rows[np.lexsort(rows.T[::-1])]
    parts = (atoms.pbc.astype(np.int64), _bins(cell[:]), rows)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:32]


def _bins(lengths: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(lengths / _SAME + _ODD).astype(np.int64)


def duplicates(rows: Sequence[Row], *, split_is_given: bool = False) -> dict[int, int]:
    """Rows that duplicate the structure of another row, with the row that is kept: indices to indices.

    Of equal structures the one that samples the Brillouin zone best is kept, of these the most complete one, then the
    one that is trusted to the highest energy, and the first of several. With a given split, one in the test set is
    preferred, then one in the validation set, because a structure in the training set tests nothing.
    """
    copies: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        copies.setdefault(row.fingerprint, []).append(index)
    found: dict[int, int] = {}
    for indices in copies.values():
        original = max(indices, key=lambda index: _rank(rows[index], split_is_given))  # the first of several
        found.update((index, original) for index in indices if index != original)
    return found


def _rank(row: Row, split_is_given: bool) -> tuple[int, bool, int, int, float]:
    """Part of a given split, eigenvalues or not, points in the zone, known quantities and electrons, trusted range."""
    part = PARTS.index(row.identity.part) if split_is_given and row.identity.part in PARTS else 0
    return part, not row.is_sampled, row.num_zone, len(row.known) + math.isfinite(row.num_electrons), row.highest
