"""The network, on plain tensors."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from electrain.nn.batch import Batch
from electrain.nn.cutoff import Cutoff
from electrain.nn.edges import find_edges
from electrain.nn.layers import Linear
from electrain.nn.network import Network, Predictions
from electrain.nn.pooling import PooledFeatures
from electrain.nn.selection import Selection, of_samples, of_selected

NUM_RADIAL = 8


class Features(NamedTuple):
    """What the heads read."""

    nodes: torch.Tensor  # (num_atoms, width)


class TwoLayers(nn.Module):
    """Two linear layers with SiLU."""

    LOW_RANK_LAYERS = ("first", "second")

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.first, self.second = Linear(size, width), Linear(width, width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(num_atoms, size) -> (num_atoms, width)."""
        return functional.silu(self.second(functional.silu(self.first(values))))


class ToyNetwork(Network):
    """Features of atoms from the distances to their neighbors."""

    def __init__(self, num_elements: int, cutoff: float, width: int) -> None:
        super().__init__()
        self.pairs = Cutoff(radius=float(cutoff), width=0.5)
        self.num_features = width
        self.embedding = nn.Embedding(num_elements, width)
        self.radial = nn.Linear(NUM_RADIAL, width)
        self.layers = TwoLayers(2 * width, width)
        self.heads = nn.ModuleDict()
        self.register_buffer("centers", torch.linspace(0.5, float(cutoff), NUM_RADIAL))

    def interaction_range(self) -> float:
        """One cutoff."""
        return self.pairs.radius

    def make_head(self, size: int, kind: str) -> nn.Module:
        """A linear map."""
        return nn.Linear(self.num_features, size)

    def last_layer(self, name: str) -> list[str]:
        """Its weight."""
        return [f"heads.{name}.weight"]

    def forward(self, batch: Batch) -> Features:
        """Sums over neighbors, then two layers."""
        edges = find_edges(batch, self.pairs)
        radial = torch.exp(-2.0 * (edges.distances.unsqueeze(1) - self.centers) ** 2)
        messages = self.radial(radial) * self.embedding(batch.elements[edges.neighbors]) * edges.weights.unsqueeze(1)
        own = self.embedding(batch.elements)
        return Features(
            self.layers(torch.cat([own, torch.zeros_like(own).index_add(0, edges.centers, messages)], dim=1))
        )

    @torch.jit.export
    def pooled_features(self, features: Features) -> PooledFeatures:
        """Those of the atoms."""
        ones = torch.ones_like(features.nodes[:, 0])
        return PooledFeatures(values=features.nodes, num_nodes=ones, edge_weight=torch.zeros_like(ones))

    @torch.jit.export
    def predict(
        self, features: Features, wanted: dict[str, str], features_of: list[str], selection: Selection
    ) -> Predictions:
        """Linear maps of features, which are summed up before."""
        values: dict[str, torch.Tensor] = {}
        pooled_features: dict[str, PooledFeatures] = {}
        pooled = of_selected(self.pooled_features(features), selection)
        for name, head in self.heads.items():
            if name in features_of:
                pooled_features[name] = pooled
            if name in wanted:
                samples = of_samples(pooled, wanted[name], name in self.averaged, selection)
                linear = functional.linear(samples.values, head.weight)
                values[name] = linear + samples.num_nodes.unsqueeze(1) * head.bias
        return Predictions(values, pooled_features)
