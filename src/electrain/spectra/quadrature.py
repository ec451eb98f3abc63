"""Integrals of a density of states (linear between channels) times functions of the distance from the Fermi level."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .fermi import BOLTZMANN
from .grid import EnergyGrid

# In units of kB T; further away from the Fermi level, the functions are below e^-40.
WINDOW = 40
# The nearest poles of the Fermi function are pi kB T away from the real axis, so in intervals of kB T the error of
# eight points is (4 pi)^-16.
NUM_POINTS = 8
# Smallest distance from the Fermi level, in units of kB T, at which a DOS may be cut off: there, the occupation
# differs by 3e-7 from that at T = 0.
MIN_DISTANCE_TO_END = 15.0
# Smallest distance, in units of kB T, from the Fermi level to the upper end of an axis beyond which there are states of
# which the DOS knows nothing. Each of them would hold e^-10 = 5e-5 electrons, and one state/eV would change the free
# energy by (kB T)^2 e^-10: 0.03 meV at 10,000 K.
REACH_ABOVE = 10.0
# Largest value at the end of a DOS that is not cut off, as a fraction of its maximum; Gaussians never vanish.
NEGLIGIBLE = 1e-6


class Points(NamedTuple):
    """Quadrature points, with ``DOS(E) = (1 - fraction) DOS[channel] + fraction DOS[channel + 1]``."""

    channels: NDArray[np.int64]
    fractions: NDArray[np.float64]
    weights: NDArray[np.float64]  # quadrature weights | eV
    energies: NDArray[np.float64]  # relative to the Fermi level | eV

    def values_of(self, dos: NDArray) -> NDArray:
        """Interpolate a DOS, in states/eV."""
        return (1.0 - self.fractions) * dos[self.channels] + self.fractions * dos[self.channels + 1]

    def weights_of_channels(self, integrand: NDArray, size: int) -> NDArray:
        """Return the derivatives of an integral with respect to the channels of the DOS, shape ``(size,)``."""
        product = self.weights * integrand
        lower = np.bincount(self.channels, weights=(1.0 - self.fractions) * product, minlength=size)
        return lower + np.bincount(self.channels + 1, weights=self.fractions * product, minlength=size)


def points_between(grid: EnergyGrid, level: float, ends: NDArray, num_points: int) -> Points:
    """Gauss-Legendre points for an integrand that is smooth between all channels and the given sorted energies.

    :param ends: relative to the level, in eV.
    """
    ends = ends.clip(grid.start - level, grid.stop - level)
    offset = (level - grid.start) / grid.step
    first, last = math.ceil(offset + ends[0] / grid.step), math.floor(offset + ends[-1] / grid.step)
    channels = (np.arange(first, last + 1) - offset) * grid.step
    ends = np.unique(np.concatenate([ends, channels.clip(ends[0], ends[-1])]))  # sorted, no empty intervals
    abscissas, weights = np.polynomial.legendre.leggauss(num_points)
    lengths = np.diff(ends)
    energies = (0.5 * (ends[1:] + ends[:-1])[:, None] + 0.5 * lengths[:, None] * abscissas).ravel()
    positions = offset + energies / grid.step
    lower = positions.astype(np.int64).clip(0, grid.size - 2)
    return Points(lower, positions - lower, (0.5 * lengths[:, None] * weights).ravel(), energies)


def points_around(values: NDArray, grid: EnergyGrid, level: float, temperature: float) -> Points:
    """Gauss-Legendre points for integrals of a DOS with functions that decay like the Fermi function's derivative.

    :param values: the DOS, in states/eV.
    :param level: in eV.
    :param temperature: in K.
    :raises ValueError: for a DOS that is cut off by the end of the grid close to the level.
    """
    width = BOLTZMANN * temperature
    for end, edge in ((values[0], grid.start), (values[-1], grid.stop)):
        distance = abs(edge - level) / width
        if distance < MIN_DISTANCE_TO_END and abs(end) > NEGLIGIBLE * values.max():
            raise ValueError(
                f"the DOS ends at {edge:g} eV with {end:g} states/eV, {distance:.3g} kB T from the Fermi level at "
                f"{temperature:g} K, {level:g} eV: expected zero there, or at least {MIN_DISTANCE_TO_END:g} kB T"
            )
    return points_between(grid, level, width * np.arange(-WINDOW, WINDOW + 1), NUM_POINTS)
