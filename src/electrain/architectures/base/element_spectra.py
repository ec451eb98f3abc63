"""A spectrum of each element added to a predicted density of states, for models converted from metatrain's."""

import torch
from torch import nn

from electrain.nn.selection import Selection


class ElementSpectra(nn.Module):
    """One constant spectrum for every atom of an element; it is not trained.

    It is part of the prediction, not a baseline: alignment, band gap and Fermi level are computed from the sum.

    :param num_elements: number of elements of the model.
    :param num_channels: number of channels of the density of states.
    """

    spectra: torch.Tensor  # (num_elements, num_channels) | states/eV

    def __init__(self, num_elements: int, num_channels: int) -> None:
        super().__init__()
        self.register_buffer("spectra", torch.zeros(num_elements, num_channels))

    def forward(self, elements: torch.Tensor, selection: Selection, sample_kind: str) -> torch.Tensor:
        """Return the term to add to the density of states of the selected atoms, or of structures made of them.

        :param elements: (num_selected,) elements of the selected atoms.
        :param selection: the selected atoms.
        :param sample_kind: ``"atom"`` or ``"system"``.
        """
        if sample_kind == "atom":
            return self.spectra[elements]
        num_systems, num_elements = len(selection.num_atoms), len(self.spectra)
        pairs = selection.system_of_atom * num_elements + elements
        counts = torch.bincount(pairs, minlength=num_systems * num_elements).reshape(num_systems, num_elements)
        return counts.to(self.spectra.dtype) @ self.spectra
