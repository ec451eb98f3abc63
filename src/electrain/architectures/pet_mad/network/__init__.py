"""The Point Edge Transformer on plain tensors: scriptable, imports only torch.

Data flow in one direction: :class:`~electrain.nn.batch.Batch` (structures and pairs of atoms) -> edges with smooth
cutoffs (``neighbors``, ``cutoff``) -> token features (``transformer``, ``network``) -> predictions (``heads``).
"""

from electrain.nn.batch import Batch
from electrain.nn.pooling import PooledFeatures
from electrain.nn.spectrum_convolution import SpectrumConvolution

from .heads import PooledHead
from .network import Features, FewData, PointEdgeTransformer

__all__ = [
    "Batch",
    "Features",
    "FewData",
    "PointEdgeTransformer",
    "PooledFeatures",
    "PooledHead",
    "SpectrumConvolution",
]
