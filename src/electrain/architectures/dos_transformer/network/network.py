"""DOSTransformer: a batch of structures -> features of atoms -> spectra and numbers.

Source: Lee et al., "Predicting density of states via multi-modal transformer" (2023).
"""

import torch
from torch import nn

from electrain.nn.atom_inputs import AtomInputs
from electrain.nn.batch import Batch
from electrain.nn.crystal_systems import CrystalSystems
from electrain.nn.cutoff import Cutoff
from electrain.nn.edges import find_edges
from electrain.nn.graph_network import GraphNetwork
from electrain.nn.network import Network, Predictions
from electrain.nn.pooling import PooledFeatures, of_nodes
from electrain.nn.selection import Selection

from .heads import EnergyHead, EnergyTransformerShape, Features, ScalarHead


class DOSTransformerNetwork(Network):
    """A graph network, and heads with embeddings of energies for all targets of several values.

    :param cutoff: which pairs of atoms become edges.
    :param inputs: features of the elements.
    :param width: number of features of an atom and of an edge.
    :param num_layers: number of steps of message passing.
    :param num_gaussians: number of Gaussians of a distance.
    :param shape: sizes of the transformer from energies to atoms; its dropout is also that of the graph network.
    :param pooling: ``"mean"`` or ``"sum"`` of the atoms, in spectra of whole structures.
    """

    def __init__(
        self,
        cutoff: Cutoff,
        inputs: AtomInputs,
        *,
        width: int,
        num_layers: int,
        num_gaussians: int,
        shape: EnergyTransformerShape,
        pooling: str,
    ) -> None:
        super().__init__()
        self.pairs, self.shape, self.pooling = cutoff, shape, pooling
        self.num_features = width
        self.reads_crystal_systems = shape.crystal_system_prompt
        self.crystal_systems = CrystalSystems()
        self.graph_network = GraphNetwork(
            inputs,
            radius=cutoff.radius,
            width=width,
            num_layers=num_layers,
            num_gaussians=num_gaussians,
            dropout=shape.dropout,
        )
        self.heads = nn.ModuleDict()

    def interaction_range(self) -> float:
        """One cutoff for each step of message passing, and one for the energies, which attend to neighbors."""
        return (len(self.graph_network.layers) + 1) * self.pairs.radius

    def make_head(self, size: int, kind: str) -> nn.Module:
        """See :meth:`Network.make_head`."""
        if size == 1:
            return ScalarHead(self.num_features, size, self.shape.dropout)
        return EnergyHead(size, self.num_features, self.shape, self.pooling)

    def last_layer(self, name: str) -> list[str]:
        """See :meth:`Network.last_layer`."""
        return [f"heads.{name}.last.weight"] if isinstance(self.head(name), ScalarHead) else []

    def has_last_features(self, name: str) -> bool:
        """See :meth:`Network.has_last_features`."""
        return True

    def forward(self, batch: Batch) -> Features:
        """Compute the features of all atoms of a batch.

        :raises ValueError: for crystal systems that are missing or do not exist, if the network reads them.
        """
        crystal_systems = self.crystal_systems(batch.crystal_systems) if self.reads_crystal_systems else None
        graph = find_edges(batch, self.pairs)
        nodes = self.graph_network(batch.elements, graph)
        return Features(nodes, batch.system_of_atom, len(batch.cells), graph, crystal_systems)

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
