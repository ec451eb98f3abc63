"""Errors collected over an epoch: aligned errors for spectra, pointwise errors for everything else."""

import math
from collections.abc import Sequence

import torch
from metatensor.torch import TensorMap
from metatrain.utils.metrics import MAEAccumulator, RMSEAccumulator

from electrain.spectra.metrics import AlignedRMSE

from .processes import Process
from .terms import Errors, Evaluated, LossTerm

_LEAST_ERROR = 1e-6  # for the product of errors


class SpectrumErrors:
    """Root mean square of the alignment term of a spectrum.

    :param target: name of the target.
    :param step: spacing of the channels, in eV.
    :param process: this process; sums are shared with the others in distributed training.
    """

    def __init__(self, target: str, step: float, process: Process) -> None:
        self._target, self._process = target, process
        self._sums = AlignedRMSE(step, process.device)

    def add(self, alignment: torch.Tensor, electrons: torch.Tensor, num_atoms: torch.Tensor) -> None:
        """Add a batch, (num_structures,) each; see :class:`~electrain.spectra.metrics.AlignedRMSE`."""
        self._sums.add(alignment, electrons, num_atoms)

    def finalize(self) -> dict[str, float]:
        """Return the errors per electron (eq. 10) and per atom."""
        self._process.add_up(self._sums.sums)
        if self._sums.sums[2] == 0:
            return {}
        found = self._sums.compute()
        return {
            f"{self._target} {ALIGNED_PER_ELECTRON}": found.per_electron,
            f"{self._target} aligned RMSE {_NOT_SELECTING}": found.per_atom,
        }


ALIGNED_PER_ELECTRON = "aligned RMSE [eV^-1/2 per electron]"
# The same error in another unit, which must not count twice in the selection of the best model.
_NOT_SELECTING = "[states eV^-1/2 per atom]"


class PointwiseErrors:
    """RMSE and MAE of numbers, vectors and tensors.

    :param per_structure: targets whose errors are not per atom.
    :param process: this process; sums are shared with the others in distributed training.
    """

    def __init__(self, per_structure: list[str], process: Process) -> None:
        self._not_per_atom = ["positions_gradients", *per_structure]
        self._process = process
        self._accumulators = (RMSEAccumulator(), MAEAccumulator())

    def add(self, predictions: dict[str, TensorMap], targets: dict[str, TensorMap]) -> None:
        """Add a batch, already divided by the number of atoms for targets with errors per atom."""
        for accumulator in self._accumulators:
            accumulator.update(predictions, targets)

    def finalize(self) -> dict[str, float]:
        """See :class:`~electrain.training.terms.Errors`."""
        errors: dict[str, float] = {}
        for accumulator in self._accumulators:
            # not with metatrain's sums over processes, which are in single precision
            sums: dict[str, tuple[float, int]] = {}
            for of_process in self._process.gather(accumulator.information):
                for name, (total, count) in of_process.items():
                    others = sums.get(name, (0.0, 0))
                    sums[name] = (others[0] + total, others[1] + count)
            accumulator.information = {name: found for name, found in sums.items() if found[1] > 0}
            errors.update(accumulator.finalize(self._not_per_atom))
        return errors


class EpochErrors:
    """Loss and errors of one pass over a data set.

    :param terms: terms of the loss.
    :param process: this process; sums are shared with the others in distributed training.
    """

    def __init__(self, terms: Sequence[LossTerm], process: Process) -> None:
        self.process = process
        self._loss, self._num_structures = 0.0, 0.0
        self._errors: list[Errors] = [term.new_errors(process) for term in terms]

    def add_loss(self, loss: float, num_structures: float) -> None:
        """Add the loss of a batch, which is the mean over its structures."""
        self._loss += loss * num_structures
        self._num_structures += num_structures

    def add(self, evaluated: Sequence[Evaluated | None]) -> None:
        """Add the results of all terms for a batch."""
        for errors, found in zip(self._errors, evaluated, strict=True):
            if found is not None:
                errors.add(*found.errors)

    def finalize(self) -> dict[str, float]:
        """Return all errors by name, without targets that have no value."""
        errors = {"loss": self._loss / max(1.0, self._num_structures)}
        for of_term in self._errors:
            errors.update(of_term.finalize())
        return errors


def selected_error(errors: dict[str, float], metric: str) -> float:
    """Return the validation error that selects the best model.

    :param metric: ``"loss"``, or ``"rmse_prod"`` for the product of all targets' RMSEs, where a spectrum counts once,
        with its aligned error per electron. An error of zero, as of the gaps of metals that are all predicted to be
        metals, counts as 1e-6 in its unit, so that the other targets still decide.
    """
    if metric == "loss":
        return errors["loss"]
    counted = [value for name, value in errors.items() if "RMSE" in name and not name.endswith(_NOT_SELECTING)]
    if not counted:
        raise ValueError("the validation set has no value of any target, so the best model cannot be selected")
    return math.prod(max(value, _LEAST_ERROR) for value in counted)
