"""Whether k-points sample the Brillouin zone, or lie along a path for band structures.

A density of states is an average over the zone. Codes also write eigenvalues along lines, with weights that average to
nothing, and do not always say so.
"""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

# Rounded coordinates of one point differ by less, in units of the reciprocal lattice vectors.
_SAME = 2e-4
_LARGEST_MESH = 200  # points along one axis
_MOST_EQUIVALENT = 48  # points that the symmetry of a lattice and time reversal make equal
_WHOLE = 0.05  # how far a number of equivalent points may be from a whole one, with rounded weights
_FEWEST = 5  # points that could make up a path; fewer are special points
_STRAIGHT = 0.02  # sine of the angle between two steps on one line
_ON_LINES = 0.5  # part of all points with both neighbors on one line

# Coefficients of the planes on which lines of symmetry lie
_SMALL = np.array([c for c in itertools.product((-1, 0, 1, 2), repeat=3) if 0 < np.abs(c).sum() <= 3])


class Mesh(NamedTuple):
    """Points of a lattice, all of them or those that symmetry leaves.

    :param num_points: in the whole zone.
    """

    num_points: int


def check_zone(k_points: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Check that k-points sample the zone: a mesh, whole or reduced by symmetry, special points or random ones.

    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    :param weights: shape ``(num_k,)``, positive.
    :raises ValueError: for points along lines.
    """
    if len(k_points) < _FEWEST or find_mesh(k_points, weights) is not None:
        return
    share = share_on_lines(k_points)
    if share > _ON_LINES:
        raise ValueError(
            f"expected k-points that sample the Brillouin zone, got points along lines: {share:.0%} of {len(k_points)} "
            "k-points lie between two neighbors on a straight line, and they form no mesh"
        )


def find_mesh(k_points: NDArray[np.float64], weights: NDArray[np.float64]) -> Mesh | None:
    """The mesh that k-points belong to, ``None`` if there is none.

    The differences between points generate a lattice. It is the mesh if every point stands for a whole number of its
    points, at most 48, as its weight says; the points of a path have a fine lattice, and equal weights.

    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    :param weights: shape ``(num_k,)``, positive.
    """
    differences = k_points - k_points[0]
    sizes = [_denominator(differences[:, axis]) for axis in range(3)]
    if None in sizes:
        return None
    divisions = np.array(sizes, dtype=np.int64)
    steps = np.unique(np.round(differences * divisions).astype(np.int64) % divisions, axis=0)
    num_points = int(np.prod(divisions)) // _index_of_lattice(steps, divisions)
    equivalent = weights / weights.sum() * num_points
    is_whole = np.abs(equivalent - np.round(equivalent)) < _WHOLE
    if not (is_whole.all() and equivalent.min() > 0.5 and equivalent.max() < _MOST_EQUIVALENT + 0.5):
        return None
    return Mesh(num_points)


def share_on_lines(k_points: NDArray[np.float64]) -> float:
    """Part of the points that lie on lines.

    Either their two nearest neighbors are on one straight line with them, or they are themselves on a line of symmetry,
    such as (u, 0, 0) or (u, 2u, u), where the points of a coarse path are, but no random ones.

    :param k_points: fractional coordinates, shape ``(num_k, 3)``, at least three different ones.
    """
    points = np.unique(np.round(k_points, 6), axis=0)
    if len(points) < 3:
        return 0.0
    _, nearest = KDTree(points).query(points, k=3)
    first, second = points[nearest[:, 1]] - points, points[nearest[:, 2]] - points
    areas = np.linalg.norm(np.cross(first, second), axis=1)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    is_straight = areas < _STRAIGHT * lengths
    return float(np.mean(is_straight | _is_symmetric(points)))


def _is_symmetric(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points fulfil two independent equations ``c . k = m / 2`` with whole numbers c and m, c small."""
    doubled = 2.0 * points @ _SMALL.T
    fulfilled = np.abs(doubled - np.round(doubled)) < 4 * _SAME
    return np.array([np.linalg.matrix_rank(_SMALL[row]) >= 2 if row.any() else False for row in fulfilled])


def _denominator(differences: NDArray[np.float64]) -> int | None:
    """The smallest number that makes all differences whole, ``None`` if there is none."""
    for number in range(1, _LARGEST_MESH + 1):
        scaled = differences * number
        if (np.abs(scaled - np.round(scaled)) < _SAME * number).all():
            return number
    return None


def _index_of_lattice(vectors: NDArray[np.int64], divisions: NDArray[np.int64]) -> int:
    """Points of the grid of all divisions for each point of the lattice that vectors and whole periods generate.

    :param vectors: shape ``(num_vectors, 3)``, in steps of the divisions.
    :param divisions: steps in a period along each axis.
    """
    basis = np.diag(divisions)  # upper triangular throughout: row i begins at column i
    for vector in vectors:
        rest = vector.copy()
        for axis in range(3):
            while rest[axis]:  # Euclid's algorithm on whole rows
                basis[axis], rest = rest, basis[axis] - (basis[axis, axis] // rest[axis]) * rest
            # now the row at hand begins one column later
    return abs(int(np.prod(np.diag(basis))))
