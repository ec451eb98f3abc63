"""The network of DOSTransformer on plain tensors: scriptable, imports only torch."""

from .heads import EnergyHead, EnergyTransformerShape, Features, ScalarHead
from .network import DOSTransformerNetwork

__all__ = ["DOSTransformerNetwork", "EnergyHead", "EnergyTransformerShape", "Features", "ScalarHead"]
