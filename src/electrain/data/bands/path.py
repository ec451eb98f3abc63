"""Check that k-points lie along a path, in the order of the path, and that their coordinates are fractional."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

# Paths of calculations end within one reciprocal vector of the origin or little beyond.
_LARGEST = 2.0
_PARALLEL = 1e-3  # largest difference of the directions of two steps on one line, as unit vectors
_ON_LINES = 0.5  # fraction of the inner points that lie on a line with the ones before and after
_MANY = 3  # lines with the same direction: from here on, more than half of all make a mesh


def check_path(k_points: NDArray[np.float64]) -> None:
    """Check that k-points follow lines, as those of a mesh or random ones do not.

    Rows of a mesh are lines, too, but most of them have the same direction.

    :param k_points: fractional coordinates in the order of the calculation, no two consecutive ones the same, shape
        ``(num_k, 3)``.
    :raises ValueError: for coordinates that cannot be fractional, fewer than three points, and no path.
    """
    if not np.isfinite(k_points).all():
        raise ValueError("expected finite coordinates of k-points, got NaN or infinity")
    largest = float(np.abs(k_points).max(initial=0.0))
    if largest > _LARGEST:
        raise ValueError(
            f"expected fractional coordinates of k-points, of at most {_LARGEST:g} in size, got {largest:.4g}: "
            "are they Cartesian, in 1/A or in units of 2 pi/a?"
        )
    if len(k_points) < 3:
        raise ValueError(f"expected at least 3 different k-points along a path, got {len(k_points)}")
    lines, share = _lines(k_points)
    directions = Counter(lines)
    most = max(directions.values(), default=0)
    if share < _ON_LINES or (most >= _MANY and 2 * most > len(lines)):
        raise ValueError(
            "expected k-points along a path, got those of a mesh, or random ones: for densities of states, use "
            "electrain prepare without --bands; to learn bands from it, too, give it with --meshes"
        )


def _lines(k_points: NDArray[np.float64]) -> tuple[list[tuple[int, ...]], float]:
    """Direction of each straight piece of at least three points, and the fraction of inner points inside of one."""
    steps = np.diff(k_points, axis=0)
    unit = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    is_straight = np.linalg.norm(np.diff(unit, axis=0), axis=1) < _PARALLEL
    begins = is_straight & ~np.concatenate([[False], is_straight[:-1]])
    lines = []
    for direction in unit[:-1][begins]:
        first = direction[np.argmax(np.abs(direction) > 0.5 * np.abs(direction).max())]
        lines.append(tuple(np.round(direction * np.sign(first), 2).tolist()))
    return lines, float(is_straight.mean())
