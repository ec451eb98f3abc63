"""Where metatrain looks for ``tiny_net``; the code lives in ``electrain.architectures.tiny_net``."""

from electrain.architectures.tiny_net import __authors__, __maintainers__, __model__, __trainer__

__all__ = ["__authors__", "__maintainers__", "__model__", "__trainer__"]
