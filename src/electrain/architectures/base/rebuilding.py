"""Models rebuilt from checkpoints that were read without executing any code in them."""

from typing import Any

from metatrain.utils.architectures import find_all_architectures, import_architecture
from metatrain.utils.io import model_from_checkpoint

from .checkpoints import check_version
from .model import SpectralModel


def is_spectral(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint contains a :class:`SpectralModel`, alone or inside metatrain's ``llpr``.

    Models of other architectures could open files that their hyperparameters name.
    """
    name = _without_uncertainties(checkpoint).get("architecture_name")
    if name not in find_all_architectures():
        return False
    try:
        return issubclass(import_architecture(name).__model__, SpectralModel)
    except ImportError:  # an architecture of metatrain that is not installed completely
        return False


def rebuild_model(checkpoint: dict[str, Any]) -> Any:
    """Return the best model of a checkpoint with a :class:`SpectralModel`, with its uncertainties if it has them.

    :param checkpoint: result of :func:`~electrain.files.checkpoints.read_checkpoint`, upgraded in place.
    :raises ValueError: for a checkpoint that is incomplete or from a newer version.
    """
    check_version(_without_uncertainties(checkpoint))
    try:
        return model_from_checkpoint(checkpoint, context="export").eval()
    except Exception as error:  # metatrain and torch raise all kinds of errors
        reasons = [str(e).strip().partition("\n")[0] or type(e).__name__ for e in (error, error.__cause__) if e]
        raise ValueError(f"the model cannot be rebuilt: {': '.join(reasons)}") from error


def _without_uncertainties(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the model's own checkpoint, which metatrain's ``llpr`` contains."""
    if checkpoint.get("architecture_name") == "llpr":
        return checkpoint.get("wrapped_model_checkpoint") or {}
    return checkpoint
