"""Spectra on other energies, with the same number of states."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from .grid import EnergyGrid

_TOLERANCE = 1e-6  # channels


def resampled(spectra: NDArray[np.float64], grid: EnergyGrid, new: EnergyGrid) -> NDArray[np.float64]:
    r"""Move spectra to another grid.

    .. math:: y_j = \frac{N(E_j + h / 2) - N(E_j - h / 2)}{h}

    where :math:`N` is a cubic spline through the numbers of states below the edges of the old channels, and h the step
    of the new grid. No state is lost or added, whatever the steps are; sums of spectra stay sums; and a spectrum on its
    own grid does not change. Shifting a peak of width sigma (Gaussian) by half a channel of sigma / 6 changes it by
    less than 1e-4 of its height.

    :param spectra: shape ``(..., grid.size)``; below the grid they are zero.
    :param grid: their energies.
    :param new: the new energies, which may start below the old ones, but not end above them.
    :return: shape ``(..., new.size)``.
    :raises ValueError: if the new grid ends above the old one, where the spectra are not known.
    """
    old_edges = grid.start + grid.step * (np.arange(grid.size + 1) - 0.5)
    edges = new.start + new.step * (np.arange(new.size + 1) - 0.5)
    if edges[-1] > old_edges[-1] + _TOLERANCE * grid.step:
        raise ValueError(f"expected energies inside {grid}, where the spectrum is known, got {new}")
    states = np.concatenate(
        [np.zeros_like(spectra[..., :1]), np.cumsum(spectra, axis=-1) * grid.step], axis=-1
    )  # below each edge
    below = CubicSpline(old_edges, states, axis=-1)(np.clip(edges, old_edges[0], old_edges[-1]))
    return np.asarray(np.diff(below, axis=-1) / new.step)
