"""Learning-rate schedules."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_then_halving(
    optimizer: Optimizer, steps_per_epoch: int, warmup_epochs: float, halving_epochs: float
) -> LambdaLR:
    """Grow the learning rate linearly from 0 during warm-up, then halve it at regular intervals.

    Source: PET-MAD-DOS paper, section IV.4 (warm-up over 100 epochs, halved every 250).

    :param optimizer: whose learning rate is the one after warm-up.
    :param steps_per_epoch: optimizer steps in an epoch.
    :param warmup_epochs: length of the warm-up; 0 for none.
    :param halving_epochs: interval between halvings.
    """
    warmup_steps = round(warmup_epochs * steps_per_epoch)
    halving_steps = max(1, round(halving_epochs * steps_per_epoch))

    def factor(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        return float(0.5 ** ((step - warmup_steps) // halving_steps))

    return LambdaLR(optimizer, factor)


def resume(
    optimizer: Optimizer, scheduler: LambdaLR, optimizer_state: dict[str, Any], scheduler_state: dict[str, Any]
) -> None:
    """Continue where a checkpoint stopped, with the learning rate of the present options.

    :param optimizer: freshly made; its learning rate is the one after warm-up.
    :param scheduler: of that optimizer.
    """
    base_rates = list(scheduler.base_lrs)
    optimizer.load_state_dict(optimizer_state)
    scheduler.load_state_dict(scheduler_state)
    scheduler.base_lrs = base_rates
    for group, rate, factor in zip(optimizer.param_groups, base_rates, scheduler.lr_lambdas, strict=True):
        group["initial_lr"] = rate
        group["lr"] = rate * factor(scheduler.last_epoch)
