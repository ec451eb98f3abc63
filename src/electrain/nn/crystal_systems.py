"""The crystal system of a structure as input to a network."""

import torch
from torch import nn

from .conditioning import check_range

NUM_CRYSTAL_SYSTEMS = 7
HIDDEN_SHARE = 0.1


class CrystalSystems(nn.Module):
    """Checks crystal systems, and hides those of a tenth of the structures in training, at random.

    So the network also learns what to predict for structures whose crystal system nobody tells it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.largest, self.hidden_share = NUM_CRYSTAL_SYSTEMS, HIDDEN_SHARE

    def forward(self, systems: torch.Tensor | None) -> torch.Tensor:
        """Numbers from 0 to 7, (num_systems,) int64, 0 for unknown ones -> the same, with some 0 more in training.

        :raises ValueError: for other numbers, or none at all.
        """
        if systems is None:
            raise ValueError("the network reads crystal systems (`crystal_systems`), but the batch has none")
        check_range("crystal system", systems, 0, self.largest)
        if not self.training:
            return systems
        return systems.masked_fill(torch.rand(len(systems), device=systems.device) < self.hidden_share, 0)


class CrystalSystemPrompt(nn.Module):
    """A learned vector for each crystal system, and one for unknown ones; all start from zero.

    :param width: number of features of a vector.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(1 + NUM_CRYSTAL_SYSTEMS, width))

    def forward(self, systems: torch.Tensor) -> torch.Tensor:
        """Numbers of crystal systems (n,) int64 -> vectors (n, width)."""
        return self.vectors[systems]
