"""A predicted spectrum on a fixed axis, such as a phonon density of states."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from electrain.interface.quantities import Quantity, quantity_of
from electrain.spectra.fixed_axis import FixedAxis
from electrain.structures.checks import formula_of

from .dictionaries import structure_to_dict


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Predicted spectrum of one structure, on an axis that is the same for all structures.

    :param atoms: the structure.
    :param axis: its axis. Electronic energies are relative to the Fermi level.
    :param target: what was predicted, such as ``mtt::phonon_dos``.
    :param values: a value for each channel, shape ``(axis.size,)``, in :attr:`unit`: of the whole structure, or of a
        normalised spectrum, which does not grow with the structure.
    """

    atoms: Atoms
    axis: FixedAxis
    target: str
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.values.shape != (self.axis.size,):
            raise ValueError(f"expected a value for each of {self.axis.size} channels, got shape {self.values.shape}")

    @property
    def quantity(self) -> Quantity:
        """What is known about the target."""
        return quantity_of(self.target)

    @property
    def formula(self) -> str:
        """Chemical formula of the structure."""
        return formula_of(self.atoms)

    @property
    def is_normalised(self) -> bool:
        """Whether the largest value of the spectra in the training data was about one, whatever the structure."""
        return self.quantity.intensive

    @property
    def unit(self) -> str:
        """Unit of the values, such as ``"states/THz"``; empty for a normalised spectrum."""
        return "" if self.is_normalised else self.axis.density_unit

    @property
    def axis_column(self) -> str:
        """Name of the axis in files, with its unit."""
        if self.axis.unit == "cm^-1":
            return "wavenumber_per_cm"
        if self.quantity.fixed_axis == "energy":
            return f"energy_minus_fermi_{self.axis.unit}"
        return f"{'frequency' if self.axis.unit == 'THz' else 'energy'}_{self.axis.unit}"

    @property
    def density_column(self) -> str:
        """Name of a density of states on this axis in files, with its unit."""
        return f"dos_states_per_{'inverse_cm' if self.axis.unit == 'cm^-1' else self.axis.unit}"

    @property
    def values_column(self) -> str:
        """Name of the values in files."""
        return "dos_normalised" if self.is_normalised else self.density_column

    @property
    def num_states(self) -> float | None:
        """Number of states on the axis, linear between channels; ``None`` for a normalised spectrum."""
        return None if self.is_normalised else float(trapezoid(self.values, dx=self.axis.step))

    def to_dict(self, name: str = "") -> dict[str, Any]:
        """Convert to plain Python types, for JSON.

        :param name: name of the structure.
        """
        return {
            "structure": name,
            "formula": self.formula,
            "target": self.target,
            **structure_to_dict(self.atoms),
            self.axis_column: self.axis.values().tolist(),
            self.values_column: self.values.tolist(),
        }

    def __repr__(self) -> str:
        unit = f" in {self.unit}" if self.unit else ""
        return f"<Spectrum of {self.formula}: {self.quantity.label}{unit} at {self.axis}>"
