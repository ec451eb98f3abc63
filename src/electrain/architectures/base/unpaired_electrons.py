"""Structures with an odd number of electrons, which have no band gap in calculations without spin polarization."""

import torch
from ase.data import chemical_symbols
from torch import nn

from electrain.nn.selection import Selection
from electrain.spectra.axis import EnergyAxis


class UnpairedElectrons(nn.Module):
    """Which structures have an odd number of valence electrons, so that a level or band is half filled.

    :param valence_electrons: (num_elements,) of each element; NaN if unknown.
    """

    valence_electrons: torch.Tensor

    def __init__(self, valence_electrons: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("valence_electrons", valence_electrons, persistent=False)

    def forward(self, elements: torch.Tensor, selection: Selection) -> torch.Tensor:
        """Return whether the number of electrons is odd, (num_systems, 1); false if it is unknown.

        :param elements: (num_atoms,) elements of the batch.
        :param selection: the selected atoms; a part of a structure has no number of electrons.
        """
        numbers = self.valence_electrons.new_zeros(len(selection.num_atoms))
        if selection.all_atoms:
            numbers = numbers.index_add(0, selection.system_of_atom, self.valence_electrons[elements])
        return ((numbers % 2.0 - 1.0).abs() < 1e-3).unsqueeze(1)  # numbers of valence electrons are whole


def unpaired_electrons(
    axis: EnergyAxis | None, atomic_types: list[int], reads_states: bool
) -> UnpairedElectrons | None:
    """Return the module of a model that was trained on calculations without spin polarization, ``None`` for others.

    :param axis: the energy axis.
    :param atomic_types: atomic numbers of the model's elements.
    :param reads_states: whether the model reads charges, on which the number of electrons depends.
    """
    if axis is None or axis.spin_polarized is not False or reads_states:
        return None
    known = [axis.valence_electrons.get(chemical_symbols[number], float("nan")) for number in atomic_types]
    return UnpairedElectrons(torch.tensor(known, dtype=torch.float64))
