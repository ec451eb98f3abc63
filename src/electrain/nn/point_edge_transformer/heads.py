"""From token features to predictions: pooling before the last linear map, and 1D convolutions on spectra."""

import torch
from torch import nn
from torch.nn import functional

from electrain.nn.element_embedding import ElementEmbedding
from electrain.nn.layers import Linear, OverwritingSiLU
from electrain.nn.pooling import PooledFeatures
from electrain.nn.selection import Selection, of_samples
from electrain.nn.shifted_spectra import ShiftedSpectra, SpectrumChannels

# TorchScript: functions cannot read module-level numbers, so it is a default argument below.
_EDGES_AT_ONCE = 1024


def _trunk(width: int, head_width: int) -> nn.Sequential:
    return nn.Sequential(
        Linear(width, head_width), OverwritingSiLU(), Linear(head_width, head_width), OverwritingSiLU()
    )


class Trunks(nn.Module):
    """Hidden layers of a head, for nodes and edges of each readout layer, and the sums over edges.

    :param node_width: number of features of a node.
    :param edge_width: number of features of an edge.
    :param head_width: number of features of the two hidden layers.
    :param num_readouts: number of readout layers.
    """

    def __init__(self, *, node_width: int, edge_width: int, head_width: int, num_readouts: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.node_trunks = nn.ModuleList(_trunk(node_width, head_width) for _ in range(num_readouts))
        self.edge_trunks = nn.ModuleList(_trunk(edge_width, head_width) for _ in range(num_readouts))

    @torch.jit.export
    def features(
        self,
        node_features: list[torch.Tensor],
        edge_features: list[torch.Tensor],
        centers: torch.Tensor,
        weights: torch.Tensor,
        part_size: int = _EDGES_AT_ONCE,
    ) -> PooledFeatures:
        """Compute the features of every atom: for each readout layer those of the node and the sum over its edges.

        :param node_features: per readout layer (num_atoms, node_width).
        :param edge_features: per readout layer (num_edges, edge_width).
        :param centers: (num_edges,) atom to which each edge belongs.
        :param weights: (num_edges,) cutoff function.
        :param part_size: number of edges evaluated at once on a CPU without gradients.
        """
        num_atoms = len(node_features[0])
        parts: list[torch.Tensor] = []
        for readout, (node_trunk, edge_trunk) in enumerate(zip(self.node_trunks, self.edge_trunks)):  # noqa: B905
            parts.append(node_trunk(node_features[readout]).to(weights.dtype))
            # In parts if no gradients need the intermediate results: this takes less memory, which stays in the caches.
            edges = edge_features[readout]
            size = max(1, len(edges)) if edges.requires_grad or edges.is_cuda else part_size
            sums = weights.new_zeros(num_atoms, self.head_width)
            for part, atoms, cutoffs in zip(edges.split(size), centers.split(size), weights.split(size)):  # noqa: B905
                sums.index_add_(0, atoms, edge_trunk(part).to(cutoffs.dtype) * cutoffs.unsqueeze(1))
            parts.append(sums)
        return PooledFeatures(
            values=torch.cat(parts, dim=1),
            num_nodes=torch.ones(num_atoms, dtype=weights.dtype, device=weights.device),
            edge_weight=weights.new_zeros(num_atoms).index_add(0, centers, weights),
        )


class PooledHead(Trunks):
    """A readout whose last linear map runs once per sample instead of once per edge.

    The prediction of atom i is ``sum_l [W n_i + b + sum_j c_ij (V e_ij + d)]`` over readout layers l, with node
    features n, edge features e and cutoff weights c. Because it is linear, it equals
    ``W n_i + V (sum_j c_ij e_ij) + b + d sum_j c_ij``, so features are summed first, over edges and, for a whole
    structure, also over atoms.

    :param node_width: number of features of a node.
    :param edge_width: number of features of an edge.
    :param head_width: number of features of the two hidden layers.
    :param num_readouts: number of readout layers.
    :param out_size: number of predicted values per sample.
    """

    def __init__(self, *, node_width: int, edge_width: int, head_width: int, num_readouts: int, out_size: int) -> None:
        super().__init__(node_width=node_width, edge_width=edge_width, head_width=head_width, num_readouts=num_readouts)
        self.last = nn.Linear(2 * num_readouts * head_width, out_size)
        self.last_edge_bias = nn.Parameter(torch.empty(out_size))
        # Each readout's part of the map is initialised as a separate linear layer would be.
        for parameter in (self.last.weight, self.last.bias, self.last_edge_bias):
            nn.init.uniform_(parameter, -(head_width**-0.5), head_width**-0.5)

    @torch.jit.unused
    def start_from_zero(self) -> None:
        """Make the untrained head predict zero."""
        for parameter in (self.last.weight, self.last.bias, self.last_edge_bias):
            nn.init.zeros_(parameter)

    def forward(self, features: PooledFeatures) -> torch.Tensor:
        """Predictions (num_samples, out_size)."""
        predictions = functional.linear(features.values, self.last.weight)
        predictions = predictions + features.num_nodes.unsqueeze(1) * self.last.bias
        return predictions + features.edge_weight.unsqueeze(1) * self.last_edge_bias

    @torch.jit.export
    def last_features(
        self, pooled: PooledFeatures, elements: torch.Tensor, descriptors: torch.Tensor
    ) -> PooledFeatures:
        """Features of the selected atoms that enter the last linear map: those summed over edges."""
        return pooled

    @torch.jit.export
    def predict(
        self, features: PooledFeatures, elements: torch.Tensor, kind: str, averaged: bool, selection: Selection
    ) -> torch.Tensor:
        """Predictions for the selected atoms or for structures made of them, (num_samples, out_size)."""
        return self(of_samples(features, kind, averaged, selection))  # type: ignore[no-any-return]


class ShiftedSpectraHead(Trunks):
    """A readout of spectra for few data: see :class:`~electrain.nn.shifted_spectra.ShiftedSpectra`.

    The features of an atom, those of its element and its descriptors enter a network of two hidden layers, as wide as
    the features of other heads; the spectrum is not linear in the result.

    :param node_width: number of features of a node.
    :param edge_width: number of features of an edge.
    :param head_width: number of features of the two hidden layers of each readout.
    :param num_readouts: number of readout layers.
    :param num_elements: number of elements.
    :param properties: of the elements, for their embedding, or ``None``.
    :param num_descriptors: number of descriptors of an atom, may be 0.
    :param channels: channels of the spectrum.
    :param dropout: share of the hidden features that is left out in training.
    """

    def __init__(
        self,
        *,
        node_width: int,
        edge_width: int,
        head_width: int,
        num_readouts: int,
        num_elements: int,
        properties: torch.Tensor | None,
        num_descriptors: int,
        channels: SpectrumChannels,
        dropout: float,
    ) -> None:
        super().__init__(node_width=node_width, edge_width=edge_width, head_width=head_width, num_readouts=num_readouts)
        num_features = 2 * num_readouts * head_width
        self.embedding = ElementEmbedding(num_elements, head_width, properties)
        self.normalize = nn.LayerNorm(num_features)
        self.hidden = nn.Sequential(
            nn.Linear(head_width + num_features + num_descriptors, num_features),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(num_features, num_features),
            nn.SiLU(),
            nn.Dropout(dropout),
        )
        self.last = ShiftedSpectra(num_features, num_elements, channels)

    @torch.jit.export
    def last_features(
        self, pooled: PooledFeatures, elements: torch.Tensor, descriptors: torch.Tensor
    ) -> PooledFeatures:
        """Features of the selected atoms from which their spectra are computed, (num_selected, num_features)."""
        known = [self.embedding(elements), self.normalize(pooled.values), descriptors]
        return PooledFeatures(self.hidden(torch.cat(known, dim=1)), pooled.num_nodes, pooled.edge_weight)

    @torch.jit.export
    def predict(
        self, features: PooledFeatures, elements: torch.Tensor, kind: str, averaged: bool, selection: Selection
    ) -> torch.Tensor:
        """Spectra of the selected atoms or of structures made of them, (num_samples, size)."""
        spectra = self.last.of_atoms(features.values, elements)
        if kind == "system":
            systems = spectra.new_zeros(len(selection.num_atoms), spectra.shape[1])
            spectra = systems.index_add(0, selection.system_of_atom, spectra)
            if averaged:
                spectra = spectra / selection.num_atoms.clamp_min(1)
        return self.last.broadened(spectra)
