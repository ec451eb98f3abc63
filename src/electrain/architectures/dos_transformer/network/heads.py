"""Heads of DOSTransformer: spectra from energies that attend to atoms, and numbers from features of atoms."""

from typing import NamedTuple

import torch
from torch import nn

from electrain.nn.atom_sets import AtomSets, bucketed, neighborhoods, whole_structures
from electrain.nn.batch import Edges
from electrain.nn.crystal_systems import CrystalSystemPrompt
from electrain.nn.energy_embeddings import CrossAttention, EnergyDecoder
from electrain.nn.pooled_head import PooledHead
from electrain.nn.pooling import pool_nodes
from electrain.nn.selection import Selection


class Features(NamedTuple):
    """Input of all heads."""

    nodes: torch.Tensor  # (num_atoms, width)
    system_of_atom: torch.Tensor  # (num_atoms,) int64
    num_systems: int
    graph: Edges
    crystal_systems: torch.Tensor | None = None  # (num_systems,) int64 | 0 to 7, for heads with a prompt


class EnergyTransformerShape(NamedTuple):
    """Sizes of the transformer from energies to atoms, and whether it has a prompt, see :class:`EnergyHead`."""

    energy_width: int
    num_attention_layers: int
    num_heads: int
    feedforward_width: int
    dropout: float
    crystal_system_prompt: bool


class ScalarHead(PooledHead):
    """A number for each atom, summed up or averaged over structures."""

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Predictions for the selected atoms or for structures made of them, (num_samples, size)."""
        return self.of_selection(features.nodes, kind, averaged, selection)


class EnergyHead(nn.Module):
    r"""A spectrum from embeddings of its energies, which attend to atoms layer by layer.

    A spectrum that a structure has as a whole (a mean) is that of the paper: the energies attend to all atoms of the
    structure, and g is the mean or sum of their features. Each of its atoms has the same spectrum.

    A spectrum that adds up (a sum) is the sum of one spectrum for each atom. For it, the energies attend to the atom
    and its neighbors, whose weights are the cutoff function, and g are the features of the atom.

    With a prompt, a learned vector of the structure's crystal system is added to all energies before they attend.

    :param size: number of energies, or of other values.
    :param width: number of features of an atom.
    :param shape: sizes of the transformer.
    :param pooling: ``"mean"`` or ``"sum"``, for spectra of whole structures.
    """

    def __init__(self, size: int, width: int, shape: EnergyTransformerShape, pooling: str) -> None:
        super().__init__()
        self.size = size
        self.mean_pooling = pooling == "mean"
        self.layers = nn.ModuleList(
            CrossAttention(shape.energy_width, width, shape.num_heads, shape.feedforward_width, shape.dropout)
            for _ in range(shape.num_attention_layers)
        )
        self.decoder = EnergyDecoder(size, shape.energy_width, width, shape.dropout)
        self.prompt = CrystalSystemPrompt(shape.energy_width) if shape.crystal_system_prompt else None

    @torch.jit.export
    def last_features(self, nodes: torch.Tensor) -> torch.Tensor:
        """Those of the atoms: no linear map is the last one of all energies."""
        return nodes

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Spectra of the selected atoms or of structures made of them, (num_samples, size); zero without atoms."""
        nodes, graph = features.nodes, features.graph
        if averaged:
            sets = whole_structures(features.system_of_atom, features.num_systems, nodes)
            pooled = pool_nodes(nodes, features.system_of_atom, features.num_systems, self.mean_pooling)
            spectra = self.of_sets(nodes, sets, pooled, features.crystal_systems)
            return spectra if kind == "system" else spectra[selection.system_of_atom]  # type: ignore[no-any-return]
        sets = neighborhoods(selection.atoms, len(nodes), graph.centers, graph.neighbors, graph.weights)
        crystal_systems = features.crystal_systems
        if crystal_systems is not None:
            crystal_systems = crystal_systems[selection.system_of_atom]
        spectra = self.of_sets(nodes, sets, nodes[selection.atoms], crystal_systems)
        if kind == "system":
            return pool_nodes(spectra, selection.system_of_atom, len(selection.num_atoms), False)
        return spectra  # type: ignore[no-any-return]

    @torch.jit.export
    def of_sets(
        self, nodes: torch.Tensor, sets: AtomSets, pooled: torch.Tensor, crystal_systems: torch.Tensor | None
    ) -> torch.Tensor:
        """One spectrum for each set of atoms.

        :param nodes: (num_atoms, width) features of all atoms.
        :param sets: of atoms, to which the energies attend.
        :param pooled: (num_sets, width) features g of the sets.
        :param crystal_systems: (num_sets,) those of the structures of the sets, for a prompt.
        :return: (num_sets, size); zero for sets without atoms.
        """
        keys: list[torch.Tensor] = []
        values: list[torch.Tensor] = []
        for layer in self.layers:
            keys.append(layer.key(nodes))  # type: ignore[operator]
            values.append(layer.value(nodes))  # type: ignore[operator]
        numbers: list[torch.Tensor] = [torch.zeros_like(sets.sets[:0])]
        spectra: list[torch.Tensor] = [nodes.new_zeros(0, self.size)]
        for bucket in bucketed(sets):
            rows = len(bucket.sets) if nodes.requires_grad else self.decoder.at_once
            parts = zip(bucket.sets.split(rows), bucket.atoms.split(rows), bucket.bias.split(rows))  # noqa: B905
            for own, atoms, bias in parts:
                energies = self.attended(self.prompted(own, crystal_systems), keys, values, atoms, bias)
                numbers.append(own)
                spectra.append(self.decoder(energies, pooled[own]))
        return nodes.new_zeros(sets.num_sets, self.size).index_copy(0, torch.cat(numbers), torch.cat(spectra))

    @torch.jit.export
    def prompted(self, sets: torch.Tensor, crystal_systems: torch.Tensor | None) -> torch.Tensor:
        """Energies before any attention, (rows, size, energy_width), or one row for all sets."""
        energies = self.decoder.embeddings.unsqueeze(0)
        if self.prompt is None or crystal_systems is None:
            return energies
        return energies + self.prompt(crystal_systems[sets]).unsqueeze(1)  # type: ignore[no-any-return]

    @torch.jit.export
    def attended(
        self,
        energies: torch.Tensor,
        keys: list[torch.Tensor],
        values: list[torch.Tensor],
        atoms: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Energies of some sets after all layers of attention.

        :param energies: those of :meth:`prompted`.
        :param keys: of all atoms, for each layer (num_atoms, energy_width).
        :param values: likewise.
        :param atoms: (rows, length) atoms of each set.
        :param bias: (rows, 1, 1, length), see :class:`~electrain.nn.atom_sets.SetBucket`.
        :return: (rows, size, energy_width).
        """
        for index, layer in enumerate(self.layers):
            energies = layer(energies, keys[index][atoms], values[index][atoms], bias)
        return energies
