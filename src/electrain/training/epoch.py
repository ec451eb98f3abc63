"""One pass over a data set, for both training and validation.

Data to loss in five steps: collate (in the loader) -> systems to batch -> network -> to TensorMap -> loss.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from metatrain.utils.data import TargetInfo, unpack_batch
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.transfer import batch_to
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .errors import EpochErrors
from .losses import Objective
from .processes import Process


class OptimizerStep:
    """Gradient, clipping, optimizer and schedule, for the loss of one batch.

    :param model: the model itself, not wrapped for distributed training.
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
        """Take the step, unless no structure of the batch has any target."""
        self.optimizer.zero_grad()
        if self.process.is_distributed:
            # Every trained parameter must take part, including those of heads whose target this batch lacks.
            loss = loss + 0.0 * sum(parameter.sum() for parameter in self._parameters)
        if not loss.requires_grad:
            return
        loss.backward()
        for parameters in self._clipped_together:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)
        self.optimizer.step()
        self.scheduler.step()


def run_epoch(
    model: Any,
    batches: Iterable[Any],
    targets: dict[str, TargetInfo],
    objective: Objective,
    errors: EpochErrors,
    dtype: torch.dtype,
    step: OptimizerStep | None,
) -> dict[str, float]:
    """Evaluate all batches, and in training take an optimizer step after each.

    :param model: the model, which may be wrapped in training.
    :param step: called with the loss of each batch; ``None`` for validation.
    :return: the errors by name.
    :raises FloatingPointError: if the loss is not finite.
    """
    training = step is not None
    process = errors.process
    needs_gradients = training or any(info.gradients for info in targets.values())
    with torch.set_grad_enabled(needs_gradients):
        for batch in batches:
            systems, batch_targets, extra = unpack_batch(batch)
            systems, batch_targets, _ = batch_to(systems, batch_targets, extra, dtype=dtype, device=process.device)
            requested = {name: targets[name] for name in batch_targets}
            predictions = evaluate_model(model, systems, requested, is_training=training)
            loss, evaluated = objective(predictions, batch_targets, systems)
            sums = torch.stack([loss.detach() * len(systems), loss.new_tensor(len(systems))])
            if process.is_distributed:
                torch.distributed.all_reduce(sums)
            total, num_structures = sums.tolist()
            value = total / num_structures
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the {'training' if training else 'validation'} loss is {value}: "
                    "lower the learning rate or look for outliers among the targets"
                )
            if step is not None:
                step(loss)
            errors.add_loss(value, num_structures)
            errors.add(evaluated)
    return errors.finalize()
