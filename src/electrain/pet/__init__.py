"""The Point Edge Transformer on plain tensors: scriptable, imports torch only.

Data flows one way: :class:`~electrain.pet.batch.Batch` (structures and pairs of atoms) -> edges with smooth
cutoffs (``neighbors``, ``cutoff``) -> token features (``transformer``, ``network``) -> predictions (``heads``).
"""

from .batch import Batch
from .heads import PooledFeatures, PooledHead, SpectrumConvolution
from .network import Features, PointEdgeTransformer

__all__ = ["Batch", "Features", "PointEdgeTransformer", "PooledFeatures", "PooledHead", "SpectrumConvolution"]
