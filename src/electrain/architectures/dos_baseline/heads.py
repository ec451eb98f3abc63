"""Heads of the baselines: spectra from features of atoms, with and without embeddings of energies."""

from typing import NamedTuple

import torch
from torch import nn

from electrain.nn.energy_embeddings import EnergyDecoder
from electrain.nn.pooled_head import PooledHead
from electrain.nn.pooling import of_nodes, pool_nodes
from electrain.nn.selection import Selection, of_samples
from electrain.nn.shifted_spectra import ShiftedSpectra, SpectrumChannels


class Features(NamedTuple):
    """Input of all heads."""

    nodes: torch.Tensor  # (num_atoms, width)
    elements: torch.Tensor  # (num_atoms,) int64
    system_of_atom: torch.Tensor  # (num_atoms,) int64
    num_systems: int


class NumberHead(PooledHead):
    """A number for each atom, summed up or averaged over structures."""

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Predictions for the selected atoms or for structures made of them, (num_samples, size)."""
        return self.of_selection(features.nodes, kind, averaged, selection)


class SpectrumHead(PooledHead):
    r"""All values of a spectrum at once.

    A spectrum that a structure has as a whole (a mean) is :math:`\phi'(g)`, with the pooled features g of its atoms;
    each of them has the same one. One that adds up is the sum of :math:`\phi'(h_i)`.

    :param width: number of features of an atom, and of the hidden layer.
    :param size: number of predicted values.
    :param dropout: share of the hidden features that is left out in training.
    :param pooling: ``"mean"`` or ``"sum"`` of the atoms.
    """

    def __init__(self, width: int, size: int, dropout: float, pooling: str) -> None:
        super().__init__(width, size, dropout)
        self.mean_pooling = pooling == "mean"

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Predictions for structures, or for the selected atoms, (num_samples, size); zero without atoms."""
        if averaged:
            pooled = pool_nodes(features.nodes, features.system_of_atom, features.num_systems, self.mean_pooling)
            return _of_samples(self(of_nodes(self.last_features(pooled))), features, kind, selection)
        of_atoms = of_nodes(self.last_features(features.nodes[selection.atoms]))
        return self(of_samples(of_atoms, kind, False, selection))  # type: ignore[no-any-return]


class EnergyHead(nn.Module):
    r"""A spectrum from embeddings of its energies, :math:`\phi(E_j + \alpha g)`, with g as in :class:`SpectrumHead`.

    For a spectrum that adds up, g are the features of an atom.

    :param width: number of features of an atom and of an energy.
    :param size: number of predicted values.
    :param dropout: share of the hidden features that is left out in training.
    :param pooling: ``"mean"`` or ``"sum"`` of the atoms.
    """

    def __init__(self, width: int, size: int, dropout: float, pooling: str) -> None:
        super().__init__()
        self.mean_pooling = pooling == "mean"
        self.decoder = EnergyDecoder(size, width, width, dropout)

    @torch.jit.export
    def last_features(self, nodes: torch.Tensor) -> torch.Tensor:
        """Those of the atoms: no linear map is the last one of all energies."""
        return nodes

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Predictions for structures, or for the selected atoms, (num_samples, size); zero without atoms."""
        if averaged:
            pooled = pool_nodes(features.nodes, features.system_of_atom, features.num_systems, self.mean_pooling)
            return _of_samples(self.decoder.spectra(pooled), features, kind, selection)
        of_atoms = self.decoder.spectra(features.nodes[selection.atoms])
        if kind == "atom":
            return of_atoms
        return pool_nodes(of_atoms, selection.system_of_atom, len(selection.num_atoms), False)


class ShiftedSpectraHead(nn.Module):
    """Spectra that begin at those of the elements, see :class:`~electrain.nn.shifted_spectra.ShiftedSpectra`.

    :param width: number of features of an atom.
    :param num_elements: number of elements.
    :param channels: channels of the spectrum.
    """

    def __init__(self, width: int, num_elements: int, channels: SpectrumChannels) -> None:
        super().__init__()
        self.last = ShiftedSpectra(width, num_elements, channels)

    @torch.jit.export
    def last_features(self, nodes: torch.Tensor) -> torch.Tensor:
        """Those of the atoms; the spectrum is not linear in them."""
        return nodes

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Spectra of the selected atoms or of structures made of them, (num_samples, size)."""
        spectra = self.last.of_atoms(features.nodes[selection.atoms], features.elements[selection.atoms])
        if kind == "system":
            spectra = pool_nodes(spectra, selection.system_of_atom, len(selection.num_atoms), averaged)
        return self.last.broadened(spectra)


def _of_samples(values: torch.Tensor, features: Features, kind: str, selection: Selection) -> torch.Tensor:
    """Values of whole structures (num_systems, size) -> those of structures with atoms, or of the selected atoms."""
    if kind == "atom":
        return values[selection.system_of_atom]
    ones = torch.ones_like(features.nodes[:, :1])
    return values * pool_nodes(ones, features.system_of_atom, features.num_systems, True)
