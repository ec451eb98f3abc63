"""Errors gathered over an epoch: aligned ones for spectra, pointwise ones for everything else."""

import math

import torch
from metatensor.torch import TensorMap
from metatrain.utils.metrics import MAEAccumulator, RMSEAccumulator

from electrain.interface.quantities import DENSITY_OF_STATES
from electrain.spectra.metrics import AlignedRMSE

from .processes import Process


class EpochErrors:
    """RMSE and MAE of one pass over a data set.

    :param step: channel width of the density of states in eV, if it is a target.
    :param per_structure: targets that are not counted per atom.
    :param process: with whom sums are shared in a distributed training.
    """

    def __init__(self, step: float | None, per_structure: list[str], process: Process) -> None:
        self._loss, self._num_structures = 0.0, 0.0
        self.spectra = None if step is None else AlignedRMSE(step, process.device)
        self.per_structure = per_structure
        self.process = process
        self._rmse, self._mae = RMSEAccumulator(), MAEAccumulator()

    def add_loss(self, loss: float, num_structures: float) -> None:
        """Add the loss of a batch, the mean over its structures."""
        self._loss += loss * num_structures
        self._num_structures += num_structures

    def add_pointwise(self, predictions: dict[str, TensorMap], targets: dict[str, TensorMap]) -> None:
        """Add a batch, already per atom where targets are counted so."""
        self._rmse.update(predictions, targets)
        self._mae.update(predictions, targets)

    def finalize(self) -> dict[str, float]:
        """All errors by name; targets without a single value are left out."""
        errors = {"loss": self._loss / max(1.0, self._num_structures)}
        if self.spectra is not None:
            if self.process.is_distributed:
                torch.distributed.all_reduce(self.spectra.sums)
            if self.spectra.sums[2] > 0:
                spectra = self.spectra.compute()
                errors[f"{DENSITY_OF_STATES} aligned RMSE [eV^-1/2 per electron]"] = spectra.per_electron
                errors[f"{DENSITY_OF_STATES} aligned RMSE [states eV^-1/2 per atom]"] = spectra.per_atom
        not_per_atom = ["positions_gradients", *self.per_structure]
        for accumulator in (self._rmse, self._mae):
            known = {name: sums for name, sums in accumulator.information.items() if sums[1] > 0}
            accumulator.information = known
            errors.update(accumulator.finalize(not_per_atom, self.process.is_distributed, self.process.device))
        return errors


def selected_error(errors: dict[str, float], metric: str) -> float:
    """The validation error that selects the best model.

    :param metric: ``"loss"``, or ``"rmse_prod"`` for the product of all targets' RMSEs, where a density of states
        counts once, with its aligned error per electron.
    """
    if metric == "loss":
        return errors["loss"]
    counted = [
        value
        for name, value in errors.items()
        if "RMSE" in name and not (name.startswith(f"{DENSITY_OF_STATES} ") and "per atom" in name)
    ]
    if not counted:
        raise ValueError("the validation set has no value of any target: nothing can select the best model")
    return math.prod(counted)
