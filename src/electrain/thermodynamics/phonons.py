"""Thermodynamics of the phonons of one structure, from its phonon density of states."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from electrain.results.spectrum import Spectrum
from electrain.spectra.fixed_axis import FixedAxis
from electrain.spectra.harmonic import HarmonicIntegrals, HarmonicQuantities

# J/mol per eV, and J/(mol K) per eV/K
JOULE_PER_MOLE = constants.e * constants.N_A
# Heat capacity of three classical modes, 3R, in J/(mol K)
DULONG_PETIT = 3.0 * constants.R
# Shares of the modes, and of the largest value of a spectrum, beyond which the user is told.
_NOTICEABLE = 0.05
_CUT_OFF = 0.1


@dataclass(frozen=True, eq=False)
class PhononThermodynamics:
    r"""Harmonic phonons of one structure at several temperatures; all values are for the whole structure.

    See :class:`~electrain.spectra.harmonic.HarmonicIntegrals` for the formulas. The volume is that of the structure,
    whatever the temperature.

    :param spectrum: the phonon density of states as it was predicted.
    :param density_of_states: the same, without negative values and scaled to the 3N modes of N atoms, in states per
        unit of its axis, shape ``(axis.size,)``.
    :param temperatures: in K, shape ``(num_temperatures,)``.
    :param predicted_modes: integral of the predicted spectrum; ``None`` for a normalised one, of which it says nothing.
    :param imaginary_modes: number of the 3N modes at negative frequencies, which stand for imaginary ones. They are
        left out of all quantities.
    :param negative_share: share of the predicted states that were negative and set to zero.
    :param zero_point_energy: energy at T = 0, in eV.
    :param quantities: internal energy and free energy (eV, both with the zero-point energy), entropy and heat capacity
        at constant volume (eV/K).
    """

    spectrum: Spectrum
    density_of_states: NDArray[np.float64]
    temperatures: NDArray[np.float64]
    predicted_modes: float | None
    imaginary_modes: float
    negative_share: float
    zero_point_energy: float
    quantities: HarmonicQuantities

    @property
    def num_atoms(self) -> int:
        """Number of atoms."""
        return len(self.spectrum.atoms)

    @property
    def num_modes(self) -> int:
        """Number of modes, three per atom."""
        return 3 * self.num_atoms

    @property
    def notes(self) -> list[str]:
        """What is doubtful about the spectrum, a sentence each."""
        found, modes, axis = [], self.predicted_modes, self.spectrum.axis
        if modes is not None and abs(modes - self.num_modes) > _NOTICEABLE * self.num_modes:
            deviation = 100.0 * (modes / self.num_modes - 1.0)
            found.append(
                f"{modes:.2f} modes were predicted instead of {self.num_modes} ({deviation:+.1f} %); they are "
                "scaled to that number"
            )
        if self.imaginary_modes > _NOTICEABLE * self.num_modes:
            found.append(
                f"{self.imaginary_modes:.2f} of {self.num_modes} modes have negative frequencies, which stand for "
                "imaginary ones, and are left out: the structure is not stable"
            )
        if self.negative_share > _NOTICEABLE:
            found.append(f"{100.0 * self.negative_share:.1f} % of the predicted states are negative and set to zero")
        end = float(self.density_of_states[-1] / self.density_of_states.max())
        if end > _CUT_OFF:
            found.append(
                f"the spectrum is cut off at the end of its axis, {axis.stop:g} {axis.unit}, where it has "
                f"{100.0 * end:.0f} % of its maximum: modes above are missing"
            )
        return found


class PhononIntegrals:
    """Thermodynamics of phonons for any number of structures on one axis, at the same temperatures.

    >>> model = SpectrumModel("phonons.pt")
    >>> integrals = PhononIntegrals(model.axis, [100, 300, 1000])
    >>> integrals.thermodynamics(model.predict(ase.build.bulk("Si"))).quantities.heat_capacity  # eV/K

    :param axis: axis of the spectra.
    :param temperatures: in K, 0 included.
    :raises ValueError: for a temperature that is negative, not finite, or between 0 and a thousandth of a kelvin.
    """

    def __init__(self, axis: FixedAxis, temperatures: Sequence[float] | NDArray[np.float64]) -> None:
        self._integrals = HarmonicIntegrals(axis, temperatures)

    def thermodynamics(self, spectrum: Spectrum) -> PhononThermodynamics:
        """Compute the thermodynamics of a structure.

        The spectrum is scaled to three modes per atom, whether it is normalised or not. Negative values, which only
        errors of a model can be, count as zero.

        :param spectrum: a phonon density of states, normalised or in states per unit of its axis.
        :raises ValueError: for a spectrum of electrons, on another axis, with NaN or infinity, or without any states at
            positive frequencies.
        """
        if spectrum.quantity.fixed_axis != "frequency":
            raise ValueError(f"expected a phonon density of states, got {spectrum.target} ({spectrum.quantity.label})")
        if spectrum.axis != self._integrals.axis:
            raise ValueError(f"expected a spectrum on the axis {self._integrals.axis}, got {spectrum.axis}")
        if not np.isfinite(spectrum.values).all():
            raise ValueError(f"expected finite values of the spectrum of {spectrum.formula}, got NaN or infinity")
        states = np.maximum(spectrum.values, 0.0)
        whole, imaginary = self._integrals.number(states), self._integrals.number_of_imaginary(states)
        if not whole > imaginary:
            raise ValueError(f"the phonon density of states of {spectrum.formula} is zero at all positive frequencies")
        factor = 3 * len(spectrum.atoms) / whole
        scaled = states * factor
        return PhononThermodynamics(
            spectrum=spectrum,
            density_of_states=scaled,
            temperatures=self._integrals.temperatures,
            predicted_modes=None if spectrum.is_normalised else self._integrals.number(spectrum.values),
            imaginary_modes=imaginary * factor,
            negative_share=1.0 - self._integrals.number(spectrum.values) / whole,
            zero_point_energy=self._integrals.zero_point_energy(scaled),
            quantities=self._integrals.quantities(scaled),
        )
