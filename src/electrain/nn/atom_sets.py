"""Sets of atoms that share a spectrum: whole structures, or the neighborhoods of single atoms.

Sets differ in size. What runs over their atoms does so in a few buckets of sets with similar numbers of atoms
(:func:`~electrain.nn.buckets.choose_rows`); all else runs on packed atoms.
"""

from typing import NamedTuple

import torch

from .buckets import choose_rows

# TorchScript: functions cannot read module-level numbers, so it is a default argument below.
_MIN_WEIGHT = 1e-15


class AtomSets(NamedTuple):
    """Which atoms belong to which set, and with which weight; one row for each pair of set and atom."""

    sets: torch.Tensor  # (num_members,) int64, ascending
    atoms: torch.Tensor  # (num_members,) int64 | indices into the batch
    weights: torch.Tensor  # (num_members,) | 1 for a full member ... 0
    num_sets: int


class SetBucket(NamedTuple):
    """Sets of similar size in a padded table."""

    sets: torch.Tensor  # (rows,) int64 | which sets
    atoms: torch.Tensor  # (rows, length) int64 | indices into the batch; any atom in empty slots
    bias: torch.Tensor  # (rows, 1, 1, length) | logarithm of the weights, -inf in empty slots


def whole_structures(system_of_atom: torch.Tensor, num_systems: int, like: torch.Tensor) -> AtomSets:
    """One set for each structure, with all its atoms.

    :param system_of_atom: (num_atoms,) int64, ascending.
    :param num_systems: number of structures, some of which may have no atoms.
    :param like: a tensor with the dtype of the weights.
    """
    atoms = torch.arange(len(system_of_atom), device=system_of_atom.device)
    return AtomSets(system_of_atom, atoms, torch.ones_like(atoms, dtype=like.dtype), num_systems)


def neighborhoods(
    chosen: torch.Tensor, num_atoms: int, centers: torch.Tensor, neighbors: torch.Tensor, weights: torch.Tensor
) -> AtomSets:
    """One set for each chosen atom: itself, and its neighbors with their cutoff function as weight.

    :param chosen: (num_chosen,) int64, indices of atoms, none of them twice.
    :param num_atoms: number of atoms in the batch.
    :param centers: (num_edges,) int64.
    :param neighbors: (num_edges,) int64.
    :param weights: (num_edges,) cutoff function.
    """
    num_sets = len(chosen)
    numbers = torch.arange(num_sets, device=chosen.device)
    set_of_atom = torch.full((num_atoms,), -1, dtype=chosen.dtype, device=chosen.device).index_copy(0, chosen, numbers)
    set_of_edge = set_of_atom[centers]
    kept = torch.nonzero(set_of_edge >= 0).squeeze(1)
    sets, order = torch.sort(torch.cat([numbers, set_of_edge[kept]]), stable=True)
    atoms = torch.cat([chosen, neighbors[kept]])[order]
    of_members = torch.cat([torch.ones_like(numbers, dtype=weights.dtype), weights[kept]])
    return AtomSets(sets, atoms, of_members[order], num_sets)


def bucketed(sets: AtomSets, min_weight: float = _MIN_WEIGHT) -> list[SetBucket]:
    """Lay out sets in padded tables; sets without atoms are in none of them."""
    sizes = torch.bincount(sets.sets, minlength=sets.num_sets)
    starts = sizes.cumsum(0) - sizes
    by_size = torch.argsort(sizes, stable=True)
    by_size = by_size[sizes[by_size] > 0]
    # TorchScript: `tolist` needs its type spelled out
    lengths_of_sets: list[int] = sizes[by_size].tolist()
    buckets: list[SetBucket] = []
    if len(lengths_of_sets) == 0:
        return buckets
    logarithms = torch.log(sets.weights.clamp_min(min_weight))
    rows, lengths = choose_rows(lengths_of_sets, sets.sets.is_cuda)
    chosen = by_size.split(rows)
    for bucket in range(len(rows)):
        own = chosen[bucket]
        slots = torch.arange(lengths[bucket], device=own.device)
        filled = slots < sizes[own].unsqueeze(1)
        members = (starts[own].unsqueeze(1) + slots).clamp_max(len(sets.sets) - 1)
        bias = logarithms[members].masked_fill(~filled, float("-inf"))
        buckets.append(SetBucket(own, sets.atoms[members], bias.reshape(len(own), 1, 1, lengths[bucket])))
    return buckets
