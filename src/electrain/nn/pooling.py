"""Features summed over the edges of each atom and over the atoms of each structure, before the last linear map."""

from typing import NamedTuple

import torch


class PooledFeatures(NamedTuple):
    """Input of a head's last linear map for each sample, an atom or a whole structure."""

    values: torch.Tensor  # (num_samples, num_features) | node features, and edge features summed with their weights
    num_nodes: torch.Tensor  # (num_samples,) | how many nodes were summed: 1 for an atom
    edge_weight: torch.Tensor  # (num_samples,) | sum of the weights of the edges that were summed


def sum_edges(features: torch.Tensor, centers: torch.Tensor, weights: torch.Tensor, num_atoms: int) -> torch.Tensor:
    """Weighted sum of the edge features (num_edges, width) around each atom: (num_atoms, width)."""
    weighted = features.to(weights.dtype) * weights.unsqueeze(1)
    return weighted.new_zeros(num_atoms, features.shape[1]).index_add(0, centers, weighted)


def pool_systems(features: PooledFeatures, system_of_atom: torch.Tensor, num_systems: int) -> PooledFeatures:
    """Sum the features of atoms over each structure."""
    values = features.values.new_zeros(num_systems, features.values.shape[1])
    empty = features.num_nodes.new_zeros(num_systems)
    return PooledFeatures(
        values=values.index_add(0, system_of_atom, features.values),
        num_nodes=empty.index_add(0, system_of_atom, features.num_nodes),
        edge_weight=empty.index_add(0, system_of_atom, features.edge_weight),
    )


def average_systems(features: PooledFeatures) -> PooledFeatures:
    """Turn the sums of :func:`pool_systems` into means over the atoms of each structure; zero without atoms."""
    num_atoms = features.num_nodes.clamp_min(1.0)
    return PooledFeatures(
        values=features.values / num_atoms.unsqueeze(1),
        num_nodes=features.num_nodes / num_atoms,
        edge_weight=features.edge_weight / num_atoms,
    )


def of_nodes(values: torch.Tensor) -> PooledFeatures:
    """Features of atoms (num_atoms, num_features) for a network that sums over no edges."""
    ones = torch.ones_like(values[:, 0])
    return PooledFeatures(values=values, num_nodes=ones, edge_weight=torch.zeros_like(ones))


def pool_nodes(values: torch.Tensor, system_of_atom: torch.Tensor, num_systems: int, averaged: bool) -> torch.Tensor:
    """Sums or means of rows of atoms over each structure, (num_systems, num_features); zero without atoms."""
    summed = pool_systems(of_nodes(values), system_of_atom, num_systems)
    return average_systems(summed).values if averaged else summed.values


def select_atoms(features: PooledFeatures, atoms: torch.Tensor) -> PooledFeatures:
    """The features of some atoms, (num_selected,) indices."""
    return PooledFeatures(features.values[atoms], features.num_nodes[atoms], features.edge_weight[atoms])
