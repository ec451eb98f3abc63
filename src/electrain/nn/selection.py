"""Selected atoms, for which outputs are requested."""

from typing import NamedTuple

import torch

from .pooling import PooledFeatures, select_atoms


class Selection(NamedTuple):
    """The atoms of a batch for which outputs are requested; all of them by default."""

    atoms: torch.Tensor  # (num_selected,) int64 | indices into the batch, ascending
    system_of_atom: torch.Tensor  # (num_selected,) int64
    num_atoms: torch.Tensor  # (num_systems, 1) int64 | number of selected atoms in each structure, possibly zero
    all_atoms: bool  # whether all atoms are selected


def of_selected(features: PooledFeatures, selection: Selection) -> PooledFeatures:
    """The features of the selected atoms."""
    return features if selection.all_atoms else select_atoms(features, selection.atoms)
