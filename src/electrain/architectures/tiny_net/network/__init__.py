"""The network of TinyNet on plain tensors: scriptable, imports only torch."""

from .bonds import BondRule
from .network import TinyNetwork
from .paths import PathRule
from .vector import BondingVector, NeighborRule, Vectors

__all__ = ["BondRule", "BondingVector", "NeighborRule", "PathRule", "TinyNetwork", "Vectors"]
