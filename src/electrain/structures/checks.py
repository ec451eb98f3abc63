"""Atomic structures: checks before anything is computed, and the conversion for metatomic."""

from collections.abc import Collection

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import complete_cell
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

MIN_DISTANCE = 0.4  # A; the shortest bond there is, H-H, measures 0.74 A
# Beyond what anybody computes, and within what neighbour lists can be built of in little time and memory.
_MAX_EXTENT = 1000.0  # A
_MIN_HEIGHT = 0.05  # A, between the faces of a cell; high indices make thin ones
_MIN_VOLUME = MIN_DISTANCE**3 / 2**0.5  # A^3 per atom, of the densest packing of spheres


def check_structure(atoms: Atoms) -> None:
    """Check that a structure can be real: atoms, finite numbers, a cell, and no two atoms in one place.

    :param atoms: lengths in A; neighbours across periodic boundaries count.
    :raises ValueError: saying what was expected, what came and which atom.
    """
    if len(atoms) == 0:
        raise ValueError("expected at least one atom, got an empty structure")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise ValueError(f"expected finite positions, got {atoms.positions[bad[0]]} for atom {bad[0]}")
    if not np.isfinite(atoms.cell[:]).all():
        raise ValueError("expected a finite cell, got NaN or infinity")
    periodic = atoms.cell[atoms.pbc]
    if np.linalg.matrix_rank(periodic) < len(periodic):
        directions = [axis for axis, is_periodic in zip("abc", atoms.pbc, strict=True) if is_periodic]
        raise ValueError(
            f"expected independent cell vectors in the periodic directions {', '.join(directions)}, "
            f"got {periodic.tolist()}"
        )
    _check_elements(atoms)
    _check_extents(atoms)
    _check_occupancies(atoms)
    _check_distances(atoms)


def _check_elements(atoms: Atoms) -> None:
    bad = np.flatnonzero((atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols)))
    if len(bad):
        raise ValueError(f"expected chemical elements, got atomic number {atoms.numbers[bad[0]]} for atom {bad[0]}")


def _check_extents(atoms: Atoms) -> None:
    periodic = atoms.cell[atoms.pbc]
    extents = {
        "cell vectors": np.linalg.norm(periodic, axis=1),
        # in periodic directions atoms are in the cell, whatever image of it their positions are in
        "atoms": np.ptp(_coordinates(atoms)[:, ~atoms.pbc], axis=0),
    }
    for what, lengths in extents.items():
        if (lengths > _MAX_EXTENT).any():
            raise ValueError(
                f"expected {what} that reach over at most {_MAX_EXTENT:g} A, got {lengths.max():g} A: wrong units?"
            )
    volume = abs(np.linalg.det(periodic)) / len(atoms) if len(periodic) == 3 else np.inf
    if volume < _MIN_VOLUME:
        raise ValueError(f"expected at least {_MIN_VOLUME:.3f} A^3 per atom, got {volume:g} A^3: wrong units?")
    # Columns of the pseudo-inverse are normal to the faces, as long as one over the height.
    heights = 1 / np.linalg.norm(np.linalg.pinv(periodic), axis=0)
    if (heights < _MIN_HEIGHT).any():
        raise ValueError(f"expected a cell at least {_MIN_HEIGHT:g} A thick, got {heights.min():g} A: wrong units?")


def _check_occupancies(atoms: Atoms) -> None:
    """ASE reads a disordered site as its most abundant element and keeps the shares beside it."""
    for site, shares in atoms.info.get("occupancy", {}).items():
        if len(shares) != 1 or abs(next(iter(shares.values())) - 1) > 1e-3:
            occupied = ", ".join(f"{symbol} {share:g}" for symbol, share in shares.items())
            raise ValueError(
                f"expected every site fully occupied by one element, got {occupied} at site {site}: "
                "make an ordered structure of it first"
            )


def _complete_cell(atoms: Atoms) -> NDArray[np.float64]:
    """Cell with unit vectors, normal to all others, in the open directions."""
    cell: NDArray[np.float64] = complete_cell(atoms.cell[:] * atoms.pbc[:, None])
    return cell


def _coordinates(atoms: Atoms) -> NDArray[np.float64]:
    """Positions in units of the complete cell, shape ``(num_atoms, 3)``; in A along open directions."""
    return np.linalg.solve(_complete_cell(atoms).T, atoms.positions.T).T


def _boxed(atoms: Atoms) -> Atoms:
    """The same atoms in a cell around them, by which ASE sorts them; without one it compares all with all."""
    cell, coordinates, is_open = _complete_cell(atoms), _coordinates(atoms), ~atoms.pbc
    positions = atoms.positions - np.where(is_open, coordinates.min(axis=0), 0.0) @ cell
    cell[is_open] *= np.maximum(np.ptp(coordinates, axis=0), 1.0)[is_open, None]
    return Atoms(atoms.numbers, positions=positions, cell=cell, pbc=atoms.pbc)


def _check_distances(atoms: Atoms) -> None:
    # ASE's list: with a cutoff this short, vesin needs seconds for slabs and dies of some long cells.
    first, second, distances = neighbor_list("ijd", _boxed(atoms), MIN_DISTANCE)
    if len(distances) == 0:
        return
    closest = int(np.argmin(distances))
    i, j = int(first[closest]), int(second[closest])
    names = f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) are"
    if i == j:
        names = f"atom {i} ({atoms.symbols[i]}) and its own periodic image are"
    raise ValueError(
        f"{names} {distances[closest]:.3f} A apart, expected at least {MIN_DISTANCE:g} A: atoms on top of each other"
    )


def check_elements(atoms: Atoms, known_numbers: Collection[int]) -> None:
    """Check that a model knows all elements of a structure.

    :param known_numbers: atomic numbers of the known elements.
    :raises ValueError: naming the unknown elements and the known ones.
    """
    unknown = sorted(set(atoms.numbers.tolist()) - set(known_numbers))
    if unknown:
        names = " ".join(chemical_symbols[number] for number in unknown)
        known = " ".join(chemical_symbols[number] for number in sorted(known_numbers))
        raise ValueError(f"the model does not know {names}; it knows the elements {known}")


def formula_of(atoms: Atoms) -> str:
    """Chemical formula with as many atoms as the structure has, metals first: ``"NaCl"``, ``"Si2"``."""
    return str(atoms.get_chemical_formula(mode="metal"))
