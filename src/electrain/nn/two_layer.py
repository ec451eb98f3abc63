"""Electronic structure from fixed descriptors and two hidden layers, without a transformer."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .batch import Batch
from .element_embedding import ElementEmbedding
from .element_properties import element_properties, neighbor_weights
from .layers import Linear
from .radial_descriptors import RadialDescriptors
from .shifted_spectra import ShiftedSpectra, SpectrumChannels

RADIUS = 6.0  # Angstrom
_EMBEDDING_WIDTH = 64
_LEVELS_WIDTH = 128


class TwoLayerPrediction(NamedTuple):
    """Predictions for several structures."""

    spectra: torch.Tensor  # (num_systems, size) | states/eV
    insulating: torch.Tensor  # (num_systems,) | logit of the probability that there is a gap
    gap: torch.Tensor  # (num_systems,) | eV, positive: that of an insulator
    level: torch.Tensor  # (num_systems,) | eV, Fermi level relative to the reference channel of the spectra


class TwoLayers(nn.Module):
    r"""Features of atoms, :math:`h_i = f(f([e_{z_i}, d_i]))`, from what each of them is and what it sees.

    There are the embedding e of the element, which is made from its properties
    (:class:`~electrain.nn.element_embedding.ElementEmbedding`), the standardised descriptors d
    (:class:`~electrain.nn.radial_descriptors.RadialDescriptors`), and layers f with SiLU and dropout.

    :param numbers: atomic numbers; elements are indices into this list.
    :param num_descriptors: number of descriptors of an atom.
    :param width: number of features in both layers.
    :param dropout: share of them that is left out in training.
    :raises ValueError: for an element whose properties are not known.
    """

    LOW_RANK_LAYERS = ("first", "second")

    def __init__(self, numbers: Sequence[int], num_descriptors: int, *, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = ElementEmbedding(len(numbers), _EMBEDDING_WIDTH, element_properties(numbers))
        self.first = Linear(_EMBEDDING_WIDTH + num_descriptors, width)
        self.second = Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, elements: torch.Tensor, descriptors: torch.Tensor) -> torch.Tensor:
        """Elements (num_atoms,) and descriptors (num_atoms, num_descriptors) -> features (num_atoms, width)."""
        known = torch.cat([self.embedding(elements), descriptors], dim=1)
        hidden = self.dropout(functional.silu(self.first(known)))
        return self.dropout(functional.silu(self.second(hidden)))  # type: ignore[no-any-return]


class TwoLayerNetwork(nn.Module):
    r"""Electronic structure from the features :math:`h_i` of :class:`TwoLayers`.

    .. math:: y(E) = \sum_i y_i(E; h_i, z_i)

    with the spectra of atoms of :class:`~electrain.nn.shifted_spectra.ShiftedSpectra`. Whether there is a gap, its size
    and the Fermi level come from the mean of h over the atoms, by one more layer.

    :param numbers: atomic numbers; elements are indices into this list.
    :param channels: channels of the spectra.
    :param width: number of features in both layers.
    :param dropout: share of them that is left out in training.
    :raises ValueError: for an element whose properties are not known.
    """

    def __init__(
        self, numbers: Sequence[int], channels: SpectrumChannels, *, width: int = 256, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.descriptors = RadialDescriptors(neighbor_weights(numbers), RADIUS)
        self.atoms = TwoLayers(numbers, self.descriptors.size, width=width, dropout=dropout)
        self.spectra = ShiftedSpectra(width, len(numbers), channels)
        self.levels = nn.Sequential(nn.Linear(width, _LEVELS_WIDTH), nn.SiLU(), nn.Linear(_LEVELS_WIDTH, 3))

    def forward(self, batch: Batch) -> TwoLayerPrediction:
        """Predict structures."""
        return self.predict(batch.elements, self.descriptors(batch), batch.system_of_atom, len(batch.cells))

    @torch.jit.export
    def predict(
        self, elements: torch.Tensor, descriptors: torch.Tensor, system_of_atom: torch.Tensor, num_systems: int
    ) -> TwoLayerPrediction:
        """Predict structures whose descriptors, which are not trained, have been computed before.

        :param elements: (num_atoms,) int64.
        :param descriptors: (num_atoms, num_descriptors), standardised.
        :param system_of_atom: (num_atoms,) int64.
        :param num_systems: number of structures, each with at least one atom.
        """
        features = self.atoms(elements, descriptors)
        spectra = _summed(self.spectra.of_atoms(features, elements), system_of_atom, num_systems)
        num_atoms = _summed(torch.ones_like(features[:, :1]), system_of_atom, num_systems)
        levels = self.levels(_summed(features, system_of_atom, num_systems) / num_atoms)
        return TwoLayerPrediction(
            self.spectra.broadened(spectra), levels[:, 0], functional.softplus(levels[:, 1]), levels[:, 2]
        )


def _summed(values: torch.Tensor, system_of_atom: torch.Tensor, num_systems: int) -> torch.Tensor:
    """Rows of atoms (num_atoms, width) -> of structures (num_systems, width)."""
    return values.new_zeros(num_systems, values.shape[1]).index_add(0, system_of_atom, values)
