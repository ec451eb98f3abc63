"""Bandformer: a batch of structures -> features of atoms -> bands at k-points, spectra and numbers.

Source: Gong et al., "Graph transformer networks for accurate band structure prediction: an end-to-end approach" (2024).
"""

import torch
from torch import nn

from electrain.nn.batch import Batch
from electrain.nn.cutoff import Cutoff
from electrain.nn.edges import find_edges
from electrain.nn.network import Network, Predictions
from electrain.nn.pooling import PooledFeatures, of_nodes
from electrain.nn.selection import Selection

from .encoder import GraphTransformer, PointEdgeFeatures
from .heads import BandsHead, BandsShape, Features, NumberHead, TransformerShape


class BandformerNetwork(Network):
    """An encoder of atoms, a head in which k-points attend to them, and linear heads for all other targets.

    :param cutoff: which pairs of atoms become edges.
    :param encoder: of the atoms, to ``shape.width`` features.
    :param shape: sizes of the transformers.
    :param bands: the bands, and how they are decoded.
    :param num_gaussians: number of Gaussians of a distance.
    """

    def __init__(
        self,
        cutoff: Cutoff,
        encoder: GraphTransformer | PointEdgeFeatures,
        shape: TransformerShape,
        bands: BandsShape,
        *,
        num_gaussians: int,
    ) -> None:
        super().__init__()
        self.pairs, self.shape, self.bands, self.num_gaussians = cutoff, shape, bands, num_gaussians
        self.num_features = shape.width
        self.reads_k_points = True
        self.encoder = encoder
        self.heads = nn.ModuleDict()

    def interaction_range(self) -> float:
        """See :meth:`Network.interaction_range`: that of the features of atoms."""
        return self.encoder.interaction_range(self.pairs)

    def neighbor_radius(self) -> float:
        """See :meth:`Network.neighbor_radius`."""
        if isinstance(self.encoder, PointEdgeFeatures):
            return max(self.pairs.radius, self.encoder.transformer.pairs.radius)
        return self.pairs.radius

    def make_head(self, size: int, kind: str) -> nn.Module:
        """See :meth:`Network.make_head`."""
        return NumberHead(self.num_features, size, self.shape.dropout)

    def make_bands_head(self, size: int) -> nn.Module:
        """See :meth:`Network.make_bands_head`; the size is that of the shape."""
        return BandsHead(self.shape, self.bands, radius=self.pairs.radius, num_gaussians=self.num_gaussians)

    def last_layer(self, name: str) -> list[str]:
        """See :meth:`Network.last_layer`."""
        return [] if isinstance(self.head(name), BandsHead) else [f"heads.{name}.last.weight"]

    def forward(self, batch: Batch) -> Features:
        """Compute the features of all atoms of a batch."""
        graph = find_edges(batch, self.pairs)
        nodes = self.encoder(batch, graph)
        return Features(nodes, batch.system_of_atom, len(batch.cells), graph, batch.k_points)

    @torch.jit.export
    def pooled_features(self, features: Features) -> PooledFeatures:
        """See :meth:`Network.pooled_features`."""
        return of_nodes(features.nodes)

    @torch.jit.export
    def predict(
        self, features: Features, wanted: dict[str, str], features_of: list[str], selection: Selection
    ) -> Predictions:
        """See :meth:`Network.predict`."""
        values: dict[str, torch.Tensor] = {}
        pooled_features: dict[str, PooledFeatures] = {}
        for name, head in self.heads.items():
            if name in features_of:
                last = head.last_features(features.nodes[selection.atoms])  # type: ignore[operator]
                pooled_features[name] = of_nodes(last)
            if name in wanted:
                values[name] = head.predict(features, wanted[name], name in self.averaged, selection)  # type: ignore[operator]
        return Predictions(values, pooled_features)
