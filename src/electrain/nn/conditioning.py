"""Charge and spin multiplicity of a structure as input to the network."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional


class StateRange(NamedTuple):
    """Charges and spin multiplicities that a network knows."""

    max_charge: int = 10  # from minus to plus this many elementary charges
    max_spin_multiplicity: int = 10  # from 1 to this one


class StateEmbedding(nn.Module):
    """Features of a structure's electronic state, to be added to those of its atoms.

    ``W' silu(W [e_Q, f_M] + b) + b'`` with learned vectors e and f for every charge Q and spin multiplicity M = 2S + 1.
    The outer map starts from zero, so an untrained embedding does not change the network.

    :param width: number of features of an atom.
    :param known: charges and multiplicities.
    """

    def __init__(self, width: int, known: StateRange) -> None:
        super().__init__()
        max_charge, max_spin_multiplicity = known
        self.max_charge, self.max_spin_multiplicity = max_charge, max_spin_multiplicity
        self.charge = nn.Embedding(2 * max_charge + 1, width)
        self.spin_multiplicity = nn.Embedding(max_spin_multiplicity, width)
        self.hidden = nn.Linear(2 * width, width)
        self.output = nn.Linear(width, width)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    @torch.jit.export
    def check(self, states: torch.Tensor) -> None:
        """Raise a ``ValueError`` for a charge or a multiplicity outside the range of the embedding."""
        charges, multiplicities = states.unbind(1)
        check_range("charge", charges, -self.max_charge, self.max_charge)
        check_range("spin multiplicity", multiplicities, 1, self.max_spin_multiplicity)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Charge and multiplicity (num_systems, 2) int64, both within range -> features (num_systems, width)."""
        charges, multiplicities = states.unbind(1)
        embedded = torch.cat(
            [self.charge(charges + self.max_charge), self.spin_multiplicity(multiplicities - 1)], dim=1
        )
        return self.output(functional.silu(self.hidden(embedded)))


def check_range(quantity: str, values: torch.Tensor, lowest: int, highest: int) -> None:
    """Raise a ``ValueError`` with the first structure whose value, of (num_systems,), is out of range."""
    known = (values >= lowest) & (values <= highest)
    if not bool(known.all()):
        worst = int(torch.argmin(known.to(torch.int64)))
        raise ValueError(
            "structure "
            + str(worst)
            + " of the batch has the "
            + quantity
            + " "
            + str(int(values[worst]))
            + ", but the model knows "
            + str(lowest)
            + " to "
            + str(highest)
        )
