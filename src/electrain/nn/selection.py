"""The atoms of a batch that outputs are asked for."""

from typing import NamedTuple

import torch

from .pooling import PooledFeatures, select_atoms


class Selection(NamedTuple):
    """The atoms of a batch that outputs are asked for, all of them by default."""

    atoms: torch.Tensor  # (num_selected,) int64 | indices into the batch, ascending
    system_of_atom: torch.Tensor  # (num_selected,) int64
    num_atoms: torch.Tensor  # (num_systems, 1) int64 | selected atoms of each structure, which may be none
    all_atoms: bool  # whether they are all


def of_selected(features: PooledFeatures, selection: Selection) -> PooledFeatures:
    """The features of the selected atoms."""
    return features if selection.all_atoms else select_atoms(features, selection.atoms)
