"""A spectrum of each element beside the density of states head: models converted from metatrain's may have it."""

from typing import Any

import torch
from metatomic.torch import ModelOutput
from torch import nn

from electrain.interface.quantities import DENSITY_OF_STATES
from electrain.nn.selection import Selection


class ElementSpectra(nn.Module):
    """Adds to a density of states one constant spectrum for every atom, that of its element; it is not trained.

    Part of the prediction, not a baseline: alignment, band gap and Fermi level see the sum.

    :param num_elements: as the model counts them.
    :param num_channels: of the density of states.
    """

    spectra: torch.Tensor  # (num_elements, num_channels) | states/eV

    def __init__(self, num_elements: int, num_channels: int) -> None:
        super().__init__()
        self.density_of_states: str = DENSITY_OF_STATES
        self.register_buffer("spectra", torch.zeros(num_elements, num_channels))

    def forward(
        self,
        predictions: dict[str, torch.Tensor],
        outputs: dict[str, ModelOutput],
        spectra: torch.Tensor,
        elements: torch.Tensor,
        selection: Selection,
    ) -> torch.Tensor:
        """Add to the density of states in ``predictions``, if it is there, and to the spectra that heads read.

        :param predictions: changed in place.
        :param outputs: what was asked for.
        :param spectra: (num_systems, num_channels) mean over the atoms of each structure, or empty.
        :param elements: (num_selected,) of the selected atoms.
        :param selection: the selected atoms.
        :return: the spectra that heads read.
        """
        num_systems, num_elements = len(selection.num_atoms), len(self.spectra)
        pairs = selection.system_of_atom * num_elements + elements
        counts = torch.bincount(pairs, minlength=num_systems * num_elements).reshape(num_systems, num_elements)
        of_systems = counts.to(self.spectra.dtype) @ self.spectra
        if self.density_of_states in predictions:
            per_atom = outputs[self.density_of_states].sample_kind == "atom"
            added = self.spectra[elements] if per_atom else of_systems
            predictions[self.density_of_states] = predictions[self.density_of_states] + added
        if len(spectra) > 0:
            spectra = spectra + of_systems / selection.num_atoms.clamp_min(1)
        return spectra


def add_element_spectra(model: Any) -> ElementSpectra:
    """Let a model with a density of states have a spectrum of each element, at first zero."""
    dtype = next(model.network.parameters()).dtype
    model.element_spectra = ElementSpectra(len(model.atomic_types), model.grid.size).to(dtype)
    return model.element_spectra
