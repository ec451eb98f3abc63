"""A structure with a spectrum as it is in a file, and its way onto the axis of a data set."""

import math
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from electrain.spectra.fixed_axis import FixedAxis
from electrain.spectra.grid import EnergyGrid
from electrain.spectra.resampling import resampled
from electrain.spectra.units import conversion_factor
from electrain.structures.checks import check_structure

NORMALIZATIONS = ("maximum", "smoothed")
# Savitzky-Golay filter of DOSTransformer (arXiv:2311.12856) and of Chen et al. (2021), before the division by the
# maximum.
SMOOTHING_WINDOW, SMOOTHING_ORDER = 17, 1  # channels, degree of the polynomials

# A phonon density of states with a larger share of states below zero is that of an unstable crystal.
_MOST_IMAGINARY = 0.01
# Numerical integration over a coarse mesh of q-points and frequencies loses some of the 3 N modes.
_MODES_TOLERANCE = 0.1
_ON_CHANNEL = 1e-3  # steps


@dataclass(frozen=True)
class FixedSpectrum:
    """A structure and its spectrum.

    :param atoms: the structure, with ``id``, ``split`` and ``subset`` in its ``info`` if the file has them.
    :param axis: axis of the spectrum.
    :param values: in states per unit of the axis, shape ``(axis.size,)``.
    :param source: the file, and the row if it contains several spectra.
    :param row: number of the row among all of the sources, from 0.
    :param fermi_energy: of the calculation, on its own scale of energies, in eV; NaN if unknown.
    """

    atoms: Atoms
    axis: FixedAxis
    values: NDArray[np.float64]
    source: str
    row: int
    fermi_energy: float = math.nan

    def check(self, *, phonons: bool, are_states: bool) -> "FixedSpectrum":
        """Return the spectrum, that of phonons without negative frequencies.

        :param phonons: whether it is of phonons, whose frequencies are positive.
        :param are_states: whether it has 3 N states, as an unscaled phonon density of states of N atoms.
        :raises ValueError: if something is wrong with structure or spectrum.
        """
        check_structure(self.atoms)
        if self.values.shape != (self.axis.size,):
            raise ValueError(f"expected a spectrum on {self.axis.size} channels, got {len(self.values)} values")
        if not np.isfinite(self.values).all():
            raise ValueError(f"expected a spectrum of finite values, got {self.values[~np.isfinite(self.values)][0]}")
        if not self.values.max() > 0:
            raise ValueError("expected a spectrum with states, got none above zero")
        if not phonons:
            return self
        if are_states:
            self._check_modes()
        return self._without_imaginary_modes()

    def _check_modes(self) -> None:
        found, expected = float(self.values.sum() * self.axis.step), 3 * len(self.atoms)
        if abs(found - expected) > _MODES_TOLERANCE * expected:
            raise ValueError(
                f"expected {expected} states, three for each of {len(self.atoms)} atoms, got {found:.3g}: the spectrum "
                "is scaled (--normalize), in another unit (--source-unit), or of another cell than the structure"
            )

    def _without_imaginary_modes(self) -> "FixedSpectrum":
        channels = self.axis.values().numpy()
        below = channels < -_ON_CHANNEL * self.axis.step
        share = float(np.clip(self.values[below], 0, None).sum() / np.clip(self.values, 0, None).sum())
        if share > _MOST_IMAGINARY:
            raise ValueError(
                f"expected frequencies from 0 on, got {100 * share:.2g} % of the states below: imaginary modes of an "
                "unstable crystal, or a wrong column"
            )
        first = int(below.sum())
        axis = FixedAxis(max(channels[first], 0.0), self.axis.step, self.axis.size - first, self.axis.unit)
        return replace(self, axis=axis, values=self.values[first:])

    def in_unit(self, unit: str) -> "FixedSpectrum":
        """Return the same states per another unit."""
        factor = conversion_factor(self.axis.unit, unit)
        return replace(self, axis=self.axis.in_unit(unit), values=self.values / factor)

    def on(self, axis: FixedAxis, *, phonons: bool) -> NDArray[np.float64]:
        """Values on another axis in the same unit, with the same number of states.

        Beyond the axis of the file there are no phonons; of electrons nothing is known there (NaN).
        """
        if axis.is_close(self.axis):
            return self.values
        old = self.axis
        end = axis.stop + 0.5 * axis.step  # of its last channel
        num_more = max(0, int(np.ceil((end - old.stop) / old.step)) + 1)
        values = np.concatenate([self.values, np.zeros(num_more)])
        grid = EnergyGrid(old.start, old.step, old.size + num_more)
        # splines through the numbers of states swing a little below zero at sharp edges
        found = np.clip(resampled(values, grid, EnergyGrid(axis.start, axis.step, axis.size)), 0, None)
        if not phonons:
            channels = axis.values().numpy()
            margin = _ON_CHANNEL * old.step
            found[(channels < old.start - margin) | (channels > old.stop + margin)] = np.nan
        return found


def normalized(values: NDArray[np.float64], how: str) -> NDArray[np.float64]:
    """Scale a spectrum to a maximum of one.

    :param values: unknown ones are NaN, and stay so.
    :param how: ``"maximum"``, or ``"smoothed"``: with a Savitzky-Golay filter of 17 channels and first order, then cut
        off at zero, before it is divided by its maximum.
    :raises ValueError: for a spectrum without states, or too few channels to be smoothed.
    """
    known = np.isfinite(values)
    found = values.copy()
    if how == "smoothed":
        if known.sum() < SMOOTHING_WINDOW:
            raise ValueError(
                f"expected at least {SMOOTHING_WINDOW} known channels, the window of the filter, got {known.sum()}"
            )
        found[known] = savgol_filter(values[known], SMOOTHING_WINDOW, SMOOTHING_ORDER)
    found[known] = np.clip(found[known], 0, None)
    if not known.any() or not found[known].max() > 0:
        raise ValueError("expected a spectrum with states on the axis of the data set, got none")
    return found / found[known].max()
