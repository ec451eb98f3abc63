"""The baselines: features of atoms from their element alone, from a graph network, or from fixed descriptors.

Source: Lee et al., "Predicting density of states via multi-modal transformer" (2023), section A.4.
"""

from typing import NamedTuple

import torch
from torch import nn

from electrain.nn.atom_inputs import AtomInputs
from electrain.nn.batch import Batch
from electrain.nn.cutoff import Cutoff
from electrain.nn.edges import find_edges
from electrain.nn.graph_network import GraphNetwork
from electrain.nn.network import Network, Predictions
from electrain.nn.perceptron import Perceptron
from electrain.nn.pooling import PooledFeatures, of_nodes
from electrain.nn.radial_descriptors import RadialDescriptors
from electrain.nn.selection import Selection
from electrain.nn.shifted_spectra import SpectrumChannels
from electrain.nn.two_layer import TwoLayers

from .heads import EnergyHead, Features, NumberHead, ShiftedSpectraHead, SpectrumHead


class HeadShape(NamedTuple):
    """What the heads of all baselines have in common."""

    energy_embeddings: bool
    width: int
    dropout: float
    pooling: str  # "mean" or "sum"


class BaselineNetwork(Network):
    """Heads for features of atoms, which a subclass computes.

    :param cutoff: which pairs of atoms are read.
    :param heads: what the heads have in common.
    """

    def __init__(self, cutoff: Cutoff, heads: HeadShape) -> None:
        super().__init__()
        self.pairs, self.shape = cutoff, heads
        self.num_features = heads.width
        self.heads = nn.ModuleDict()

    def interaction_range(self) -> float:
        """See :meth:`Network.interaction_range`."""
        return self.pairs.radius

    def make_head(self, size: int, kind: str) -> nn.Module:
        """See :meth:`Network.make_head`."""
        width, dropout, pooling = self.shape.width, self.shape.dropout, self.shape.pooling
        if size == 1:
            return NumberHead(width, size, dropout)
        if self.shape.energy_embeddings:
            return EnergyHead(width, size, dropout, pooling)
        return SpectrumHead(width, size, dropout, pooling)

    def last_layer(self, name: str) -> list[str]:
        """See :meth:`Network.last_layer`."""
        head = self.head(name)
        is_linear = isinstance(head, NumberHead) or (isinstance(head, SpectrumHead) and name not in self.averaged)
        return [f"heads.{name}.last.weight"] if is_linear else []

    def has_last_features(self, name: str) -> bool:
        """See :meth:`Network.has_last_features`."""
        return True

    def nodes(self, batch: Batch) -> torch.Tensor:
        """Compute the features of all atoms, (num_atoms, width)."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> Features:
        """Compute the features of all atoms of a batch."""
        return Features(self.nodes(batch), batch.elements, batch.system_of_atom, len(batch.cells))

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


class ElementNetwork(BaselineNetwork):
    """Features of atoms from their element alone (the paper's MLP); forces and stresses are zero.

    :param cutoff: not used, except that engines compute these pairs.
    :param heads: what the heads have in common.
    :param inputs: features of the elements.
    """

    def __init__(self, cutoff: Cutoff, heads: HeadShape, inputs: AtomInputs) -> None:
        super().__init__(cutoff, heads)
        self.inputs = inputs
        self.encode = Perceptron(inputs.size, heads.width, heads.width, dropout=heads.dropout, normalized=True)

    def nodes(self, batch: Batch) -> torch.Tensor:
        """See :meth:`BaselineNetwork.nodes`."""
        # Without positions in it, the energy would have no derivative, which is an error where forces are computed.
        zero = 0.0 * batch.positions.sum(dim=1, keepdim=True)
        return self.encode(self.inputs(batch.elements)) + zero  # type: ignore[no-any-return]


class GraphBaseline(BaselineNetwork):
    """Features of atoms from a graph network.

    :param cutoff: which pairs of atoms become edges.
    :param heads: what the heads have in common.
    :param inputs: features of the elements.
    :param num_layers: number of steps of message passing.
    :param num_gaussians: number of Gaussians of a distance.
    """

    def __init__(
        self, cutoff: Cutoff, heads: HeadShape, inputs: AtomInputs, *, num_layers: int, num_gaussians: int
    ) -> None:
        super().__init__(cutoff, heads)
        self.graph_network = GraphNetwork(
            inputs,
            radius=cutoff.radius,
            width=heads.width,
            num_layers=num_layers,
            num_gaussians=num_gaussians,
            dropout=heads.dropout,
        )

    def interaction_range(self) -> float:
        """One cutoff for each step of message passing."""
        return len(self.graph_network.layers) * self.pairs.radius

    def nodes(self, batch: Batch) -> torch.Tensor:
        """See :meth:`BaselineNetwork.nodes`."""
        return self.graph_network(batch.elements, find_edges(batch, self.pairs))  # type: ignore[no-any-return]


class DescriptorBaseline(BaselineNetwork):
    """Features of atoms from fixed radial descriptors and two layers.

    Without embeddings of energies, a density of states begins at those of the elements
    (:class:`~electrain.nn.shifted_spectra.ShiftedSpectra`).

    :param cutoff: its radius is that of the descriptors.
    :param heads: what the heads have in common.
    :param numbers: atomic numbers; elements are indices into this list.
    :param neighbor_weights: (num_elements, num_weights) of the descriptors.
    """

    def __init__(
        self,
        cutoff: Cutoff,
        heads: HeadShape,
        *,
        numbers: list[int],
        neighbor_weights: torch.Tensor,
    ) -> None:
        super().__init__(cutoff, heads)
        self.num_elements = len(numbers)
        self.descriptors = RadialDescriptors(neighbor_weights, cutoff.radius)
        self.layers = TwoLayers(numbers, self.descriptors.size, width=heads.width, dropout=heads.dropout)

    def make_spectrum_head(self, channels: SpectrumChannels) -> nn.Module:
        """See :meth:`Network.make_spectrum_head`."""
        if self.shape.energy_embeddings:
            return super().make_spectrum_head(channels)
        return ShiftedSpectraHead(self.shape.width, self.num_elements, channels)

    def nodes(self, batch: Batch) -> torch.Tensor:
        """See :meth:`BaselineNetwork.nodes`."""
        return self.layers(batch.elements, self.descriptors(batch))  # type: ignore[no-any-return]
