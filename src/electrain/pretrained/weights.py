"""Checkpoints of embedded models: their weights are those of the exported model beside them, and stored only there."""

from pathlib import Path
from typing import Any

# Tensors with fewer numbers stay in the checkpoint.
_LARGE = 1000
_STATES = ("model_state_dict", "best_model_state_dict")


def without_weights(checkpoint: dict[str, Any], exported: Path) -> dict[str, Any]:
    """Return a checkpoint whose large tensors are replaced by their names in an exported model.

    :param checkpoint: of a model, not of its uncertainties; only its best state is kept.
    :param exported: the same model, which may have uncertainties.
    :raises ValueError: if it is another model.
    """
    known = _weights(exported)
    state: dict[str, Any] = {}
    for name, value in checkpoint["best_model_state_dict"].items():
        if value.numel() < _LARGE:
            state[name] = value.clone()  # not the whole storage that it may be a view of
            continue
        found = [key for key in (f"module.{name}", f"module.model.{name}") if key in known]
        if not found or not bool((known[found[0]] == value).all()):
            raise ValueError(f"{exported} is not the exported model of this checkpoint: {name} differs")
        state[name] = found[0]
    kept = ("architecture_name", "model_ckpt_version", "metadata", "model_data")
    return {**{name: checkpoint[name] for name in kept}, "epoch": None, "best_epoch": None, _STATES[1]: state}


def lacks_weights(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint is a result of :func:`without_weights`."""
    return any(isinstance(value, str) for value in checkpoint.get(_STATES[1], {}).values())


def with_weights(checkpoint: dict[str, Any], exported: Path) -> dict[str, Any]:
    """Return the complete checkpoint that :func:`without_weights` was given.

    :raises ValueError: if the exported model is another one.
    """
    known = _weights(exported)
    missing = [key for key in checkpoint[_STATES[1]].values() if isinstance(key, str) and key not in known]
    if missing:
        raise ValueError(f"{exported} is not the exported model of this checkpoint: it has no {missing[0]}")
    state = {name: known[value] if isinstance(value, str) else value for name, value in checkpoint[_STATES[1]].items()}
    return {**checkpoint, **dict.fromkeys(_STATES, state)}


def _weights(exported: Path) -> dict[str, Any]:
    from electrain.files.models import load_any_model  # imports torch, which takes seconds

    return dict(load_any_model(exported).state_dict())
