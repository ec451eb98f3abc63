"""All tensors that enter the network, with their shapes and units."""

from typing import NamedTuple

import torch


class Batch(NamedTuple):
    """Several structures in one batch; atoms and pairs are numbered consecutively through the batch."""

    positions: torch.Tensor  # (num_atoms, 3) | Angstrom
    elements: torch.Tensor  # (num_atoms,) int64 | index into the network's list of elements
    cells: torch.Tensor  # (num_systems, 3, 3) | Angstrom, one lattice vector per row, zero where not periodic
    system_of_atom: torch.Tensor  # (num_atoms,) int64
    centers: torch.Tensor  # (num_pairs,) int64 | atom i of the pair i -> j
    neighbors: torch.Tensor  # (num_pairs,) int64 | atom j; every pair i -> j comes with its reverse j -> i
    cell_shifts: torch.Tensor  # (num_pairs, 3) int64 | atom j sits at position_j + shift @ cell
    # (num_systems, 2) int64 | charge (e) and spin multiplicity, for networks that read them
    states: torch.Tensor | None = None
    # (num_systems,) int64 | 1 (cubic) to 7 (triclinic), 0 if unknown, for networks that read them
    crystal_systems: torch.Tensor | None = None
    # (num_systems, num_k, 3) | fractional coordinates in the reciprocal lattice of each cell, NaN for structures
    # without k-points, for networks that read them
    k_points: torch.Tensor | None = None


class Edges(NamedTuple):
    """The pairs of a batch that lie within the cutoff, one token each."""

    centers: torch.Tensor  # (num_edges,) int64
    neighbors: torch.Tensor  # (num_edges,) int64
    vectors: torch.Tensor  # (num_edges, 3) | Angstrom, from center to neighbor
    distances: torch.Tensor  # (num_edges,) | Angstrom
    reverse: torch.Tensor  # (num_edges,) int64 | index of the edge j -> i
    weights: torch.Tensor  # (num_edges,) | smooth cutoff function, 1 inside ... 0 at the cutoff
    atomic_cutoffs: torch.Tensor  # (num_atoms,) | Angstrom
    # (num_edges, 3) int64 | lattice vectors from the cell of the center to that of the neighbor, where they are known
    cell_shifts: torch.Tensor | None = None
