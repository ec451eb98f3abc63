"""Functions on spectra as plain tensors: construction, alignment, comparison and analysis."""

from .alignment import aligned_residuals, best_shift, fermi_level_after_alignment, take_window
from .axis import EnergyAxis
from .broadening import density_of_states, highest_trusted_energy, trusted_channels
from .fermi import count_electrons, fermi_level
from .gap import gap_errors, gap_from_dos, gap_from_eigenvalues
from .grid import EnergyGrid
from .losses import SpectralLossTerms, spectral_loss, spectral_loss_terms
from .metrics import AlignedErrors, AlignedRMSE, electrons_in_target, rotational_discrepancy
from .model_average import ModelAverage, average_models, moved_down
from .postprocessing import Overlay, denoise, gaussian_filter, interpolated, overlay
from .thermal import (
    ElectronicQuantities,
    electronic_energy,
    electronic_entropy,
    electronic_quantities,
    free_energy,
    heat_capacity,
    heat_capacity_by_differences,
)

__all__ = [
    "AlignedErrors",
    "AlignedRMSE",
    "ElectronicQuantities",
    "EnergyAxis",
    "EnergyGrid",
    "ModelAverage",
    "Overlay",
    "SpectralLossTerms",
    "aligned_residuals",
    "average_models",
    "best_shift",
    "count_electrons",
    "denoise",
    "density_of_states",
    "electronic_energy",
    "electronic_entropy",
    "electronic_quantities",
    "electrons_in_target",
    "fermi_level",
    "fermi_level_after_alignment",
    "free_energy",
    "gap_errors",
    "gap_from_dos",
    "gap_from_eigenvalues",
    "gaussian_filter",
    "heat_capacity",
    "heat_capacity_by_differences",
    "highest_trusted_energy",
    "interpolated",
    "moved_down",
    "overlay",
    "rotational_discrepancy",
    "spectral_loss",
    "spectral_loss_terms",
    "take_window",
    "trusted_channels",
]
