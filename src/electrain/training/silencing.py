"""Warnings of other packages that say nothing to whoever trains a model."""

import warnings


def silence_warnings() -> None:
    """From now on, hide that TorchScript is deprecated, which is a matter between torch and metatomic."""
    for name in ("script", "save", "load"):
        message = rf"`torch\.jit\.{name}` is deprecated"
        warnings.filterwarnings("ignore", message, DeprecationWarning, module=r"torch\.jit")
