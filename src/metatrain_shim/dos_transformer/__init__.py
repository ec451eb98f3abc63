"""Where metatrain looks for ``dos_transformer``; the code lives in ``electrain.architectures.dos_transformer``."""

from electrain.architectures.dos_transformer import __authors__, __maintainers__, __model__, __trainer__

__all__ = ["__authors__", "__maintainers__", "__model__", "__trainer__"]
