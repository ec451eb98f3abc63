"""The network of Bandformer on plain tensors: scriptable, imports only torch."""

from .encoder import GraphTransformer, PointEdgeFeatures
from .heads import BandsHead, BandsShape, Features, NumberHead, TransformerShape
from .network import BandformerNetwork

__all__ = [
    "BandformerNetwork",
    "BandsHead",
    "BandsShape",
    "Features",
    "GraphTransformer",
    "NumberHead",
    "PointEdgeFeatures",
    "TransformerShape",
]
