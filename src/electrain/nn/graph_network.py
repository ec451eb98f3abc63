"""The graph network of DOSTransformer: features of atoms from distances to their neighbors.

Source: Lee et al., "Predicting density of states via multi-modal transformer" (2023), equations 4 and 5; Battaglia et
al., "Relational inductive biases, deep learning, and graph networks" (2018).
"""

import torch
from torch import nn
from torch.nn import functional

from .atom_inputs import AtomInputs
from .batch import Edges
from .layers import LayerNorm, Linear
from .perceptron import Perceptron


class GaussianExpansion(nn.Module):
    r"""Distances as Gaussians, :math:`B_n = e^{-(r - c_n)^2 / 2 w^2}`.

    :param radius: the centers c go from 0 to this distance, in Angstrom; w is their spacing.
    :param size: number of Gaussians, at least 2.
    """

    centers: torch.Tensor  # (size,) | Angstrom

    def __init__(self, radius: float, size: int) -> None:
        super().__init__()
        self.width = radius / (size - 1)
        self.register_buffer("centers", torch.linspace(0.0, radius, size, dtype=torch.get_default_dtype()))

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        """(num_edges,) in Angstrom -> (num_edges, size)."""
        return torch.exp(-0.5 * ((distances.unsqueeze(1) - self.centers) / self.width) ** 2)


class MessagePassing(nn.Module):
    r"""One step of the processor, equation 5.

    .. math::
        b_{ij} &\leftarrow b_{ij} + \psi_\mathrm{edge}(h_i, h_j, b_{ij}) \\
        h_i &\leftarrow h_i + \psi_\mathrm{node}\big(h_i, \textstyle\sum_j f_c(r_{ij})\, b_{ij}\big)

    with networks :math:`\psi` of two layers, whose results are normalised. The cutoff function lets messages fade out,
    so that features are smooth functions of the positions.

    The first layer for edges is linear in each of its three arguments, so those of the nodes are computed once per
    node instead of once per edge.

    :param width: number of features of a node, an edge, and the hidden layers.
    :param dropout: share of the hidden features that is left out in training.
    """

    LOW_RANK_LAYERS = ("of_centers", "of_neighbors", "of_edges", "second")

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.of_centers, self.of_neighbors = Linear(width, width), Linear(width, width)
        self.of_edges, self.second = Linear(width, width), Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.normalize = LayerNorm(width)
        self.node_network = Perceptron(2 * width, width, width, dropout=dropout, normalized=True)

    def forward(self, nodes: torch.Tensor, edges: torch.Tensor, graph: Edges) -> tuple[torch.Tensor, torch.Tensor]:
        """Nodes (num_atoms, width) and edges (num_edges, width) -> both, updated."""
        hidden = self.of_edges(edges)
        hidden = hidden + self.of_centers(nodes).index_select(0, graph.centers)
        hidden = hidden + self.of_neighbors(nodes).index_select(0, graph.neighbors)
        edges = edges + self.normalize(self.second(self.dropout(functional.silu(hidden))))
        messages = edges * graph.weights.unsqueeze(1)
        sums = torch.zeros_like(nodes).index_add(0, graph.centers, messages)
        return nodes + self.node_network(torch.cat([nodes, sums], dim=1)), edges


class GraphNetwork(nn.Module):
    r"""Encoder and processor: structures and pairs of atoms -> features of atoms.

    .. math:: h_i^0 = \phi_\mathrm{node}(X_i), \qquad b_{ij}^0 = \phi_\mathrm{edge}(B_{ij})

    with networks of two layers, followed by :class:`MessagePassing`. Only distances enter, so that features do not
    change if a structure is rotated or inverted.

    :param inputs: features X of the elements.
    :param radius: cutoff in Angstrom.
    :param width: number of features of a node and of an edge.
    :param num_layers: number of steps of message passing; 0 for a network that does not see neighbors.
    :param num_gaussians: number of Gaussians B of a distance.
    :param dropout: share of the hidden features that is left out in training.
    """

    def __init__(
        self,
        inputs: AtomInputs,
        *,
        radius: float,
        width: int,
        num_layers: int,
        num_gaussians: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.encode_nodes = Perceptron(inputs.size, width, width, dropout=dropout, normalized=True)
        self.expand = GaussianExpansion(radius, num_gaussians)
        self.encode_edges = Perceptron(num_gaussians, width, width, dropout=dropout, normalized=True)
        self.layers = nn.ModuleList(MessagePassing(width, dropout) for _ in range(num_layers))

    def forward(self, elements: torch.Tensor, graph: Edges) -> torch.Tensor:
        """Elements (num_atoms,) and pairs of atoms -> features of all atoms, (num_atoms, width)."""
        nodes = self.encode_nodes(self.inputs(elements))
        edges = self.encode_edges(self.expand(graph.distances))
        for layer in self.layers:
            nodes, edges = layer(nodes, edges, graph)
        return nodes  # type: ignore[no-any-return]
