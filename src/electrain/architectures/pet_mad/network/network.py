"""The Point Edge Transformer: a batch of structures -> features of atoms and edges -> predictions.

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
from electrain.nn.network import Network, Predictions
from electrain.nn.pooling import PooledFeatures, sum_edges
from electrain.nn.radial_descriptors import RadialDescriptors
from electrain.nn.selection import Selection, of_selected
from electrain.nn.shifted_spectra import SpectrumChannels

from .batch import Buckets, LayerInputs, PreparedBatch
from .buckets import make_buckets
from .heads import PooledHead, ShiftedSpectraHead
from .transformer import MessagePassingLayer, TransformerShape, attention_bias


class Features(NamedTuple):
    """Input of all heads: features of each readout layer, and the edges they belong to."""

    nodes: list[torch.Tensor]  # per readout layer (num_atoms, node_width)
    edges: list[torch.Tensor]  # per readout layer (num_edges, edge_width)
    graph: Edges
    elements: torch.Tensor  # (num_atoms,) int64
    descriptors: torch.Tensor  # (num_atoms, num_descriptors) | no columns for a network without them


class FewData(NamedTuple):
    """What helps a network to learn from few data, with properties and weights of the elements it is made for.

    The published network has none of this.
    """

    properties: torch.Tensor | None = None  # (num_elements, num_properties) | for embeddings
    neighbor_weights: torch.Tensor | None = None  # (num_elements, num_weights) | for radial descriptors
    descriptor_radius: float = 0.0  # Angstrom
    shifted_parts: bool = False  # in the heads of spectra
    dropout: float = 0.0  # in that head


class PointEdgeTransformer(Network):
    """Transformers over atomic neighborhoods that exchange messages along edges.

    There are two featurizers: ``residual`` embeds the atoms separately in every message-passing layer, averages
    messages with their reverse and reads out every layer; ``feedforward`` passes nodes on, combines edges with their
    reverse in a small network and reads out only the last layer.

    :param num_elements: number of chemical elements; ``Batch.elements`` counts from 0 to this.
    :param cutoff: which pairs of atoms become edges.
    :param shape: shape of the transformers.
    :param featurizer: ``"residual"`` or ``"feedforward"``.
    :param num_message_passing_layers: number of transformers.
    :param head_width: number of features of the hidden layers of the heads.
    :param states: allowed charges and spin multiplicities, for a network that reads them (``Batch.states``).
    :param few_data: what helps with few data.
    """

    def __init__(
        self,
        num_elements: int,
        cutoff: Cutoff,
        shape: TransformerShape,
        *,
        featurizer: str,
        num_message_passing_layers: int,
        head_width: int,
        states: StateRange | None = None,
        few_data: FewData = FewData(),  # noqa: B008 (immutable)
    ) -> None:
        super().__init__()
        if featurizer not in ("residual", "feedforward"):
            raise ValueError(f"featurizer must be 'residual' or 'feedforward', got {featurizer!r}")
        self.pairs = cutoff
        self.num_elements, self.few_data = num_elements, few_data
        self.residual = featurizer == "residual"
        self.node_width, self.edge_width, self.head_width = shape.node_width, shape.edge_width, head_width
        self.num_readouts = num_message_passing_layers if self.residual else 1
        self.num_features = 2 * self.num_readouts * head_width

        self.layers = nn.ModuleList(
            MessagePassingLayer(num_elements, shape, with_messages=index > 0, properties=few_data.properties)
            for index in range(num_message_passing_layers)
        )
        self.node_embeddings = nn.ModuleList(
            ElementEmbedding(num_elements, shape.node_width, few_data.properties) for _ in range(self.num_readouts)
        )
        # Only the feedforward featurizer combines edges through networks.
        num_combinations = 0 if self.residual else num_message_passing_layers
        self.combinations = nn.ModuleList(_combination(shape.edge_width) for _ in range(num_combinations))
        self.reads_states = states is not None
        self.state_embedding = None if states is None else StateEmbedding(shape.node_width, states)
        if few_data.neighbor_weights is not None:
            self.descriptors = RadialDescriptors(few_data.neighbor_weights, few_data.descriptor_radius)
        self.heads = nn.ModuleDict()
        # Read at every call, also by exported models; `precision.MatmulPrecision` switches it.
        self.bfloat16_tokens = False

    def interaction_range(self) -> float:
        """Return the largest distance, in Angstrom, from which an atom can still change a prediction.

        Every layer adds one cutoff. The feedforward featurizer reads out edges after mixing them once more with their
        reverse, which belongs to the neighbor's neighborhood; this adds one cutoff. With adaptive cutoffs, the weight
        of an edge also depends on its neighbor's neighborhood, so the radius of the atom at the far end adds one more.
        """
        reach = len(self.layers) + (0 if self.residual else 1) + (0 if self.pairs.num_neighbors is None else 1)
        return max(reach * self.pairs.radius, self.neighbor_radius())

    def neighbor_radius(self) -> float:
        """See :meth:`Network.neighbor_radius`."""
        return self.pairs.radius if self.descriptors is None else max(self.pairs.radius, self.descriptors.radius)

    def make_head(self, size: int, kind: str) -> nn.Module:
        """See :meth:`Network.make_head`."""
        head = PooledHead(
            node_width=self.node_width,
            edge_width=self.edge_width,
            head_width=self.head_width,
            num_readouts=self.num_readouts,
            out_size=size,
        )
        if kind == "spectrum":
            # With random initial weights, features that training does not change would add noise to all channels.
            head.start_from_zero()
        return head

    def make_spectrum_head(self, channels: SpectrumChannels) -> nn.Module:
        """See :meth:`Network.make_spectrum_head`."""
        if not self.few_data.shifted_parts:
            return super().make_spectrum_head(channels)
        return ShiftedSpectraHead(
            node_width=self.node_width,
            edge_width=self.edge_width,
            head_width=self.head_width,
            num_readouts=self.num_readouts,
            num_elements=self.num_elements,
            properties=self.few_data.properties,
            num_descriptors=0 if self.descriptors is None else self.descriptors.size,
            channels=channels,
            dropout=self.few_data.dropout,
        )

    def last_layer(self, name: str) -> list[str]:
        """See :meth:`Network.last_layer`."""
        return [f"heads.{name}.last.weight"] if isinstance(self.head(name), PooledHead) else []

    def has_last_features(self, name: str) -> bool:
        """See :meth:`Network.has_last_features`."""
        return True

    @torch.jit.export
    def predict(
        self, features: Features, wanted: dict[str, str], features_of: list[str], selection: Selection
    ) -> Predictions:
        """See :meth:`Network.predict`."""
        values: dict[str, torch.Tensor] = {}
        pooled_features: dict[str, PooledFeatures] = {}
        graph = features.graph
        elements, descriptors = features.elements[selection.atoms], features.descriptors[selection.atoms]
        for name, head in self.heads.items():
            if name in wanted or name in features_of:
                pooled = head.features(features.nodes, features.edges, graph.centers, graph.weights)  # type: ignore[operator]
                pooled = head.last_features(of_selected(pooled, selection), elements, descriptors)  # type: ignore[operator]
                if name in features_of:
                    pooled_features[name] = pooled
                if name in wanted:
                    values[name] = head.predict(pooled, elements, wanted[name], name in self.averaged, selection)  # type: ignore[operator]
        return Predictions(values, pooled_features)

    @torch.jit.export
    def node_features(self, features: Features) -> torch.Tensor:
        """Return the features of all readout layers together, see :meth:`Network.node_features`."""
        nodes = features.nodes
        return torch.stack(nodes).to(features.graph.weights.dtype).sum(dim=0) * len(nodes) ** -0.5

    @torch.jit.export
    def add_long_range(self, features: Features, far: torch.Tensor) -> Features:
        r"""Replace each layer's nodes by :math:`(n_l + f) / \sqrt 2`, as in ``metatrain.pet``."""
        nodes = [(near + far) * 0.5**0.5 for near in features.nodes]
        return Features(nodes, features.edges, features.graph, features.elements, features.descriptors)

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

    def forward(self, batch: Batch) -> Features:
        """Compute the features of all atoms and edges of a batch."""
        graph = self.find_edges(batch)
        buckets = make_buckets(graph.centers, len(batch.elements))
        prepared = prepare(batch.elements, batch.system_of_atom, batch.states, graph, buckets)
        return self.propagate(prepared, None if self.descriptors is None else self.descriptors(batch))

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
    """Prepare the input of :meth:`PointEdgeTransformer.propagate`."""
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
