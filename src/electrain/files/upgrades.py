"""Checkpoints of older versions become new, one step after the other."""

from collections.abc import Callable, Mapping
from typing import Any

# changes a checkpoint in place, from one version to the next
Upgrade = Callable[[dict[str, Any]], None]


def upgrade(checkpoint: dict[str, Any], kind: str, upgrades: Mapping[int, Upgrade], current: int) -> dict[str, Any]:
    """Bring a checkpoint to a version, one step after the other.

    :param checkpoint: changed in place.
    :param kind: ``"model"`` or ``"trainer"``.
    :param upgrades: by the version that they start from.
    :param current: version to reach.
    :raises RuntimeError: if there is no way from the checkpoint's version.
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
