"""The number of valence electrons of each element in the calculations of a data set."""

import math
from collections.abc import Sequence

import numpy as np
from ase.formula import Formula
from numpy.typing import NDArray

from .table import Row

_WHOLE = 0.05  # electrons; with pseudopotentials, the number of valence electrons is an integer
_EXACT = 1e-3  # electrons; smaller residuals count as zero
_NUM_ITERATIONS = 50


def valence_electrons(rows: Sequence[Row]) -> dict[str, float]:
    r"""Number of valence electrons of each element, from the numbers of electrons of whole structures.

    The numbers :math:`v_Z` minimise :math:`\sum_A |N_A - \sum_Z n_{AZ} v_Z| / n_A`, with :math:`n_A` atoms in structure
    A. Unlike a least-squares fit, this is not affected by a few charged structures. An element is left out if its
    number is not determined, because it always occurs in the same proportion with others (only SiO2), or because the
    result is not within 0.05 electrons of an integer.

    :param rows: structures; those with an unknown number of electrons are ignored.
    :return: integers by chemical symbol, in alphabetical order.
    """
    known = [row for row in rows if math.isfinite(row.num_electrons)]
    counts = [composition(row) for row in known]
    symbols = sorted({symbol for count in counts for symbol in count})
    if not symbols:
        return {}
    matrix = np.array([[count.get(symbol, 0.0) for symbol in symbols] for count in counts])
    electrons = np.array([row.num_electrons for row in known])
    # Per atom, so that large cells do not have more weight
    sizes = matrix.sum(axis=1)
    fractions = matrix / sizes[:, None]
    values = _least_absolute_deviations(fractions, electrons / sizes)
    rounded = np.round(values)
    determined = _are_unique(fractions) & (np.abs(values - rounded) < _WHOLE) & (rounded > 0)
    return {
        symbol: float(number) for symbol, number, is_known in zip(symbols, rounded, determined, strict=True) if is_known
    }


def spin_polarized(rows: Sequence[Row]) -> bool | None:
    """Whether any calculation had spins; ``None`` if that is unknown, as of sums over both spins.

    Also ``None`` if a structure with an odd number of electrons has a band gap, which then is not that of its bands.
    """
    if any(row.spins != "unpolarised" for row in rows):
        return True
    with_gap = any(row.band_gap > 0 and row.num_electrons % 2 == 1 for row in rows)
    return None if with_gap or any(row.is_sampled for row in rows) else False


def composition(row: Row) -> dict[str, float]:
    """Number of atoms of each element in the cell."""
    count = Formula(row.identity.formula).count()
    return {symbol: number * row.num_atoms / sum(count.values()) for symbol, number in count.items()}


def _are_unique(matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which unknowns are the same in all solutions of a linear system, shape ``(num_unknowns,)``."""
    # The triangular factor has the same singular values and directions, and does not grow with the number of rows.
    _, sizes, directions = np.linalg.svd(np.linalg.qr(matrix, mode="r"), full_matrices=True)
    rank = int((sizes > 1e-9 * sizes[0]).sum())
    return (np.abs(directions[rank:]) < 1e-6).all(axis=0)


def _least_absolute_deviations(matrix: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Iteratively reweighted least squares, with weights of one over the deviation."""
    weights = np.ones(len(target))
    values: NDArray[np.float64] = np.zeros(matrix.shape[1])
    for _ in range(_NUM_ITERATIONS):
        normal, right = matrix.T @ (weights[:, None] * matrix), matrix.T @ (weights * target)
        values = np.linalg.lstsq(normal, right, rcond=1e-9)[0].astype(np.float64)
        deviations: NDArray[np.float64] = np.abs(matrix @ values - target)
        weights = 1.0 / deviations.clip(_EXACT)
    return values
