"""The optimizer, and learning-rate schedules."""

import math
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .hypers import TrainerHypers


def make_optimizer(model: Any, hypers: TrainerHypers) -> Optimizer:
    """Make Adam for the parameters that are trained, or AdamW with ``weight_decay``.

    Weights decay; vectors, such as biases and the scales of norms, and starting points of the network do not.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # fused: one pass over all parameters, which gives the same step
    if hypers["weight_decay"] == 0.0:
        return torch.optim.Adam(trained, lr=hypers["learning_rate"], fused=True)
    starting_points = {id(parameter) for parameter in model.network.starting_points()}
    kept = [parameter for parameter in trained if parameter.dim() < 2 or id(parameter) in starting_points]
    decaying = [parameter for parameter in trained if parameter.dim() >= 2 and id(parameter) not in starting_points]
    groups: list[dict[str, Any]] = [{"params": decaying}, {"params": kept, "weight_decay": 0.0}]
    rate, decay = hypers["learning_rate"], hypers["weight_decay"]
    return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, fused=True)


def make_schedule(optimizer: Optimizer, steps_per_epoch: int, hypers: TrainerHypers) -> LambdaLR:
    """Make the schedule in the options: linear increase from 0 during warm-up, then step halving or a cosine.

    :param optimizer: optimizer, with the learning rate after warm-up.
    :param steps_per_epoch: number of optimizer steps in an epoch.
    :param hypers: ``learning_rate_schedule``, ``warmup_epochs`` (0 for none), ``halving_epochs`` and ``num_epochs``.
    :raises ValueError: for a schedule that does not exist.
    """
    name = hypers["learning_rate_schedule"]
    warmup_steps = round(hypers["warmup_epochs"] * steps_per_epoch)
    halving_steps = max(1, round(hypers["halving_epochs"] * steps_per_epoch))
    decay_steps = max(1, hypers["num_epochs"] * steps_per_epoch - warmup_steps)
    if name not in ("step_halving", "cosine"):
        raise ValueError(f"learning_rate_schedule must be 'step_halving' or 'cosine', got {name!r}")

    def factor(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        if name == "cosine":
            return cosine_decay((step - warmup_steps) / decay_steps)
        return step_halving(step - warmup_steps, halving_steps)

    return LambdaLR(optimizer, factor)


def step_halving(step: int, interval: int) -> float:
    """``0.5^floor(step / interval)``; source: PET-MAD and PET-MAD-DOS papers (every 250 epochs)."""
    return float(0.5 ** (step // interval))


def cosine_decay(progress: float) -> float:
    """``(1 + cos(pi x)) / 2`` for x from 0 to 1, 0 beyond; source: Loshchilov and Hutter, SGDR (2017), no restarts."""
    return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def resume(
    optimizer: Optimizer, scheduler: LambdaLR, optimizer_state: dict[str, Any], scheduler_state: dict[str, Any]
) -> None:
    """Continue where a checkpoint stopped, with the learning rate of the current options.

    :param optimizer: a new optimizer, with the learning rate after warm-up.
    :param scheduler: scheduler of this optimizer.
    """
    base_rates = list(scheduler.base_lrs)
    optimizer.load_state_dict(optimizer_state)
    scheduler.load_state_dict(scheduler_state)
    scheduler.base_lrs = base_rates
    for group, rate, factor in zip(optimizer.param_groups, base_rates, scheduler.lr_lambdas, strict=True):
        group["initial_lr"] = rate
        group["lr"] = rate * factor(scheduler.last_epoch)
