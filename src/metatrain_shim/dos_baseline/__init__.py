"""Where metatrain looks for ``dos_baseline``; the code lives in ``electrain.architectures.dos_baseline``."""

from electrain.architectures.dos_baseline import __authors__, __maintainers__, __model__, __trainer__

__all__ = ["__authors__", "__maintainers__", "__model__", "__trainer__"]
