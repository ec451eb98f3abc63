"""TinyNet: the vector of each atom -> a small network of its element -> predictions.

Source: Shafir and Grinberg, "Bonding-aware materials representation for deep learning atomistic models"; Behler and
Parrinello, "Generalized neural-network representation of high-dimensional potential-energy surfaces" (2007).
"""

from typing import Any, NamedTuple

import torch
from torch import nn

from electrain.nn.batch import Batch
from electrain.nn.layers import Linear
from electrain.nn.network import Network, Predictions
from electrain.nn.pooling import PooledFeatures, of_nodes
from electrain.nn.selection import Selection, of_samples

from .vector import BondingVector, Vectors


class Features(NamedTuple):
    """Input of all heads."""

    nodes: torch.Tensor  # (num_atoms, num_features) | those of other elements than the atom's own are zero
    frame: torch.Tensor  # (num_atoms, 3, 3) | axes of the neighbors in rows


class ElementLayers(nn.Module):
    r"""Two layers for the atoms of an element, :math:`h = \tanh(V \tanh(W x + b) + c)`.

    :param size: number of entries of the vector x.
    :param first_width: number of features of the first layer.
    :param second_width: of the second one.
    """

    LOW_RANK_LAYERS = ("first", "second")

    def __init__(self, size: int, first_width: int, second_width: int) -> None:
        super().__init__()
        self.first, self.second = Linear(size, first_width), Linear(first_width, second_width)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """(num_atoms, size) -> (num_atoms, second_width)."""
        return torch.tanh(self.second(torch.tanh(self.first(vectors))))


class ElementHead(nn.Module):
    """A linear map for each element, all of them in one matrix.

    Features of an atom stand in the columns of its element and are followed there by a one, so that the map of the
    element, and its constant, are applied to them. Sums over atoms of different elements can then be taken before it.

    :param num_elements: number of elements.
    :param width: number of features of an atom.
    :param size: number of predicted values.
    """

    def __init__(self, num_elements: int, width: int, size: int) -> None:
        super().__init__()
        self.last = nn.Linear(num_elements * (width + 1), size, bias=False)
        nn.init.uniform_(self.last.weight, -(width**-0.5), width**-0.5)  # as that of a single element

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Predictions for the selected atoms or for structures made of them, (num_samples, size)."""
        pooled = of_nodes(features.nodes[selection.atoms])
        return self.last(of_samples(pooled, kind, averaged, selection).values)  # type: ignore[no-any-return]


class VectorHead(ElementHead):
    """Cartesian vectors: components along the axes of the frame that the neighbors of each atom make."""

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """See :meth:`ElementHead.predict`; (num_samples, size) with three rows of numbers, for x, y and z."""
        along = self.last(features.nodes[selection.atoms])
        turned = torch.bmm(features.frame[selection.atoms].transpose(1, 2), along.reshape(len(along), 3, -1))
        pooled = of_nodes(turned.reshape(along.shape))
        return of_samples(pooled, kind, averaged, selection).values


class TinyNetwork(Network):
    """A small network for each element, which reads the vector of an atom.

    :param vector: of the atoms.
    :param num_elements: number of elements.
    :param widths: numbers of features of the two layers.
    """

    def __init__(self, vector: BondingVector, num_elements: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.pairs = vector.pairs
        self.descriptors = vector
        self.width: int = widths[1]
        self.num_elements = num_elements
        self.num_features = num_elements * (self.width + 1)
        self.elements = nn.ModuleList(ElementLayers(vector.size, *widths) for _ in range(num_elements))
        self.heads = nn.ModuleDict()

    def interaction_range(self) -> float:
        """The farthest atom on a path is half of its hops away."""
        vector = self.descriptors
        return self.pairs.radius * max(vector.paths.max_hops // 2, vector.neighbors.order, 1)

    def replace_vector(self, vector: BondingVector) -> None:
        """Read another vector of the same bonds; the layers that read it begin anew."""
        like = next(self.parameters())
        self.descriptors = vector.to(like)
        elements: Any = self.elements
        for layers in elements:
            layers.first = Linear(vector.size, layers.first.out_features).to(like)

    def make_head(self, size: int, kind: str) -> nn.Module:
        """See :meth:`Network.make_head`."""
        return ElementHead(self.num_elements, self.width, size)

    def make_vector_head(self, size: int, kind: str) -> nn.Module:
        """See :meth:`Network.make_vector_head`."""
        return VectorHead(self.num_elements, self.width, size)

    def last_layer(self, name: str) -> list[str]:
        """See :meth:`Network.last_layer`; components in a frame are not those of the prediction."""
        return [] if name in self.vectors else [f"heads.{name}.last.weight"]

    def forward(self, batch: Batch) -> Features:
        """Compute the features of all atoms of a batch."""
        return self.read(self.descriptors(batch, len(self.vectors) > 0), batch.elements)

    def read(self, vectors: Vectors, elements: torch.Tensor) -> Features:
        """Compute the features of all atoms from their vectors, element by element.

        :param vectors: standardised ones of all atoms.
        :param elements: (num_atoms,) int64.
        """
        num_atoms = len(elements)
        nodes = vectors.values.new_zeros(num_atoms, self.num_elements, self.width + 1)
        for element, layers in enumerate(self.elements):
            atoms = torch.nonzero(elements == element).squeeze(1)
            if len(atoms) > 0:
                hidden = layers(vectors.values[atoms])
                row = torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)
                nodes = nodes.index_put((atoms, torch.full_like(atoms, element)), row)
        return Features(nodes.flatten(1), vectors.frame)

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
                pooled_features[name] = of_nodes(features.nodes[selection.atoms])
            if name in wanted:
                values[name] = head.predict(features, wanted[name], name in self.averaged, selection)  # type: ignore[operator]
        return Predictions(values, pooled_features)
