"""Every tensor that enters the network, with its shape and unit."""

from typing import NamedTuple

import torch


class Batch(NamedTuple):
    """Several structures side by side; atoms and pairs are numbered through the whole batch."""

    positions: torch.Tensor  # (num_atoms, 3) | Angstrom
    elements: torch.Tensor  # (num_atoms,) int64 | index into the network's list of elements
    cells: torch.Tensor  # (num_systems, 3, 3) | Angstrom, one lattice vector a row, zero where not periodic
    system_of_atom: torch.Tensor  # (num_atoms,) int64
    centers: torch.Tensor  # (num_pairs,) int64 | atom i of the pair i -> j
    neighbors: torch.Tensor  # (num_pairs,) int64 | atom j; every pair i -> j comes with its reverse j -> i
    cell_shifts: torch.Tensor  # (num_pairs, 3) int64 | atom j sits at position_j + shift @ cell
    # (num_systems, 2) int64 | charge (e) and spin multiplicity, for networks that read them
    states: torch.Tensor | None = None


class Edges(NamedTuple):
    """The pairs of a batch that lie within the cutoff: one token each."""

    centers: torch.Tensor  # (num_edges,) int64
    neighbors: torch.Tensor  # (num_edges,) int64
    vectors: torch.Tensor  # (num_edges, 3) | Angstrom, from center to neighbor
    distances: torch.Tensor  # (num_edges,) | Angstrom
    reverse: torch.Tensor  # (num_edges,) int64 | index of the edge j -> i
    weights: torch.Tensor  # (num_edges,) | smooth cutoff function, 1 inside ... 0 at the cutoff
    atomic_cutoffs: torch.Tensor  # (num_atoms,) | Angstrom


class Buckets(NamedTuple):
    """How tokens are laid out for the transformers: atoms with similar numbers of neighbors share one padded block.

    Block ``b`` holds ``num_atoms[b]`` rows of ``lengths[b]`` slots, and the blocks follow one another. Tokens are all
    atoms' central tokens, then all edges.
    """

    num_atoms: list[int]  # (num_buckets,)
    lengths: list[int]  # (num_buckets,) | tokens a row, the central one included
    slots: torch.Tensor  # (num_atoms + num_edges,) int64 | where each token goes among all slots
    num_slots: int


class LayerInputs(NamedTuple):
    """What every message-passing layer reads beside features."""

    vectors: torch.Tensor  # (num_edges, 3) | Angstrom
    distances: torch.Tensor  # (num_edges,) | Angstrom
    neighbor_elements: torch.Tensor  # (num_edges,) int64
    key_bias: torch.Tensor  # (num_slots,) | logarithm of the cutoff function, -inf in empty slots
    buckets: Buckets


class PreparedBatch(NamedTuple):
    """A batch as the network's parameters meet it: edges found, tokens laid out."""

    elements: torch.Tensor  # (num_atoms,) int64
    system_of_atom: torch.Tensor  # (num_atoms,) int64
    states: torch.Tensor | None  # (num_systems, 2) int64
    graph: Edges
    layer_inputs: LayerInputs
