"""Comparison of predictions with calculations that a model was not trained on."""

from dataclasses import dataclass

import numpy as np
import torch

from electrain.data import Calculation, dos_target
from electrain.data.targets import band_gap
from electrain.evaluation.aligned import align
from electrain.results import ElectronicStructure
from electrain.spectra import EnergyAxis


@dataclass(frozen=True)
class Comparison:
    """One prediction, aligned with its calculation."""

    calculation: Calculation
    result: ElectronicStructure
    energies: torch.Tensor  # (num_channels,) | eV from the DFT Fermi level
    predicted: torch.Tensor  # (num_channels,) | states/eV, at the best shift
    target: torch.Tensor  # (num_channels,) | states/eV, NaN above the trusted range
    error: float  # square root of the alignment term per electron | eV^-1/2, PET-MAD-DOS paper, eq. 10
    dft_band_gap: float  # eV, NaN if unknown
    fermi_level_error: float | None  # eV, predicted minus the position of the DFT one after alignment

    @property
    def band_gap_error(self) -> float | None:
        """Predicted minus DFT band gap, in eV; NaN if the DFT band gap is unknown."""
        return None if self.result.band_gap is None else self.result.band_gap - self.dft_band_gap


def compare(calculation: Calculation, result: ElectronicStructure, axis: EnergyAxis) -> Comparison:
    """Align a prediction with its calculation.

    :param calculation: the DFT calculation.
    :param result: the prediction for the same structure.
    :param axis: the model's energy axis.
    """
    target = dos_target(calculation, axis)
    prediction = torch.from_numpy(np.asarray(result.density_of_states, dtype=np.float64))
    aligned = align(prediction, target, axis)
    return Comparison(
        calculation=calculation,
        result=result,
        energies=axis.target_grid.energies(),
        predicted=aligned.predicted,
        target=axis.window(target)[0],
        error=aligned.per_electron,
        dft_band_gap=band_gap(calculation),
        fermi_level_error=None if result.fermi_level is None else result.fermi_level - aligned.fermi_level,
    )
