"""Comparing unit cells."""

import numpy as np
from numpy.typing import ArrayLike


def is_same_cell(cell: ArrayLike, other: ArrayLike, tolerance: float = 1e-3) -> bool:
    """Whether two cells have the same lattice vectors in the same order, in whatever orientation.

    :param cell: vectors as rows, in A; shape ``(3, 3)``.
    :param other: likewise.
    :param tolerance: largest difference of products of two vectors, relative to the largest of them.
    """
    found, expected = (np.asarray(one, dtype=np.float64) for one in (cell, other))
    products, of_other = found @ found.T, expected @ expected.T
    return bool(np.abs(products - of_other).max() <= tolerance * np.abs(of_other).max())
