"""High-symmetry points and lines of the Brillouin zone, as Latimer and Munro choose them."""

import math
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.structures.standard_cells import laue_group, quiet

_SAME_POINT = 1e-4  # of the longest reciprocal vector
_ROUNDING = 1e-5  # of fractional coordinates
_GENERIC = (
    math.e / math.pi
)  # where a line is probed for its symmetry: no rational number, so that no other line meets it

Line = tuple[int, int]


class SymmetryLines(NamedTuple):
    """One representative of each high-symmetry line.

    :param points: fractional coordinates, shape ``(num_points, 3)``; the first one is the center of the zone.
    :param orbits: for each point a number that symmetry-equivalent points share.
    :param lines: pairs of indices of points.
    """

    points: NDArray[np.float64]
    orbits: list[int]
    lines: list[Line]


def symmetry_lines(atoms: Atoms) -> SymmetryLines:
    """Find the lines of Latimer and Munro (npj Comput. Mater. 6, 112, 2020) in the Brillouin zone of a crystal.

    Candidates connect the center of the zone, the centers of its faces, the centers of its edges and its vertices.
    Taken are those whose points are left where they are, up to a reciprocal vector, by more than the identity; time
    reversal counts as an inversion. Points with an inversion or a rotation on none of them are connected to the center.

    The rules are those of pymatgen's ``KPathLatimerMunro``. From lines that are equivalent by symmetry, however, the
    one that meets most of the lines chosen before is taken, then the closest to them, so that the same crystal has the
    same path. (pymatgen's depends on the orientation: of Bi2Te3, it has 12 lines or 13.)

    :param atoms: a crystal in its standardised cell.
    :raises ImportError: if pymatgen is not installed.
    """
    points, candidates = _candidates(atoms)
    # Positions transform with x -> W x, so k-points, as rows, with k -> k W, where all W make a group.
    operations = laue_group(atoms)
    stars = _stars(points, operations)
    along = np.array([[_between(points, line), _between(points, line[::-1])] for line in candidates])
    keys = [min(_stars(both, operations)) for both in along]
    taken = {key for key, both in zip(keys, along, strict=True) if _fixing(both[0], operations).sum() > 1}
    on_lines = {stars[end] for key, line in zip(keys, candidates, strict=True) if key in taken for end in line}
    for star in sorted(set(stars) - on_lines - {stars[0]}):
        first = stars.index(star)
        if _has_center_or_axis(operations[_fixing(points[first], operations)]):
            taken.add(keys[candidates.index((0, first))])
    orbits: dict[tuple[int, ...], list[Line]] = {key: [] for key in sorted(taken)}
    for key, line in zip(keys, candidates, strict=True):
        if key in taken:
            orbits[key].append(line)
    lines = _compact(list(orbits.values()), points, atoms)
    used = [0, *sorted({end for line in lines for end in line} - {0}, key=lambda point: _order(points[point]))]
    numbers = {star: number for number, star in enumerate(dict.fromkeys(stars[point] for point in used))}
    renamed = [(used.index(first), used.index(second)) for first, second in lines]
    return SymmetryLines(points[used], [numbers[stars[point]] for point in used], renamed)


def equivalent(points: NDArray[np.float64], other: NDArray[np.float64], atoms: Atoms) -> NDArray[np.int64]:
    """Whether k-points are mapped to another one by the symmetry of a crystal.

    :return: for each point 2 if rotations and time reversal are enough, 1 if a reciprocal vector is needed, or 0.
    """
    images = other @ laue_group(atoms)
    distances = np.linalg.norm(points[:, None] - images, axis=-1).min(axis=1)
    folded = np.linalg.norm((points[:, None] - images + 0.5) % 1.0 - 0.5, axis=-1).min(axis=1)
    return (distances < _SAME_POINT).astype(int) + (folded < _SAME_POINT)


def _candidates(atoms: Atoms) -> tuple[NDArray[np.float64], list[Line]]:
    """Fractional coordinates of the center, faces, edges and vertices of the zone, and the lines between neighbors."""
    from pymatgen.core import Lattice

    reciprocal = atoms.cell.reciprocal()[:]
    with quiet():
        # The zone does not depend on the lattice vectors, but pymatgen finds it with short ones only.
        facets = Lattice(reciprocal).get_lll_reduced_lattice().get_wigner_seitz_cell()
    tolerance = _SAME_POINT * float(np.linalg.norm(reciprocal, axis=1).max())
    points: list[NDArray[np.float64]] = [np.zeros(3)]

    def number(point: NDArray[np.float64]) -> int:
        for index, known in enumerate(points):
            if np.linalg.norm(known - point) < tolerance:
                return index
        points.append(point)
        return len(points) - 1

    lines: dict[Line, None] = {}
    # Centers come first, exactly half a reciprocal vector: vertices of facets as thin as round-off merge with them.
    centers = [number(np.round(2.0 * np.mean(facet, axis=0) @ atoms.cell[:].T) / 2.0 @ reciprocal) for facet in facets]
    for facet, center in zip(facets, centers, strict=True):
        vertices = list(dict.fromkeys(number(np.asarray(vertex)) for vertex in facet))
        pairs = [(0, center)]
        for first, second in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
            middle = number(0.5 * (points[first] + points[second]))
            pairs += [(first, middle), (middle, second), (center, middle), (center, first), (0, middle), (0, first)]
        lines |= {(min(pair), max(pair)): None for pair in pairs if pair[0] != pair[1]}
    return np.array(points) @ atoms.cell[:].T, list(lines)


def _between(points: NDArray[np.float64], line: Line) -> NDArray[np.float64]:
    first, second = points[line[0]], points[line[1]]
    return np.asarray(first + _GENERIC * (second - first))


def _rounded(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Integers that are the same for points that differ by a reciprocal vector."""
    return np.round(points / _ROUNDING).astype(np.int64) % round(1 / _ROUNDING)


def _stars(points: NDArray[np.float64], operations: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """For each point something that only equivalent points share: the first of its images."""
    images = _rounded(np.einsum("pi,oij->poj", points, operations))
    return [min(map(tuple, of_point.tolist())) for of_point in images]


def _fixing(point: NDArray[np.float64], operations: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which operations leave a point where it is, up to a reciprocal vector."""
    return np.asarray((_rounded(point @ operations) == _rounded(point)).all(axis=1))


def _has_center_or_axis(operations: NDArray[np.int64]) -> bool:
    identity = np.eye(3, dtype=int)
    return any(
        (matrix == -identity).all()
        or (round(np.linalg.det(matrix)) == 1 and (np.linalg.matrix_power(matrix, 3) != identity).any())
        for matrix in operations
        if (matrix != identity).any()
    )


def _order(point: NDArray[np.float64]) -> tuple[int, ...]:
    """Where a point comes in an order that prefers positive coordinates, then large ones at the front."""
    rounded = np.round(point / _ROUNDING).astype(int)
    return (int((rounded < 0).sum()), *(-rounded).tolist())


def _compact(orbits: list[list[Line]], points: NDArray[np.float64], atoms: Atoms) -> list[Line]:
    """One line of each orbit, as close together as possible."""
    cartesian = points @ atoms.cell.reciprocal()[:]
    size = float(np.linalg.norm(cartesian, axis=1).max())
    chosen: list[Line] = []
    nodes = [0]

    def rank(line: Line) -> tuple[int, ...]:
        new = [end for end in line if end not in nodes]
        away = sum(float(np.linalg.norm(cartesian[end] - cartesian[node])) for end in new for node in nodes)
        ends = sorted(_order(points[end]) for end in line)
        return (len(new), round(away / size / _SAME_POINT), *ends[0], *ends[1])

    while orbits:
        best, which = min((rank(line), index) for index, orbit in enumerate(orbits) for line in orbit)
        line = next(line for line in orbits[which] if rank(line) == best)
        chosen.append(line)
        nodes += [end for end in line if end not in nodes]
        orbits = [orbit for index, orbit in enumerate(orbits) if index != which]
    return chosen
