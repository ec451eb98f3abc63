"""Where metatrain looks for ``pet_mad``; the code lives in ``electrain.architectures.pet_mad``."""

from electrain.architectures.pet_mad import __authors__, __maintainers__, __model__, __trainer__

__all__ = ["__authors__", "__maintainers__", "__model__", "__trainer__"]
