"""The Point Edge Transformer on plain tensors: scriptable, imports only torch.

Data flow in one direction: :class:`~electrain.nn.batch.Batch` (structures and pairs of atoms) -> tokens (``buckets``)
-> features of atoms and edges (``transformer``, ``encoder``) -> predictions (``heads``, ``network``).
"""

from .encoder import Features, PointEdgeEncoder
from .heads import PooledHead
from .network import FewData, PointEdgeTransformer
from .transformer import TransformerShape

__all__ = ["Features", "FewData", "PointEdgeEncoder", "PointEdgeTransformer", "PooledHead", "TransformerShape"]
