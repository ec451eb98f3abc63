"""Selected atoms, for which outputs are requested."""

from typing import NamedTuple

import torch

from .pooling import PooledFeatures, average_systems, pool_systems, select_atoms


class Selection(NamedTuple):
    """The atoms of a batch for which outputs are requested; all of them by default."""

    atoms: torch.Tensor  # (num_selected,) int64 | indices into the batch, ascending
    system_of_atom: torch.Tensor  # (num_selected,) int64
    num_atoms: torch.Tensor  # (num_systems, 1) int64 | number of selected atoms in each structure, possibly zero
    all_atoms: bool  # whether all atoms are selected


def of_selected(features: PooledFeatures, selection: Selection) -> PooledFeatures:
    """The features of the selected atoms."""
    return features if selection.all_atoms else select_atoms(features, selection.atoms)


def of_samples(features: PooledFeatures, sample_kind: str, averaged: bool, selection: Selection) -> PooledFeatures:
    """What a last linear map needs of the samples that were asked for.

    :param features: of the selected atoms.
    :param sample_kind: ``"atom"``, or ``"system"`` for structures.
    :param averaged: whether a structure has the mean of its atoms instead of their sum.
    :param selection: of atoms.
    """
    if sample_kind == "atom":
        return features
    summed = pool_systems(features, selection.system_of_atom, len(selection.num_atoms))
    return average_systems(summed) if averaged else summed


def means_over_atoms(values: torch.Tensor, kind: str, selection: Selection) -> torch.Tensor:
    """Means over the selected atoms, from values of atoms or sums over each structure; zero without atoms."""
    num_systems = len(selection.num_atoms)
    if kind == "atom":
        values = values.new_zeros(num_systems, values.shape[1]).index_add(0, selection.system_of_atom, values)
    return values / selection.num_atoms.clamp_min(1).to(values.dtype)
