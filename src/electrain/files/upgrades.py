"""Upgrading checkpoints of older versions, step by step."""

from collections.abc import Callable, Mapping
from typing import Any

# changes a checkpoint in place, from one version to the next
Upgrade = Callable[[dict[str, Any]], None]


def weights_of(checkpoint: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the weights by name of the latest and the best model in a checkpoint, as far as there are any."""
    states = [checkpoint[key] for key in ("model_state_dict", "best_model_state_dict")]
    return [state for state in states if state is not None]


def upgrade(checkpoint: dict[str, Any], kind: str, upgrades: Mapping[int, Upgrade], current: int) -> dict[str, Any]:
    """Upgrade a checkpoint to a version, step by step.

    :param checkpoint: the checkpoint, changed in place.
    :param kind: ``"model"`` or ``"trainer"``.
    :param upgrades: upgrades by the version from which they start.
    :param current: version to reach.
    :raises RuntimeError: if the checkpoint's version cannot be upgraded.
    """
    key = f"{kind}_ckpt_version"
    while checkpoint[key] != current:
        if checkpoint[key] not in upgrades:
            raise RuntimeError(
                f"Unable to upgrade the checkpoint: the checkpoint is using {kind} version {checkpoint[key]}, "
                f"while the current {kind} version is {current}."
            )
        upgrades[checkpoint[key]](checkpoint)
        checkpoint[key] += 1
    return checkpoint
