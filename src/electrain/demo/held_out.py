"""Comparison of predictions with calculations that a model was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from electrain.data import Calculation, dos_target
from electrain.data.targets import band_gap
from electrain.evaluation import CompositionBaseline
from electrain.evaluation.aligned import align
from electrain.results import ElectronicStructure
from electrain.spectra import AlignedErrors, AlignedRMSE, EnergyAxis

# The baseline's only free parameter is chosen on the test set itself, in its favor.
_RIDGES = (0.01, 0.1, 1.0, 10.0)


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


def aligned_errors(
    predictions: Sequence[torch.Tensor], calculations: Sequence[Calculation], axis: EnergyAxis
) -> AlignedErrors:
    """Compute errors of predicted densities of states over a set of calculations.

    :param predictions: densities of states of shape ``(grid.size,)``, in states/eV for the whole structure.
    """
    errors = AlignedRMSE(axis.grid.step)
    targets, trusted = _targets(calculations, axis)
    num_atoms = torch.tensor([len(calculation.atoms) for calculation in calculations])
    errors.update(torch.stack(list(predictions)), targets, trusted, num_atoms)
    return errors.compute()


def best_composition_baseline(
    train: Sequence[Calculation], test: Sequence[Calculation], axis: EnergyAxis
) -> AlignedErrors:
    """Compute the test errors of the best sum of one constant spectrum per element.

    It is fitted to the training set, with the one of several ridges that gives the smallest error on the test set.
    """
    numbers = sorted({int(number) for calculation in train for number in calculation.atoms.numbers})

    def compositions(calculations: Sequence[Calculation]) -> torch.Tensor:
        counts = [[int((c.atoms.numbers == number).sum()) for number in numbers] for c in calculations]
        return torch.tensor(counts, dtype=torch.float64)

    targets, trusted = _targets(train, axis)
    errors = []
    for ridge in _RIDGES:
        baseline = CompositionBaseline(ridge)
        baseline.fit(compositions(train), targets, trusted, axis.max_shift, axis.grid.step)
        errors.append(aligned_errors(list(baseline.predict(compositions(test))), test, axis))
    return min(errors, key=lambda error: error.per_electron)


def _targets(calculations: Sequence[Calculation], axis: EnergyAxis) -> tuple[torch.Tensor, torch.Tensor]:
    """Densities of states on the target grid, and which channels can be trusted: (num_calculations, num_channels)."""
    return axis.window(torch.stack([dos_target(calculation, axis) for calculation in calculations]))
