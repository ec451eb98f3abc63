"""Are uncertainties right? Predicted against actual errors of structures that a model was not trained on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from metatensor.torch import TensorMap
from metatomic.torch import AtomisticModel, ModelEvaluationOptions, ModelOutput, System
from metatrain.utils.data import DiskDataset
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from numpy.typing import NDArray
from scipy.stats import spearmanr

from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL, uncertainty_name
from electrain.uncertainty.calibration import aligned_residuals

# Root mean square over the trusted channels of each structure.
SPECTRUM = "density of states, mean over channels"

_UNITS = {
    ENERGY: "eV",
    DENSITY_OF_STATES: "states/eV",
    SPECTRUM: "states/eV",
    BAND_GAP: "eV",
    FERMI_LEVEL: "eV",
}
_LABELS = {DENSITY_OF_STATES: "density of states", BAND_GAP: "band gap", FERMI_LEVEL: "Fermi level"}


def quantity_label(name: str) -> str:
    """Name of a quantity for readers."""
    return _LABELS.get(name, name)


class Calibration(NamedTuple):
    """Errors of held-out predictions, and the uncertainties that were predicted with them."""

    errors: NDArray[np.float64]  # (num_samples,) | prediction minus reference
    uncertainties: NDArray[np.float64]  # (num_samples,) | standard deviations
    unit: str

    def within(self, deviations: float) -> float:
        """Fraction of the errors that are no larger than so many standard deviations: 0.683, 0.954 if Gaussian."""
        return float(np.mean(np.abs(self.errors) <= deviations * self.uncertainties))

    @property
    def ratio(self) -> float:
        """Root mean square of the errors in units of their uncertainties: 1 if calibrated."""
        return float(np.sqrt(np.mean((self.errors / self.uncertainties) ** 2)))

    @property
    def correlation(self) -> float:
        """Spearman's rank correlation of uncertainties and absolute errors; NaN where either are all the same."""
        if np.ptp(self.uncertainties) == 0 or np.ptp(np.abs(self.errors)) == 0:
            return float("nan")
        return float(spearmanr(self.uncertainties, np.abs(self.errors)).statistic)


def held_out_calibration(model: AtomisticModel, dataset: Path) -> dict[str, Calibration]:
    """Compare a model's uncertainties with its errors for a data set of ``electrain prepare``.

    Energies, band gaps and Fermi levels count per structure, densities of states per trusted channel and, as
    :data:`SPECTRUM`, per structure. Metals that are predicted as such have no gap that could be off: they are left
    out of the band gaps.

    :param model: exported, with uncertainties.
    :param dataset: the ``.zip`` file.
    :return: by quantity, those that the model has an uncertainty of.
    :raises ValueError: if it has none.
    """
    outputs = model.capabilities().outputs
    names = [name for name in (ENERGY, DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL) if uncertainty_name(name) in outputs]
    if not names:
        raise ValueError("expected a model with uncertainties, made with metatrain's `llpr`, got one without")
    found: dict[str, list[tuple[NDArray, NDArray]]] = {}
    for sample in DiskDataset(dataset):
        values = dict(zip(sample._fields, sample, strict=True))
        targets = {name: _row(values[name]) for name in names if name in values}
        results = _predict(model, values["system"], names)
        for name, errors in _errors(targets, results, json.loads(model.metadata().extra["energy_grid"])):
            known = torch.isfinite(errors)
            if known.any():
                uncertainties = results[uncertainty_name(name)]
                found.setdefault(name, []).append((errors[known].numpy(), uncertainties[known].numpy()))
    if DENSITY_OF_STATES in found:
        found[SPECTRUM] = [(_root_mean_square(e), _root_mean_square(u)) for e, u in found[DENSITY_OF_STATES]]
    return {
        name: Calibration(np.concatenate([e for e, _ in pairs]), np.concatenate([u for _, u in pairs]), _UNITS[name])
        for name, pairs in found.items()
    }


def _predict(model: AtomisticModel, system: System, names: list[str]) -> dict[str, torch.Tensor]:
    """Predictions and uncertainties of one structure, one row each."""
    outputs = {output: ModelOutput(sample_kind="system") for name in names for output in (name, uncertainty_name(name))}
    system = get_system_with_neighbor_lists(system, model.requested_neighbor_lists())
    system = system.to(dtype=getattr(torch, model.capabilities().dtype))
    with torch.no_grad():
        results = model([system], ModelEvaluationOptions("angstrom", outputs), check_consistency=False)
    return {name: _row(result) for name, result in results.items()}


def _errors(
    targets: dict[str, torch.Tensor], results: dict[str, torch.Tensor], axis: dict[str, Any]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Predictions minus targets of one structure."""
    shift = np.nan  # without a density of states to align with
    if DENSITY_OF_STATES in targets:
        spectra = results[DENSITY_OF_STATES].unsqueeze(0), targets[DENSITY_OF_STATES].unsqueeze(0)
        errors, channels = aligned_residuals(*spectra, axis["max_shift"])
        if errors.isfinite().any():
            shift = float(channels) * axis["step"]
        yield DENSITY_OF_STATES, errors[0]
    for name, target in targets.items():
        if name == FERMI_LEVEL:  # where the one of DFT lies on the prediction's own axis
            yield name, results[name] - target - shift
        elif name == BAND_GAP and float(results[name]) == 0.0 == float(target):
            continue
        elif name != DENSITY_OF_STATES:
            yield name, results[name] - target


def _row(values: TensorMap) -> torch.Tensor:
    return values.block().values[0].detach().double()


def _root_mean_square(values: NDArray) -> NDArray:
    return np.sqrt(np.mean(np.square(values), keepdims=True))
