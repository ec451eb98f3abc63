"""Where metatrain looks for ``bandformer``; the code lives in ``electrain.architectures.bandformer``."""

from electrain.architectures.bandformer import __authors__, __maintainers__, __model__, __trainer__

__all__ = ["__authors__", "__maintainers__", "__model__", "__trainer__"]
