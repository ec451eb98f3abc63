"""Electron counts and Fermi levels of a density of states, at any temperature.

The DOS is linear between channels and zero outside the grid. Its integrals with the Fermi-Dirac function are then
known in closed form, so nothing here depends on how the width of that function compares with the step of the grid.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import spence

from .grid import EnergyGrid

# CODATA 2018, in eV/K (exact).
BOLTZMANN = 8.617333262145179e-5

# Fraction of the electrons that may be missing or in excess in a gap: k-point weights have about seven digits, and
# the tails of Gaussians never vanish.
_PLATEAU_TOLERANCE = 1e-6


def count_electrons(dos: torch.Tensor, grid: EnergyGrid, energy: float, temperature: float = 0.0) -> float:
    r"""Count the electrons in a DOS for a given Fermi level.

    .. math:: N(\mu) = \int dE\, \mathrm{DOS}(E)\, \frac{1}{1 + e^{(E - \mu) / k_B T}}

    :param dos: in states/eV, shape ``(grid.size,)``.
    :param grid: energies of its channels.
    :param energy: the Fermi level :math:`\mu`, in eV.
    :param temperature: in K.
    :raises ValueError: for another shape of the DOS, values that are not finite, or a negative temperature.
    """
    values = grid.checked(dos).numpy()
    _check_temperature(temperature)
    return _count(values, grid, energy, temperature)


def fermi_level(dos: torch.Tensor, grid: EnergyGrid, num_electrons: float, temperature: float = 0.0) -> float:
    """Energy, in eV, at which :func:`count_electrons` first reaches the number of electrons.

    If the count stays within a millionth of that number over a range of energies (a gap), the result is the middle of
    that range, which ends at the end of the grid at the latest. A DOS with negative values can pass the number more
    than once; the lowest such range is used.

    :param dos: in states/eV, shape ``(grid.size,)``.
    :param grid: energies of its channels.
    :param num_electrons: number of electrons in the cell of the DOS.
    :param temperature: in K.
    :raises ValueError: if the number is not reached inside the grid, and as for :func:`count_electrons`.
    """
    values = grid.checked(dos).numpy()
    _check_temperature(temperature)
    if not (math.isfinite(num_electrons) and num_electrons > 0):
        raise ValueError(f"expected a positive number of electrons, got {num_electrons}")
    counts = _count_at_channels(values, grid, temperature)
    tolerance = _PLATEAU_TOLERANCE * num_electrons

    reached = counts >= num_electrons - tolerance
    first = int(reached.argmax())
    if not reached.any() or first == 0:
        raise ValueError(
            f"no Fermi level for {num_electrons:g} electrons at {temperature:g} K in {grid}: with the level "
            f"inside the grid, the DOS holds {counts.min():.6g} to {counts.max():.6g} electrons"
        )
    lower = _crossing(values, grid, num_electrons - tolerance, temperature, first)
    passed = counts[first:] > num_electrons + tolerance
    if not passed.any():
        return 0.5 * (lower + grid.stop)
    upper = _crossing(values, grid, num_electrons + tolerance, temperature, first + int(passed.argmax()))
    return 0.5 * (lower + upper)


def _check_temperature(temperature: float) -> None:
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"expected a temperature in K that is not negative, got {temperature}")


def _crossing(values: NDArray, grid: EnergyGrid, count: float, temperature: float, channel: int) -> float:
    """Energy in eV at which the number of electrons passes ``count``, between a channel and the one below it."""

    def excess(energy: float) -> float:
        return _count(values, grid, energy, temperature) - count

    above = grid.start + grid.step * channel
    below = above - grid.step
    # The channel was found with sums in another order, so round-off may have moved the crossing onto an end.
    if excess(below) >= 0:
        return below
    if excess(above) <= 0:
        return above
    return float(brentq(excess, below, above))


def _count(values: NDArray, grid: EnergyGrid, energy: float, temperature: float) -> float:
    position = min(max((energy - grid.start) / grid.step, 0.0), float(grid.size - 1))
    channel = min(int(position), max(grid.size - 2, 0))
    fraction = position - channel
    full = _cold_counts(values, grid.step)[channel]
    last = values[min(channel + 1, grid.size - 1)]
    here = values[channel] + fraction * (last - values[channel])
    cold = full + 0.5 * grid.step * fraction * (values[channel] + here)
    if temperature == 0:
        return float(cold)
    distances = energy - grid.energies().numpy()
    kinks = _kinks(values, grid.step) @ _kink_excess(distances, BOLTZMANN * temperature)
    return float(cold + kinks + _edge_excess(values, grid, np.array(energy), temperature))


def _count_at_channels(values: NDArray, grid: EnergyGrid, temperature: float) -> NDArray:
    """Count the electrons for a Fermi level at each channel, shape ``(grid.size,)``."""
    cold = _cold_counts(values, grid.step)
    if temperature == 0:
        return cold
    distances = grid.step * np.arange(1 - grid.size, grid.size)
    kernel = _kink_excess(distances, BOLTZMANN * temperature)
    from scipy.signal import fftconvolve  # imports all of scipy.stats, which takes half a second

    kinks = fftconvolve(kernel, _kinks(values, grid.step), mode="valid")
    return cold + kinks + _edge_excess(values, grid, grid.energies().numpy(), temperature)


def _cold_counts(values: NDArray, step: float) -> NDArray:
    """Electrons below each channel at T = 0, shape ``(size,)``."""
    return np.concatenate([[0.0], np.cumsum(0.5 * step * (values[1:] + values[:-1]))])


def _kinks(values: NDArray, step: float) -> NDArray:
    """Change in slope of the DOS at each channel, in states/eV^2; the slope outside is zero."""
    return np.diff(np.diff(values) / step, prepend=0.0, append=0.0)


def _kink_excess(distance: NDArray, width: float) -> NDArray:
    r"""Return what heating adds to the number of electrons in :math:`(E - E_j)_+`, for a level at ``E_j + distance``.

    :math:`(k_B T)^2 F_1(x / k_B T) - \theta(x)\, x^2 / 2` with the complete Fermi-Dirac integral
    :math:`F_1(\eta) = -\mathrm{Li}_2(-e^\eta) = \eta^2 / 2 + \pi^2 / 6 - F_1(-\eta)`; the squares cancel.
    """
    tail = -spence(1.0 + np.exp(-np.abs(distance) / width))
    return width**2 * np.where(distance < 0, tail, math.pi**2 / 6 - tail)


def _edge_excess(values: NDArray, grid: EnergyGrid, energy: NDArray, temperature: float) -> NDArray:
    """Return what heating adds because the DOS jumps from zero and to zero at the ends of the grid."""
    width = BOLTZMANN * temperature

    def jump(edge: float) -> NDArray:
        return width * np.log1p(np.exp(-np.abs(energy - edge) / width))

    return values[0] * jump(grid.start) - values[-1] * jump(grid.stop)
