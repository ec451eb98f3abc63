"""Thermodynamics of harmonic oscillators whose density of states is linear between the channels of a fixed axis.

The functions of a mode have a logarithm at zero frequency and poles on the imaginary axis, at multiples of
2 pi i kB T. Gauss-Legendre points in intervals between all channels and multiples of kB T, which halve again and again
towards zero, make the integrals exact to about 1e-12, however kB T compares with the step of the axis.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .fermi import BOLTZMANN
from .fixed_axis import FixedAxis
from .grid import EnergyGrid
from .quadrature import WINDOW, points_between
from .units import EV_PER

# For functions that have a singularity at a distance of at least the length of an interval.
_NUM_POINTS = 10
# Of a channel, towards zero: the rest has 2^-60 of its states, and the logarithm is about 40 there.
_NUM_HALVINGS = 60
# In K. At lower temperatures than these, other than zero, numbers overflow.
LOWEST_TEMPERATURE = 1e-3


class HarmonicQuantities(NamedTuple):
    """Oscillators at several temperatures, as for all of their states together; each ``(num_temperatures,)``."""

    internal_energy: NDArray[np.float64]  # with the zero-point energy | eV
    entropy: NDArray[np.float64]  # eV/K
    free_energy: NDArray[np.float64]  # Helmholtz, with the zero-point energy | eV
    heat_capacity: NDArray[np.float64]  # at constant volume | eV/K


class HarmonicIntegrals:
    r"""Integrals of densities of states on one axis, at the same temperatures for all of them.

    With :math:`x = \hbar\omega / k_B T` and the mean occupation :math:`n = 1 / (e^x - 1)`, over positive frequencies:

    .. math::
        U = \int g\, \hbar\omega\, (n + 1/2)\, d\omega, \quad
        S = k_B \int g\, [x n - \ln(1 - e^{-x})]\, d\omega, \quad
        F = \int g\, [\hbar\omega / 2 + k_B T \ln(1 - e^{-x})]\, d\omega, \quad
        C_V = k_B \int g\, x^2 n (n + 1)\, d\omega

    Negative frequencies stand for imaginary ones, which have no such quantities: they are left out.

    :param axis: of the densities of states.
    :param temperatures: in K, 0 included.
    :raises ValueError: for a temperature that is negative, not finite, or between 0 and a thousandth of a kelvin.
    """

    def __init__(self, axis: FixedAxis, temperatures: Sequence[float] | NDArray[np.float64]) -> None:
        self.axis, self.temperatures = axis, np.array(temperatures, dtype=np.float64, ndmin=1)
        check_temperatures(self.temperatures)
        self._per_unit = EV_PER[axis.unit]
        # In eV, with zero exactly where it is on the axis.
        self._grid = EnergyGrid(axis.start * self._per_unit, axis.step * self._per_unit, axis.size)
        self._all, self._imaginary = self._number(math.inf), self._number(0.0)
        self._zero_point = self._weights(0.0)[0]
        # (num_temperatures, num_quantities, num_channels)
        self._of_channels = np.stack([self._weights(float(kelvin)) for kelvin in self.temperatures])

    def number(self, states: NDArray[np.float64]) -> float:
        """Number of all states.

        :param states: density of states, per unit of the axis, shape ``(axis.size,)``.
        """
        return float(self._all @ states)

    def number_of_imaginary(self, states: NDArray[np.float64]) -> float:
        """Number of states at negative frequencies."""
        return float(self._imaginary @ states)

    def zero_point_energy(self, states: NDArray[np.float64]) -> float:
        """Energy at T = 0, in eV."""
        return float(self._zero_point @ states)

    def quantities(self, states: NDArray[np.float64]) -> HarmonicQuantities:
        """Energies, entropy and heat capacity at all temperatures."""
        return HarmonicQuantities(*(self._of_channels @ states).T)

    def _number(self, highest: float) -> NDArray[np.float64]:
        """Weights of the channels in the number of states below an energy."""
        points = points_between(self._grid, 0.0, np.array([-math.inf, highest]), num_points=1)
        return points.weights_of_channels(np.ones_like(points.energies), self._grid.size) / self._per_unit

    def _weights(self, kelvin: float) -> NDArray[np.float64]:
        """Weights of the channels in all quantities at one temperature."""
        width = BOLTZMANN * kelvin
        halvings = self._grid.step * 0.5 ** np.arange(_NUM_HALVINGS)
        ends = np.concatenate([[0.0], halvings[::-1], width * np.arange(1, WINDOW + 1), [math.inf]])
        points = points_between(self._grid, 0.0, np.sort(ends), _NUM_POINTS)
        functions = _functions(points.energies, width)
        weights = [points.weights_of_channels(function, self._grid.size) for function in functions]
        return np.stack(weights) / self._per_unit


def check_temperatures(kelvin: NDArray[np.float64]) -> None:
    """Raise a ``ValueError`` for temperatures that are negative, not finite, or tiny without being zero."""
    is_valid = np.isfinite(kelvin) & ((kelvin == 0.0) | (kelvin >= LOWEST_TEMPERATURE))
    if not is_valid.all():
        raise ValueError(
            f"expected temperatures of 0 K, or at least {LOWEST_TEMPERATURE:g} K, got {kelvin[~is_valid][0]:g}"
        )


def _functions(energies: NDArray[np.float64], width: float) -> HarmonicQuantities:
    """Quantities of one mode, in the order of :class:`HarmonicQuantities`.

    :param energies: hbar omega > 0, in eV.
    :param width: kB T, in eV.
    """
    zero_point = 0.5 * energies
    if width == 0.0:
        nothing = np.zeros_like(energies)
        return HarmonicQuantities(zero_point, nothing, zero_point, nothing)
    x = energies / width
    boltzmann, unoccupied = np.exp(-x), -np.expm1(-x)  # e^-x and 1 - e^-x, both without cancellation
    occupation = boltzmann / unoccupied
    # log(1 - e^-x): each of the two forms loses digits where the other one is used
    logarithm = np.where(x < math.log(2.0), np.log(unoccupied), np.log1p(-np.minimum(boltzmann, 0.5)))
    return HarmonicQuantities(
        zero_point + energies * occupation,
        BOLTZMANN * (x * occupation - logarithm),
        zero_point + width * logarithm,
        BOLTZMANN * x * x * occupation / unoccupied,
    )
