"""The layers of the Point Edge Transformer: a batch of structures -> features of atoms and edges.

Source: Pozdnyakov and Ceriotti, "Smooth, exact rotational symmetrization for deep learning on point clouds"
(2023); Mazitov et al., PET-MAD (2025).
"""

from typing import NamedTuple

import torch
from torch import nn

from electrain.nn.batch import Batch, Edges
from electrain.nn.conditioning import StateEmbedding, StateRange
from electrain.nn.cutoff import Cutoff
from electrain.nn.edges import find_edges
from electrain.nn.element_embedding import ElementEmbedding
from electrain.nn.layers import LayerNorm, Linear
from electrain.nn.pooling import PooledFeatures, sum_edges

from .batch import Buckets, LayerInputs, PreparedBatch
from .buckets import make_buckets
from .transformer import MessagePassingLayer, TransformerShape, attention_bias


class Features(NamedTuple):
    """Input of all heads: features of each readout layer, and the edges they belong to."""

    nodes: list[torch.Tensor]  # per readout layer (num_atoms, node_width)
    edges: list[torch.Tensor]  # per readout layer (num_edges, edge_width)
    graph: Edges
    elements: torch.Tensor  # (num_atoms,) int64
    descriptors: torch.Tensor  # (num_atoms, num_descriptors) | no columns for a network without them


class PointEdgeEncoder(nn.Module):
    """Transformers over atomic neighborhoods that exchange messages along edges.

    There are two featurizers: ``residual`` embeds the atoms separately in every message-passing layer, averages
    messages with their reverse and reads out every layer; ``feedforward`` passes nodes on, combines edges with their
    reverse in a small network and reads out only the last layer.

    :param num_elements: number of chemical elements; ``Batch.elements`` counts from 0 to this.
    :param cutoff: which pairs of atoms become edges.
    :param shape: shape of the transformers.
    :param featurizer: ``"residual"`` or ``"feedforward"``.
    :param num_message_passing_layers: number of transformers.
    :param states: allowed charges and spin multiplicities, for a network that reads them (``Batch.states``).
    :param properties: (num_elements, num_properties) of the elements for embeddings of few data, or ``None``.
    """

    pairs: Cutoff  # TorchScript: otherwise it is a tuple without names

    def __init__(
        self,
        num_elements: int,
        cutoff: Cutoff,
        shape: TransformerShape,
        *,
        featurizer: str,
        num_message_passing_layers: int,
        states: StateRange | None = None,
        properties: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        if featurizer not in ("residual", "feedforward"):
            raise ValueError(f"featurizer must be 'residual' or 'feedforward', got {featurizer!r}")
        self.pairs = cutoff
        self.residual = featurizer == "residual"
        self.node_width, self.edge_width = shape.node_width, shape.edge_width
        self.num_readouts = num_message_passing_layers if self.residual else 1
        self.layers = nn.ModuleList(
            MessagePassingLayer(num_elements, shape, with_messages=index > 0, properties=properties)
            for index in range(num_message_passing_layers)
        )
        self.node_embeddings = nn.ModuleList(
            ElementEmbedding(num_elements, shape.node_width, properties) for _ in range(self.num_readouts)
        )
        # Only the feedforward featurizer combines edges through networks.
        num_combinations = 0 if self.residual else num_message_passing_layers
        self.combinations = nn.ModuleList(_combination(shape.edge_width) for _ in range(num_combinations))
        self.reads_states = states is not None
        self.state_embedding = None if states is None else StateEmbedding(shape.node_width, states)
        # Read at every call, also by exported models; `precision.MatmulPrecision` switches it.
        self.bfloat16_tokens = False

    def interaction_range(self) -> float:
        """Return the largest distance, in Angstrom, from which an atom can still change a feature.

        Every layer adds one cutoff. The feedforward featurizer reads out edges after mixing them once more with their
        reverse, which belongs to the neighbor's neighborhood; this adds one cutoff. With adaptive cutoffs, the weight
        of an edge also depends on its neighbor's neighborhood, so the radius of the atom at the far end adds one more.
        """
        reach = len(self.layers) + (0 if self.residual else 1) + (0 if self.pairs.num_neighbors is None else 1)
        return reach * self.pairs.radius

    def forward(self, batch: Batch) -> Features:
        """Compute the features of all atoms and edges of a batch."""
        return self.propagate(self.prepared(batch))

    def prepared(self, batch: Batch) -> PreparedBatch:
        """Find the edges of a batch, and lay out its tokens."""
        graph = self.find_edges(batch)
        buckets = make_buckets(graph.centers, len(batch.elements))
        return prepare(batch.elements, batch.system_of_atom, batch.states, graph, buckets)

    @torch.jit.export
    def pooled_features(self, features: Features) -> PooledFeatures:
        """Return the features of every atom before any head: those of its node and the weighted sum over its edges."""
        graph = features.graph
        num_atoms = len(graph.atomic_cutoffs)
        parts: list[torch.Tensor] = []
        for nodes in features.nodes:
            parts.append(nodes.to(graph.weights.dtype))
        for edges in features.edges:
            parts.append(sum_edges(edges, graph.centers, graph.weights, num_atoms))
        return PooledFeatures(
            values=torch.cat(parts, dim=1),
            num_nodes=torch.ones_like(graph.atomic_cutoffs),
            edge_weight=graph.weights.new_zeros(num_atoms).index_add(0, graph.centers, graph.weights),
        )

    def find_edges(self, batch: Batch) -> Edges:
        """Find the pairs within the cutoff.

        :raises ValueError: as for :func:`~electrain.nn.edges.find_edges`, and for charges and spin multiplicities that
            are missing or unknown.
        """
        if self.state_embedding is not None:
            states = batch.states
            if states is None:
                raise ValueError("the network reads charges and spin multiplicities (`states`), but the batch has none")
            self.state_embedding.check(states)
        return find_edges(batch, self.pairs)

    def propagate(self, batch: PreparedBatch, descriptors: torch.Tensor | None = None) -> Features:
        """Apply all parameters: the same operations for all batches of the same sizes, without waiting for a GPU."""
        elements, inputs, graph = batch.elements, batch.layer_inputs, batch.graph
        # all layers compute in the dtype of the messages
        dtype = torch.bfloat16 if self.bfloat16_tokens else graph.weights.dtype
        messages = self.layers[0].edge_tokens.species(inputs.neighbor_elements).to(dtype)  # type: ignore
        states = self._embedded_states(batch)
        if descriptors is None:
            descriptors = graph.weights.new_zeros(len(elements), 0)
        if self.residual:
            nodes, edges = self._residual(elements, messages, states, inputs, graph)
        else:
            nodes, edges = self._feedforward(elements, messages, states, inputs, graph)
        return Features(nodes, edges, graph, elements, descriptors)

    def _embedded_states(self, batch: PreparedBatch) -> torch.Tensor | None:
        """Features of every atom's structure (num_atoms, node_width), which all layers add to their results."""
        states = batch.states
        if self.state_embedding is None or states is None:
            return None
        return self.state_embedding(states).index_select(0, batch.system_of_atom)

    def _residual(
        self,
        elements: torch.Tensor,
        messages: torch.Tensor,
        states: torch.Tensor | None,
        inputs: LayerInputs,
        graph: Edges,
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        node_features: list[torch.Tensor] = []
        edge_features: list[torch.Tensor] = []
        for layer, embedding in zip(self.layers, self.node_embeddings):  # noqa: B905 (TorchScript: no strict=)
            nodes, edges = layer(embedding(elements), messages, inputs)
            if states is not None:
                nodes = nodes + states.to(nodes.dtype)
            node_features.append(nodes)
            edge_features.append(edges)
            messages = 0.5 * (messages + edges.index_select(0, graph.reverse))
        return node_features, edge_features

    def _feedforward(
        self,
        elements: torch.Tensor,
        messages: torch.Tensor,
        states: torch.Tensor | None,
        inputs: LayerInputs,
        graph: Edges,
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        nodes = self.node_embeddings[0](elements)
        for layer, combination in zip(self.layers, self.combinations):  # noqa: B905 (TorchScript: no strict=)
            nodes, edges = layer(nodes, messages, inputs)
            if states is not None:
                nodes = nodes + states.to(nodes.dtype)
            both_ways = torch.cat([edges, edges.index_select(0, graph.reverse)], dim=1)
            messages = messages + edges + combination(both_ways)
        return [nodes], [messages]


def prepare(
    elements: torch.Tensor, system_of_atom: torch.Tensor, states: torch.Tensor | None, graph: Edges, buckets: Buckets
) -> PreparedBatch:
    """Prepare the input of :meth:`PointEdgeEncoder.propagate`."""
    inputs = LayerInputs(
        vectors=graph.vectors,
        distances=graph.distances,
        neighbor_elements=elements[graph.neighbors],
        key_bias=attention_bias(graph.weights, len(elements), buckets),
        buckets=buckets,
    )
    return PreparedBatch(elements, system_of_atom, states, graph, inputs)


def _combination(edge_width: int) -> nn.Sequential:
    """Edge and reverse edge -> update of the edge, for the feedforward featurizer."""
    return nn.Sequential(
        LayerNorm(2 * edge_width),
        Linear(2 * edge_width, 2 * edge_width),
        nn.SiLU(),
        Linear(2 * edge_width, edge_width),
    )
