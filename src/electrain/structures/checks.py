"""Checks of atomic structures before any computation."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import complete_cell, minkowski_reduce
from numpy.typing import NDArray
from scipy.spatial import KDTree

MIN_DISTANCE = 0.4  # A; the shortest bond, H-H, is 0.74 A long
# Larger than anything people compute, and small enough for neighbor lists that take little time and memory.
_MAX_EXTENT = 1000.0  # A
_MIN_HEIGHT = 0.05  # A, between the faces of a cell; high Miller indices make thin cells
_MIN_VOLUME = MIN_DISTANCE**3 / 2**0.5  # A^3 per atom, in the densest packing of spheres


def check_structure(atoms: Atoms) -> None:
    """Check that a structure is physically possible: atoms, finite numbers, a cell, and no atoms on top of each other.

    This takes 0.3 ms for a hundred atoms, and scales linearly with their number.

    :param atoms: lengths in A; neighbors across periodic boundaries are included.
    :raises ValueError: with what was expected, what was found, and for which atom.
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
    _check_numbers(atoms)
    lattice = _Lattice.of(atoms)
    coordinates = atoms.positions @ lattice.inverse
    _check_extents(lattice, coordinates)
    _check_occupancies(atoms)
    _check_distances(atoms, lattice, coordinates)


class _Lattice(NamedTuple):
    """Cell of a structure, with unit vectors normal to all others in the open directions.

    :param cell: vectors as rows, in A; shape ``(3, 3)``.
    :param inverse: inverse of the cell: positions times this matrix are fractional coordinates, or coordinates in A in
        the open directions.
    :param heights: distances between opposite faces, in A; infinite in open directions; shape ``(3,)``.
    :param pbc: which vectors are periodic.
    """

    cell: NDArray[np.float64]
    inverse: NDArray[np.float64]
    heights: NDArray[np.float64]
    pbc: NDArray[np.bool_]

    @classmethod
    def of(cls, atoms: Atoms) -> "_Lattice":
        return cls.make(complete_cell(atoms.cell[:] * atoms.pbc[:, None]), atoms.pbc)

    @classmethod
    def make(cls, cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> "_Lattice":
        inverse = np.asarray(np.linalg.inv(cell), dtype=np.float64)
        # Columns of the inverse are normal to the faces, with a length of one over the height.
        heights = (inverse**2).sum(axis=0) ** -0.5
        return cls(cell, inverse, np.where(pbc, heights, np.inf), pbc)

    def reduced(self) -> "_Lattice":
        """The same lattice with its shortest vectors, so that the cell is about as thick as the shortest is long."""
        return self.make(np.asarray(minkowski_reduce(self.cell, self.pbc)[0]), self.pbc)


def _check_numbers(atoms: Atoms) -> None:
    bad = np.flatnonzero((atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols)))
    if len(bad):
        raise ValueError(f"expected chemical elements, got atomic number {atoms.numbers[bad[0]]} for atom {bad[0]}")


def _check_extents(lattice: _Lattice, coordinates: NDArray[np.float64]) -> None:
    periodic = lattice.cell[lattice.pbc]
    extents = {
        "cell vectors": np.linalg.norm(periodic, axis=1),
        # in periodic directions atoms are in the cell, whichever image their positions are in
        "atoms": np.ptp(coordinates[:, ~lattice.pbc], axis=0),
    }
    for what, lengths in extents.items():
        if (lengths > _MAX_EXTENT).any():
            raise ValueError(
                f"expected {what} that extend over at most {_MAX_EXTENT:g} A, got {lengths.max():g} A: wrong units?"
            )
    volume = abs(np.linalg.det(periodic)) / len(coordinates) if len(periodic) == 3 else np.inf
    if volume < _MIN_VOLUME:
        raise ValueError(f"expected at least {_MIN_VOLUME:.3f} A^3 per atom, got {volume:g} A^3: wrong units?")
    thickness = lattice.heights.min()
    if thickness < _MIN_HEIGHT:
        raise ValueError(f"expected a cell at least {_MIN_HEIGHT:g} A thick, got {thickness:g} A: wrong units?")


def _check_occupancies(atoms: Atoms) -> None:
    """Refuse disordered sites, which ASE reads as their most abundant element, with the occupancies in ``info``."""
    for site, shares in atoms.info.get("occupancy", {}).items():
        if len(shares) != 1 or abs(next(iter(shares.values())) - 1) > 1e-3:
            occupied = ", ".join(f"{symbol} {share:g}" for symbol, share in shares.items())
            raise ValueError(
                f"expected every site fully occupied by one element, got {occupied} at site {site}: "
                "convert it to an ordered structure first"
            )


def _check_distances(atoms: Atoms, lattice: _Lattice, coordinates: NDArray[np.float64]) -> None:
    if lattice.heights.min() < MIN_DISTANCE:
        # In a thin cell, images many cells away may be close. In the reduced cell only those one or two cells away are.
        lattice = lattice.reduced()
        coordinates = atoms.positions @ lattice.inverse
        shortest = np.linalg.norm(lattice.cell[lattice.pbc], axis=1).min()
        if shortest < MIN_DISTANCE:
            raise _too_close(atoms, 0, 0, shortest)
    coordinates, owners = _with_near_images(coordinates, lattice)
    points = coordinates @ lattice.cell
    # Not with vesin: with a cutoff this short, it takes seconds for slabs and crashes for some long cells.
    distances, neighbours = KDTree(points).query(points[: len(atoms)], k=2, distance_upper_bound=MIN_DISTANCE)
    nearest = distances[:, 1]  # column 0 is the atom itself; infinite if there is no neighbor
    closest = nearest.min()
    if closest < MIN_DISTANCE:
        first = int(np.argmax(nearest <= closest + 1e-9))  # the first atom, however equal distances are rounded
        second = next(int(point) for point in neighbours[first] if point != first)
        raise _too_close(atoms, first, int(owners[second]), closest)


def _with_near_images(
    coordinates: NDArray[np.float64], lattice: _Lattice
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Atoms in the cell, followed by all images within ``MIN_DISTANCE`` of the cell.

    :return: coordinates, and the index of the atom of which each is an image.
    """
    coordinates = np.where(lattice.pbc, coordinates - np.floor(coordinates), coordinates)
    owners = np.arange(len(coordinates))
    for axis in np.flatnonzero(lattice.pbc):
        margin = MIN_DISTANCE / lattice.heights[axis] + 1e-9
        reach = int(np.ceil(margin))
        images, their_owners = [], []
        for shift in sorted(range(-reach, reach + 1), key=abs):  # zero first, so that atoms precede their images
            shifted = coordinates + shift * np.eye(3)[axis]
            is_near = (shifted[:, axis] > -margin) & (shifted[:, axis] < 1 + margin)
            images.append(shifted[is_near])
            their_owners.append(owners[is_near])
        coordinates, owners = np.concatenate(images), np.concatenate(their_owners)
    return coordinates, owners


def _too_close(atoms: Atoms, i: int, j: int, distance: float) -> ValueError:
    names = f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) are"
    if i == j:
        names = f"atom {i} ({atoms.symbols[i]}) and its own periodic image are"
    return ValueError(
        f"{names} {distance:.3f} A apart, expected at least {MIN_DISTANCE:g} A: atoms on top of each other"
    )


def check_known_elements(atoms: Atoms, known_numbers: Collection[int]) -> None:
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
    """Return the chemical formula, not reduced, with metals first: ``"NaCl"``, ``"Si2"``."""
    return str(atoms.get_chemical_formula(mode="metal"))
