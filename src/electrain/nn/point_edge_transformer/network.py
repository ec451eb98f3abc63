"""The Point Edge Transformer: a batch of structures -> features of atoms and edges -> predictions.

Source: Pozdnyakov and Ceriotti, "Smooth, exact rotational symmetrization for deep learning on point clouds"
(2023); Mazitov et al., PET-MAD (2025).
"""

from typing import List, NamedTuple

import torch
from torch import nn

from electrain.nn.batch import Batch
from electrain.nn.conditioning import StateRange
from electrain.nn.cutoff import Cutoff
from electrain.nn.network import Network, Predictions
from electrain.nn.pooling import PooledFeatures
from electrain.nn.radial_descriptors import RadialDescriptors
from electrain.nn.selection import Selection, of_selected
from electrain.nn.shifted_spectra import SpectrumChannels

from .encoder import Features, PointEdgeEncoder
from .heads import PooledHead, ShiftedSpectraHead
from .transformer import TransformerShape


class FewData(NamedTuple):
    """What helps a network to learn from few data, with properties and weights of the elements it is made for.

    The published network has none of this.
    """

    properties: torch.Tensor | None = None  # (num_elements, num_properties) | for embeddings
    neighbor_weights: torch.Tensor | None = None  # (num_elements, num_weights) | for radial descriptors
    descriptor_radius: float = 0.0  # Angstrom
    shifted_parts: bool = False  # in the heads of spectra
    dropout: float = 0.0  # in that head


class PointEdgeTransformer(PointEdgeEncoder, Network):
    """The layers of :class:`PointEdgeEncoder`, with heads for all targets.

    :param num_elements: number of chemical elements; ``Batch.elements`` counts from 0 to this.
    :param cutoff: which pairs of atoms become edges.
    :param shape: shape of the transformers.
    :param featurizer: ``"residual"`` or ``"feedforward"``.
    :param num_message_passing_layers: number of transformers.
    :param head_width: number of features of the hidden layers of the heads.
    :param states: allowed charges and spin multiplicities, for a network that reads them (``Batch.states``).
    :param few_data: what helps with few data.
    """

    # TorchScript reads the annotations of one class alone: these are those of `Network`
    pairs: Cutoff
    averaged: List[str]
    vectors: List[str]

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
        super().__init__(
            num_elements,
            cutoff,
            shape,
            featurizer=featurizer,
            num_message_passing_layers=num_message_passing_layers,
            states=states,
            properties=few_data.properties,
        )
        self.num_elements, self.few_data, self.head_width = num_elements, few_data, head_width
        self.num_features = 2 * self.num_readouts * head_width
        if few_data.neighbor_weights is not None:
            self.descriptors = RadialDescriptors(few_data.neighbor_weights, few_data.descriptor_radius)
        self.heads = nn.ModuleDict()

    def interaction_range(self) -> float:
        """See :meth:`PointEdgeEncoder.interaction_range`; radial descriptors may reach further."""
        return max(super().interaction_range(), self.neighbor_radius())

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

    def forward(self, batch: Batch) -> Features:
        """Compute the features of all atoms and edges of a batch."""
        return self.propagate(self.prepared(batch), None if self.descriptors is None else self.descriptors(batch))
