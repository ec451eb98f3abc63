"""One pass over a data set, for both training and validation.

Data to loss in five steps: collate (in the loader) -> systems to batch -> network -> to TensorMap -> loss.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from metatrain.utils.data import TargetInfo, unpack_batch
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.transfer import batch_to
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .errors import EpochErrors
from .losses import Objective
from .processes import Process
from .stopping import StopRequest, StopTraining
from .terms import Evaluated, LossTerm


class OptimizerStep:
    """Gradient over all processes, clipping, optimizer and schedule, for the loss of one batch.

    :param model: the model itself, not wrapped for CUDA graphs.
    :param max_norm: largest norm; the gradient of each part of the model is scaled down to it.
    """

    def __init__(
        self, model: Any, optimizer: Optimizer, scheduler: LRScheduler, max_norm: float, process: Process
    ) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.max_norm = max_norm
        self.process = process
        # collected once, because walking through the modules would take as long as part of the network on a GPU
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._clipped_together = [list(part.parameters()) for part in model.separate_parts()]

    def __call__(self, loss: torch.Tensor) -> None:
        """Take the step, unless no structure of the batch has any target.

        :param loss: the contribution of this process to the loss.
        """
        self.optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        if self.process.is_distributed:
            self._add_up_gradients()
        if all(parameter.grad is None for parameter in self._parameters):
            return
        for parameters in self._clipped_together:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)
        self.optimizer.step()
        self.scheduler.step()

    def _add_up_gradients(self) -> None:
        """Sum gradients over all processes; a parameter that has none in any process still has none."""
        gradients = [parameter.grad for parameter in self._parameters]
        first = self._parameters[0]
        present = torch.tensor([float(gradient is not None) for gradient in gradients]).to(first)
        filled = zip(self._parameters, gradients, strict=True)
        rows = [torch.zeros_like(p).flatten() if g is None else g.flatten() for p, g in filled]
        sums = self.process.add_up(torch.cat([*rows, present])).split([*map(len, rows), len(present)])
        for parameter, values, count in zip(self._parameters, sums, sums[-1].tolist(), strict=False):
            parameter.grad = values.view_as(parameter) if count > 0 else None


class SharedLoss(NamedTuple):
    """The loss of a batch that all processes share."""

    contribution: torch.Tensor  # of this process; its gradients add up to that of the loss
    value: float
    num_structures: int


def loss_over_processes(
    terms: Sequence[LossTerm],
    evaluated: Sequence[Evaluated | None],
    num_structures: int,
    process: Process,
    request: StopRequest,
) -> SharedLoss:
    r"""Add up the loss of a batch over all processes.

    A part of the loss that is a mean, :math:`m_r` over :math:`n_r` structures or numbers in process r, contributes
    :math:`m_r n_r / \sum_s n_s`, so that the sum over the processes is the mean over the batch.

    :param terms: terms of the loss.
    :param evaluated: their results for the structures of this process, ``None`` without any.
    :param num_structures: number of these structures.
    :param process: this process.
    :param request: the signal that asks this process to stop.
    :raises StopTraining: if any process was asked to stop.
    """
    nothing = torch.zeros(sum(term.num_means for term in terms), dtype=torch.float64, device=process.device)
    absent = nothing.split([term.num_means for term in terms])
    means = torch.cat([zeros if e is None else e.means for e, zeros in zip(evaluated, absent, strict=True)])
    counts = torch.cat([zeros if e is None else e.counts for e, zeros in zip(evaluated, absent, strict=True)]).double()
    values = torch.where(counts > 0, means.detach() * counts, means.detach())
    others = values.new_tensor([num_structures, request.signal is not None])
    sums, all_counts, others = process.add_up(torch.cat([values, counts, others])).split([len(means), len(means), 2])
    total = torch.where(all_counts > 0, sums / all_counts.clamp_min(1.0), sums).sum()
    share = torch.where(all_counts > 0, counts / all_counts.clamp_min(1.0), 1.0)
    value, in_batch, stopped = torch.cat([total.unsqueeze(0), others]).tolist()
    if stopped > 0:
        raise StopTraining(request.exit_code)
    return SharedLoss((means * share.to(means.dtype)).sum(), value, int(in_batch))


def run_epoch(
    model: Any,
    batches: Iterable[Any],
    targets: dict[str, TargetInfo],
    objective: Objective,
    errors: EpochErrors,
    dtype: torch.dtype,
    step: OptimizerStep | None,
    request: StopRequest,
) -> dict[str, float]:
    """Evaluate all batches, and in training take an optimizer step after each.

    :param model: the model, which may be wrapped in training.
    :param batches: the shares of this process.
    :param step: called with the loss of each batch; ``None`` for validation.
    :param request: the signal that asks this process to stop.
    :return: the errors by name.
    :raises FloatingPointError: if the loss is not finite.
    :raises StopTraining: if any process was asked to stop.
    """
    training = step is not None
    process = errors.process
    needs_gradients = training or any(info.gradients for info in targets.values())
    with torch.set_grad_enabled(needs_gradients):
        for batch in batches:
            systems: list[Any] = []
            evaluated: list[Evaluated | None] = [None] * len(objective.terms)
            if batch is not None:
                systems, batch_targets, extra = unpack_batch(batch)
                systems, batch_targets, _ = batch_to(systems, batch_targets, extra, dtype=dtype, device=process.device)
                requested = {name: targets[name] for name in batch_targets}
                predictions = evaluate_model(model, systems, requested, is_training=training)
                _, evaluated = objective(predictions, batch_targets, systems)
            loss = loss_over_processes(objective.terms, evaluated, len(systems), process, request)
            if not math.isfinite(loss.value):
                raise FloatingPointError(
                    f"the {'training' if training else 'validation'} loss is {loss.value}: "
                    "lower the learning rate or look for outliers among the targets"
                )
            if step is not None:
                step(loss.contribution)
            errors.add_loss(loss.value, loss.num_structures)
            errors.add(evaluated)
    return errors.finalize()
