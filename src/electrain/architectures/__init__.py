"""Architectures that metatrain can train, each with the layout that metatrain expects."""

import warnings

from electrain.training.silencing import silence_warnings

with warnings.catch_warnings():
    silence_warnings()
    import metatensor.torch.operations  # noqa: F401 (scripts functions when imported, which metatrain does later)
