"""The encoders: atoms attend to their neighbors.

Source: Gong et al., "Graph transformer networks for accurate band structure prediction" (2024), equation 1.
"""

from typing import NamedTuple

import torch
from torch import nn

from electrain.nn.batch import Batch, Edges
from electrain.nn.cutoff import Cutoff
from electrain.nn.element_embedding import ElementEmbedding
from electrain.nn.graph_network import GaussianExpansion
from electrain.nn.layers import LayerNorm, Linear
from electrain.nn.perceptron import Perceptron
from electrain.nn.point_edge_transformer import PointEdgeEncoder

# TorchScript: functions cannot read module-level numbers, so it is a default argument below.
_MIN_WEIGHT = 1e-15


class Neighborhoods(NamedTuple):
    """Pairs of an atom and one that it attends to: itself, and its neighbors."""

    centers: torch.Tensor  # (num_pairs,) int64
    members: torch.Tensor  # (num_pairs,) int64
    distances: torch.Tensor  # (num_pairs,) | Angstrom
    bias: torch.Tensor  # (num_pairs, 1) | logarithm of the cutoff function


def neighborhoods(graph: Edges, num_atoms: int, min_weight: float = _MIN_WEIGHT) -> Neighborhoods:
    """Join the edges and the atoms themselves."""
    atoms = torch.arange(num_atoms, device=graph.centers.device)
    own = torch.zeros_like(graph.atomic_cutoffs)
    bias = torch.log(graph.weights.clamp_min(min_weight))
    return Neighborhoods(
        centers=torch.cat([atoms, graph.centers]),
        members=torch.cat([atoms, graph.neighbors]),
        distances=torch.cat([own, graph.distances]),
        bias=torch.cat([own, bias]).unsqueeze(1),
    )


def softmax_by_center(logits: torch.Tensor, centers: torch.Tensor, num_atoms: int) -> torch.Tensor:
    """Softmax over the pairs of each center, (num_pairs, num_heads)."""
    columns = centers.unsqueeze(1).expand_as(logits)
    fixed = logits.detach()
    largest = fixed.new_zeros(num_atoms, logits.shape[1]).scatter_reduce(0, columns, fixed, "amax", include_self=False)
    weights = torch.exp(logits - largest[centers])
    sums = torch.zeros_like(largest).index_add(0, centers, weights)
    return weights / sums[centers]


class GraphAttention(nn.Module):
    r"""One layer of the encoder, equation 1.

    .. math::
        \alpha_{ij} &\propto f_{ij} \exp\Big(\frac{q_i \cdot k_j}{\sqrt{d}} + m_{ij}\Big), \qquad
        \textstyle\sum_j \alpha_{ij} = 1 \\
        x_i &\leftarrow x_i + \mathrm{LayerNorm}\big(\textstyle\sum_j \alpha_{ij} (v_j + W B_{ij})\big) \\
        x_i &\leftarrow x_i + \mathrm{LayerNorm}(\phi(x_i))

    with several heads of width d, Gaussians B of the distance, their projections m to a number for each head, and a
    network :math:`\phi` of two layers. Attention fades out with the cutoff function f. An atom also attends to itself,
    so that the last of its neighbors fades out, too.

    The paper has no distances in the values. Then a mean over atoms with equal features does not depend on its weights,
    so that no distance could be seen in the crystals of an element.

    :param width: number of features of an atom, divisible by ``num_heads``.
    :param num_gaussians: number of Gaussians of a distance.
    :param num_heads: number of attention heads.
    :param feedforward_width: number of hidden features of the network.
    :param dropout: share of the attention weights and hidden features that is left out in training.
    """

    LOW_RANK_LAYERS = ("query", "key", "value", "distance_bias", "distance_value")

    def __init__(self, width: int, num_gaussians: int, num_heads: int, feedforward_width: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.head_width = num_heads, width // num_heads
        self.query, self.key, self.value = Linear(width, width), Linear(width, width), Linear(width, width)
        self.distance_bias, self.distance_value = Linear(num_gaussians, num_heads), Linear(num_gaussians, width)
        self.dropout = nn.Dropout(dropout)
        self.normalize = LayerNorm(width)
        self.feedforward = Perceptron(width, feedforward_width, width, dropout=dropout, normalized=True)

    def forward(self, nodes: torch.Tensor, gaussians: torch.Tensor, pairs: Neighborhoods) -> torch.Tensor:
        """Features of atoms (num_atoms, width) and Gaussians of the pairs (num_pairs, num_gaussians) -> features."""
        heads = [-1, self.num_heads, self.head_width]
        queries = self.query(nodes).reshape(heads).index_select(0, pairs.centers)
        keys = self.key(nodes).reshape(heads).index_select(0, pairs.members)
        values = self.value(nodes).index_select(0, pairs.members) + self.distance_value(gaussians)
        logits = (queries * keys).sum(dim=2) * self.head_width**-0.5 + self.distance_bias(gaussians) + pairs.bias
        weights = self.dropout(softmax_by_center(logits, pairs.centers, len(nodes)))
        mixed = (weights.unsqueeze(2) * values.reshape(heads)).flatten(1)
        nodes = nodes + self.normalize(torch.zeros_like(nodes).index_add(0, pairs.centers, mixed))
        return nodes + self.feedforward(nodes)  # type: ignore[no-any-return]


class GraphTransformer(nn.Module):
    """Elements and pairs of atoms -> features of atoms; only distances enter.

    :param elements: features of the elements, (width,) for each.
    :param radius: largest distance, in Angstrom, for the Gaussians.
    :param num_layers: number of layers.
    """

    def __init__(
        self,
        elements: ElementEmbedding,
        radius: float,
        *,
        width: int,
        num_layers: int,
        num_gaussians: int,
        num_heads: int,
        feedforward_width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.elements = elements
        self.expand = GaussianExpansion(radius, num_gaussians)
        self.layers = nn.ModuleList(
            GraphAttention(width, num_gaussians, num_heads, feedforward_width, dropout) for _ in range(num_layers)
        )

    def interaction_range(self, pairs: Cutoff) -> float:
        """One cutoff for each layer of attention to neighbors; an adaptive one depends on neighbors of neighbors."""
        return (len(self.layers) + (0 if pairs.num_neighbors is None else 1)) * pairs.radius

    def forward(self, batch: Batch, graph: Edges) -> torch.Tensor:
        """A batch and its edges -> features of all atoms, (num_atoms, width)."""
        nodes = self.elements(batch.elements)
        pairs = neighborhoods(graph, len(batch.elements))
        gaussians = self.expand(pairs.distances)
        for layer in self.layers:
            nodes = layer(nodes, gaussians, pairs)
        return nodes  # type: ignore[no-any-return]


class PointEdgeFeatures(nn.Module):
    r"""Features of atoms from a Point Edge Transformer, :math:`x_i = W\, \mathrm{LayerNorm}(h_i)`.

    h are the features of the nodes and the weighted sums over those of the edges, of all readout layers. The
    transformer reads vectors between atoms, so features change with the orientation of a structure as far as training
    on rotated structures has not made them equal.

    :param transformer: its layers.
    :param width: number of features of an atom.
    """

    def __init__(self, transformer: PointEdgeEncoder, width: int) -> None:
        super().__init__()
        self.transformer = transformer
        size = transformer.num_readouts * (transformer.node_width + transformer.edge_width)
        self.normalize = LayerNorm(size)
        self.project = Linear(size, width)

    def interaction_range(self, pairs: Cutoff) -> float:
        """That of the transformer, which has edges of its own."""
        return self.transformer.interaction_range()

    def forward(self, batch: Batch, graph: Edges) -> torch.Tensor:
        """A batch -> features of all atoms, (num_atoms, width); the edges of k-points are not read."""
        features = self.transformer.pooled_features(self.transformer(batch))
        return self.project(self.normalize(features.values))  # type: ignore[no-any-return]
