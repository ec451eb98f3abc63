"""Upgrades of old checkpoints, one function per version step."""

from typing import Any


def upgrade_model(checkpoint: dict[str, Any], current: int) -> dict[str, Any]:
    """Bring a model checkpoint to version ``current``.

    :raises RuntimeError: if its version is unknown.
    """
    return _require(checkpoint, "model", current)


def upgrade_trainer(checkpoint: dict[str, Any], current: int) -> dict[str, Any]:
    """Bring a trainer checkpoint to version ``current``.

    :raises RuntimeError: if its version is unknown.
    """
    return _require(checkpoint, "trainer", current)


def _require(checkpoint: dict[str, Any], kind: str, current: int) -> dict[str, Any]:
    version = checkpoint[f"{kind}_ckpt_version"]
    if version != current:
        raise RuntimeError(
            f"Unable to upgrade the checkpoint: the checkpoint is using {kind} version {version}, "
            f"while the current {kind} version is {current}."
        )
    return checkpoint
