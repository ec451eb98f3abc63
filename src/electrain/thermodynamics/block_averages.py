"""Means of correlated samples with their statistical errors, in constant memory."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_BLOCKS = 128  # kept at once
MOST_FOR_ERRORS = 32  # the error of an error estimate is 1 / sqrt(2 * 31) = 13 %
FEWEST_FOR_TEST = 8  # fewer blocks say nothing about their correlation


class Blocks(NamedTuple):
    """Consecutive blocks of samples, all of the same length."""

    means: NDArray[np.float64]  # (num_blocks, num_channels)
    length: int  # samples in each block
    are_independent: bool | None  # None: too few blocks to tell


class BlockAverages:
    """Collects samples one by one and stores the means of blocks, which are merged in pairs as samples are added.

    For any number of samples from 64 on, between 64 and 128 blocks are stored.
    """

    def __init__(self) -> None:
        self.num_samples = 0
        self._length = 1
        self._blocks: list[NDArray[np.float64]] = []
        self._open = np.zeros(0)
        self._num_open = 0
        self._total = np.zeros(0)

    def add(self, sample: NDArray[np.float64]) -> None:
        """Add a sample, shape ``(num_channels,)``."""
        if self.num_samples == 0:
            self._open, self._total = np.zeros_like(sample), np.zeros_like(sample)
        self.num_samples += 1
        self._total = self._total + sample
        self._open = self._open + sample
        self._num_open += 1
        if self._num_open < self._length:
            return
        self._blocks.append(self._open / self._length)
        self._open, self._num_open = np.zeros_like(sample), 0
        if len(self._blocks) == MAX_BLOCKS:
            self._blocks = list(_in_pairs(np.array(self._blocks)))
            self._length *= 2

    def extend_below(self, num_channels: int) -> None:
        """Insert channels before all others; they are zero in all samples so far."""
        self._open, self._total = (np.pad(values, (num_channels, 0)) for values in (self._open, self._total))
        self._blocks = [np.pad(block, (num_channels, 0)) for block in self._blocks]

    def mean(self) -> NDArray[np.float64]:
        """Mean of all samples, shape ``(num_channels,)``."""
        return self._total / self.num_samples

    def blocks(self, weights: NDArray[np.float64]) -> Blocks:
        r"""Return at most 32 blocks, long enough to be independent.

        Blocks count as independent if neighboring values of the observable ``weights @ sample`` have no correlation
        :math:`\rho > 2 / \sqrt{n}` with n blocks, which happens in 2 % of cases with independent blocks. Longer blocks
        must pass this test as well, as long as there are eight of them. If the longest ones fail, they are returned
        with ``are_independent`` false.

        :param weights: weights of the observable, shape ``(num_channels,)``.
        """
        levels = [np.array(self._blocks)]
        while len(levels[-1]) >= 2 * FEWEST_FOR_TEST:
            levels.append(_in_pairs(levels[-1]))
        chosen = len(levels)
        for level in reversed(range(len(levels))):
            if _neighbors_correlate(levels[level] @ weights):
                break
            chosen = level
        tested = len(levels[-1]) >= FEWEST_FOR_TEST
        independent = chosen < len(levels) if tested else None
        chosen = min(chosen, len(levels) - 1)
        while len(levels[chosen]) > MOST_FOR_ERRORS:
            chosen += 1
        return Blocks(levels[chosen], self._length * 2**chosen, independent)


def jackknife(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means without one block each, shape ``(num_blocks, num_channels)``; at least two blocks."""
    return (means.sum(axis=0) - means) / (len(means) - 1)


def jackknife_error(values: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Standard error of a quantity from its values without one block each, :math:`\sqrt{(n - 1) \mathrm{Var}}`.

    :param values: shape ``(num_blocks, ...)``.
    """
    return np.sqrt((len(values) - 1) * values.var(axis=0))


def _in_pairs(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    pairs = len(blocks) // 2
    return 0.5 * (blocks[0 : 2 * pairs : 2] + blocks[1 : 2 * pairs : 2])


def _neighbors_correlate(values: NDArray[np.float64]) -> bool:
    if len(values) < FEWEST_FOR_TEST:
        return False
    deviations = values - values.mean()
    variance = float((deviations**2).sum())
    # Samples that are all equal differ by round-off.
    if variance <= (1e-12 * float(np.abs(values).max())) ** 2 * len(values):
        return False
    return float((deviations[1:] * deviations[:-1]).sum()) / variance > 2.0 / len(values) ** 0.5
