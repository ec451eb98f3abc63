"""Check whether k-points sample the Brillouin zone, or lie on a path of a band structure.

A density of states is an average over the zone. DFT codes also write eigenvalues along lines, with weights that give no
meaningful average, and do not always say so.
"""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

# For messages about paths
FOR_BANDS = "; for bands along a path, use electrain prepare --bands"
# Rounded coordinates of the same point differ by less than this, in units of the reciprocal lattice vectors.
_SAME = 2e-4
_LARGEST_MESH = 200  # points along one axis
_MOST_EQUIVALENT = 48  # points that are equivalent by lattice symmetry and time reversal
_WHOLE = 0.05  # how far a number of equivalent points may be from an integer, with rounded weights
_FEWEST = 5  # smallest number of points in a path; fewer are special points
_STRAIGHT = 0.02  # sine of the angle between two steps on one line
_ON_LINES = 0.5  # fraction of all points that lie on a line with both neighbors

# Coefficients of the planes on which lines of symmetry lie
_SMALL = np.array([c for c in itertools.product((-1, 0, 1, 2), repeat=3) if 0 < np.abs(c).sum() <= 3])


class Mesh(NamedTuple):
    """A mesh of k-points, complete or reduced by symmetry.

    :param num_points: number of points in the whole zone.
    """

    num_points: int


def check_zone(k_points: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Check that k-points sample the zone: a mesh, complete or reduced by symmetry, special points or random points.

    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    :param weights: positive weights, shape ``(num_k,)``.
    :raises ValueError: for points along lines.
    """
    if len(k_points) < _FEWEST or find_mesh(k_points, weights) is not None:
        return
    share = share_on_lines(k_points)
    if share > _ON_LINES:
        raise ValueError(
            f"expected k-points that sample the Brillouin zone, got points along lines: {share:.0%} of {len(k_points)} "
            f"k-points lie between two neighbors on a straight line, and they form no mesh{FOR_BANDS}"
        )


def find_mesh(k_points: NDArray[np.float64], weights: NDArray[np.float64]) -> Mesh | None:
    """Find the mesh of the k-points; ``None`` if there is none.

    The differences between points generate a lattice, which is the mesh if, by its weight, every point represents
    an integer number of lattice points, at most 48; the points of a path have a fine lattice and equal weights.

    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    :param weights: positive weights, shape ``(num_k,)``.
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
    """Return the fraction of points that lie on lines.

    These are points on a straight line with their two nearest neighbors, or on a line of symmetry, e.g. (u, 0, 0) or
    (u, 2u, u), which contains the points of a coarse path, but no random points.

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
    """Whether points satisfy two independent equations ``c . k = m / 2`` with integers c and m, c small."""
    doubled = 2.0 * points @ _SMALL.T
    fulfilled = np.abs(doubled - np.round(doubled)) < 4 * _SAME
    return np.array([np.linalg.matrix_rank(_SMALL[row]) >= 2 if row.any() else False for row in fulfilled])


def _denominator(differences: NDArray[np.float64]) -> int | None:
    """Smallest number that makes all differences integers when multiplied by it; ``None`` if there is none."""
    for number in range(1, _LARGEST_MESH + 1):
        scaled = differences * number
        if (np.abs(scaled - np.round(scaled)) < _SAME * number).all():
            return number
    return None


def _index_of_lattice(vectors: NDArray[np.int64], divisions: NDArray[np.int64]) -> int:
    """Number of points on the grid of all divisions per point of the lattice generated by the vectors and the periods.

    :param vectors: shape ``(num_vectors, 3)``, in steps of the divisions.
    :param divisions: number of steps in a period along each axis.
    """
    basis = np.diag(divisions)  # always upper triangular: row i starts at column i
    for vector in vectors:
        rest = vector.copy()
        for axis in range(3):
            while rest[axis]:  # Euclid's algorithm on rows
                basis[axis], rest = rest, basis[axis] - (basis[axis, axis] // rest[axis]) * rest
            # now the current row starts one column later
    return abs(int(np.prod(np.diag(basis))))
