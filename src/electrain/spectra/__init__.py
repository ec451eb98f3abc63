"""Functions on spectra as plain tensors: building, aligning, comparing and reading them."""

from .alignment import best_shift, take_window
from .broadening import density_of_states, highest_trusted_energy, trusted_channels
from .fermi import count_electrons, fermi_level
from .gap import gap_from_dos, gap_from_eigenvalues
from .grid import EnergyGrid
from .losses import SpectralLossTerms, spectral_loss, spectral_loss_terms
from .metrics import AlignedErrors, AlignedRMSE, electrons_in_target, rotational_discrepancy

__all__ = [
    "AlignedErrors",
    "AlignedRMSE",
    "EnergyGrid",
    "SpectralLossTerms",
    "best_shift",
    "count_electrons",
    "density_of_states",
    "electrons_in_target",
    "fermi_level",
    "gap_from_dos",
    "gap_from_eigenvalues",
    "highest_trusted_energy",
    "rotational_discrepancy",
    "spectral_loss",
    "spectral_loss_terms",
    "take_window",
    "trusted_channels",
]
