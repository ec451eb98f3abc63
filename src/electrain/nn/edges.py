"""Pairs of atoms -> edges inside the cutoff, and their reverse edges."""

from typing import NamedTuple

import torch

from .batch import Batch, Edges
from .cutoff import Cutoff, NeighborCount, adaptive_cutoffs, cutoff_weights

# TorchScript: functions cannot read module-level numbers, so constants are default arguments below.

# Two atoms closer than this (in Angstrom) count as overlapping.
_MIN_DISTANCE = 1e-2


class SortedPairs(NamedTuple):
    """The pairs of a batch in ascending order of center, neighbor and cell shift."""

    batch: Batch
    reverse: torch.Tensor  # (num_pairs,) int64 | index of the pair j -> i (shift -S) of every pair i -> j (shift S)
    complete: torch.Tensor  # () bool | whether every pair has a reverse, i.e. the neighbor list is a full list


def sort_pairs(batch: Batch) -> SortedPairs:
    """Sort the pairs and find the reverse of each, using integer keys for (i, j, S) and for (j, i, -S)."""
    centers, neighbors = batch.centers, batch.neighbors
    if len(centers) == 0:
        return SortedPairs(batch, centers, torch.ones((), dtype=torch.bool, device=centers.device))
    num_atoms = len(batch.positions)
    reach = batch.cell_shifts.abs().max()
    base = 2 * reach + 1
    digits = torch.stack([base * base, base, torch.ones_like(base)])
    shift = ((batch.cell_shifts + reach) * digits).sum(dim=1)
    num_shifts = base * base * base
    keys = (centers * num_atoms + neighbors) * num_shifts + shift
    reverse_keys = (neighbors * num_atoms + centers) * num_shifts + (num_shifts - 1 - shift)
    keys, order = torch.sort(keys)
    reverse_keys = reverse_keys[order]
    reverse = torch.searchsorted(keys, reverse_keys).clamp_max(len(keys) - 1)
    ordered = Batch(
        positions=batch.positions,
        elements=batch.elements,
        cells=batch.cells,
        system_of_atom=batch.system_of_atom,
        centers=centers[order],
        neighbors=neighbors[order],
        cell_shifts=batch.cell_shifts[order],
        states=batch.states,
    )
    return SortedPairs(ordered, reverse, (keys[reverse] == reverse_keys).all())


def edge_vectors(batch: Batch) -> torch.Tensor:
    """Vectors from each pair's center to its neighbor, (num_pairs, 3) in Angstrom."""
    shifts = batch.cell_shifts.to(batch.cells.dtype)
    if len(batch.cells) == 1:
        offsets = (
            shifts @ batch.cells[0]
        )  # a plain product, whose backward is much cheaper than that of the batched one
    else:
        cells = batch.cells[batch.system_of_atom[batch.centers]]
        offsets = torch.bmm(shifts.unsqueeze(1), cells).squeeze(1)
    return batch.positions[batch.neighbors] - batch.positions[batch.centers] + offsets


def _too_close(distances: torch.Tensor, batch: Batch, min_distance: float) -> str:
    """Message about atoms that overlap or have a position that is not finite."""
    worst = int(torch.argmin((distances > min_distance).to(torch.int64)))
    return (
        "atoms "
        + str(int(batch.centers[worst]))
        + " and "
        + str(int(batch.neighbors[worst]))
        + " (numbered through the batch) are "
        + str(float(distances[worst]))
        + " Angstrom apart: expected finite positions more than "
        + str(min_distance)
        + " Angstrom apart"
    )


def find_edges(batch: Batch, cutoff: Cutoff, min_distance: float = _MIN_DISTANCE) -> Edges:
    """The pairs within the (fixed or adaptive) cutoff, as edges with smooth weights; lengths in Angstrom.

    With adaptive radii r_i, the cutoff of a pair is ``(r_i + r_j) / 2``. Edges are sorted by center, neighbor and cell
    shift.

    :raises ValueError: for overlapping atoms, positions that are not finite, and half neighbor lists.
    """
    pairs = sort_pairs(batch)
    batch, reverse = pairs.batch, pairs.reverse
    vectors = edge_vectors(batch)
    distances = torch.linalg.vector_norm(vectors, dim=1)
    num_atoms = len(batch.positions)
    num_neighbors = cutoff.num_neighbors  # TorchScript: a type is narrowed for local names only
    if num_neighbors is None:
        atomic_cutoffs = torch.full_like(batch.positions[:, 0], cutoff.radius)
        pair_cutoffs = torch.full_like(distances, cutoff.radius)
    else:
        wanted = NeighborCount(num_neighbors, cutoff.radius, cutoff.count_width)
        atomic_cutoffs = adaptive_cutoffs(distances, batch.centers, num_atoms, wanted, cutoff.method)
        pair_cutoffs = 0.5 * (atomic_cutoffs[batch.centers] + atomic_cutoffs[batch.neighbors])
    inside = distances <= pair_cutoffs
    # Round-off may put i -> j just inside and j -> i just outside, so an edge is kept only together with its reverse.
    inside = inside & inside[reverse]
    # One synchronisation for all checks: on a GPU, the host waits for every answer. `distances > ...` is false for NaN.
    answers = torch.stack([(distances > min_distance).all(), pairs.complete, inside.all()])
    # TorchScript: `tolist` needs its type spelled out
    valid: list[bool] = answers.tolist()
    if not valid[0]:
        raise ValueError(_too_close(distances, batch, min_distance))
    if not valid[1]:
        raise ValueError("the network needs a full neighbor list: some pair i -> j has no reverse j -> i")
    centers, neighbors, cell_shifts = batch.centers, batch.neighbors, batch.cell_shifts
    if not valid[2]:
        keep = torch.nonzero(inside).squeeze(1)
        new_index = torch.zeros_like(reverse).index_copy(0, keep, torch.arange(len(keep), device=keep.device))
        centers, neighbors, reverse = centers[keep], neighbors[keep], new_index[reverse[keep]]
        vectors, distances, pair_cutoffs = vectors[keep], distances[keep], pair_cutoffs[keep]
        cell_shifts = cell_shifts[keep]
    return Edges(
        centers=centers,
        neighbors=neighbors,
        vectors=vectors,
        distances=distances,
        reverse=reverse,
        weights=cutoff_weights(distances, pair_cutoffs, cutoff.width, cutoff.function),
        atomic_cutoffs=atomic_cutoffs,
        cell_shifts=cell_shifts,
    )
