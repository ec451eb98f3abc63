"""Pairs of atoms -> edges inside the cutoff, their reverse edges, and buckets for attention."""

import torch

from .batch import Batch, Buckets, Edges
from .cutoff import adaptive_cutoffs, cutoff_weights

# TorchScript: functions cannot read module-level numbers, so constants are default arguments below.

# Closer than this (Angstrom) two atoms count as sitting on top of each other.
_MIN_DISTANCE = 1e-2
# A bucket's longest row is at most this much longer than its shortest, so little attention is spent on padding ...
_BUCKET_RATIO = 1.1
# ... unless that would take more buckets than this.
_MAX_BUCKETS = 12


def reverse_edges(centers: torch.Tensor, neighbors: torch.Tensor, cell_shifts: torch.Tensor) -> torch.Tensor:
    """For every pair i -> j (shift S) the index of the pair j -> i (shift -S).

    :param centers: (num_pairs,) atom i.
    :param neighbors: (num_pairs,) atom j.
    :param cell_shifts: (num_pairs, 3) integers.
    :return: (num_pairs,) indices.
    :raises ValueError: if a pair has no reverse, i.e. the neighbor list is not a full list.
    """
    if centers.numel() == 0:
        return centers
    num_atoms = torch.maximum(centers.max(), neighbors.max()) + 1
    reach = cell_shifts.abs().max()
    base = 2 * reach + 1
    forward_key = centers * num_atoms + neighbors
    reverse_key = neighbors * num_atoms + centers
    for axis in range(3):
        forward_key = forward_key * base + (cell_shifts[:, axis] + reach)
        reverse_key = reverse_key * base + (reach - cell_shifts[:, axis])
    sorted_keys, order = torch.sort(forward_key)
    found = torch.searchsorted(sorted_keys, reverse_key).clamp_max(len(order) - 1)
    if not bool((sorted_keys[found] == reverse_key).all()):
        raise ValueError("the network needs a full neighbor list: some pair i -> j comes without its reverse j -> i")
    return order[found]


def edge_vectors(batch: Batch) -> torch.Tensor:
    """Vectors from each pair's center to its neighbor, (num_pairs, 3) in Angstrom."""
    shifts = batch.cell_shifts.to(batch.cells.dtype)
    if len(batch.cells) == 1:
        offsets = shifts @ batch.cells[0]  # a plain product: its backward is much cheaper than the batched one
    else:
        cells = batch.cells[batch.system_of_atom[batch.centers]]
        offsets = torch.bmm(shifts.unsqueeze(1), cells).squeeze(1)
    return batch.positions[batch.neighbors] - batch.positions[batch.centers] + offsets


def check_distances(
    distances: torch.Tensor,
    centers: torch.Tensor,
    neighbors: torch.Tensor,
    min_distance: float = _MIN_DISTANCE,
) -> None:
    """Raise a ``ValueError`` that names the atoms if two sit on top of each other or a position is not finite."""
    valid = distances > min_distance  # false for NaN, too
    if not bool(valid.all()):
        worst = int(torch.argmin(valid.to(torch.int64)))
        raise ValueError(
            "atoms "
            + str(int(centers[worst]))
            + " and "
            + str(int(neighbors[worst]))
            + " (counted through the batch) are "
            + str(float(distances[worst]))
            + " Angstrom apart: expected finite positions more than "
            + str(min_distance)
            + " Angstrom apart"
        )


def find_edges(
    batch: Batch,
    cutoff: float,
    cutoff_width: float,
    cutoff_function: str,
    num_neighbors_adaptive: float | None,
    cutoff_width_adaptive: float,
    adaptive_cutoff_method: str,
) -> Edges:
    """The pairs within the (fixed or adaptive) cutoff, as edges with smooth weights; lengths in Angstrom.

    With adaptive radii r_i, the cutoff of a pair is ``(r_i + r_j) / 2``.
    """
    vectors = edge_vectors(batch)
    distances = torch.linalg.vector_norm(vectors, dim=1)
    check_distances(distances.detach(), batch.centers, batch.neighbors)
    num_atoms = len(batch.positions)
    if num_neighbors_adaptive is None:
        atomic_cutoffs = torch.full_like(batch.positions[:, 0], cutoff)
    else:
        atomic_cutoffs = adaptive_cutoffs(
            distances,
            batch.centers,
            num_atoms,
            num_neighbors_adaptive,
            cutoff,
            cutoff_width_adaptive,
            adaptive_cutoff_method,
        )
    pair_cutoffs = 0.5 * (atomic_cutoffs[batch.centers] + atomic_cutoffs[batch.neighbors])
    reverse = reverse_edges(batch.centers, batch.neighbors, batch.cell_shifts)
    inside = distances <= pair_cutoffs
    # Round-off may put i -> j just inside and j -> i just outside: an edge stays only together with its reverse.
    keep = torch.nonzero(inside & inside[reverse]).squeeze(1)
    new_index = torch.zeros_like(reverse).index_copy(0, keep, torch.arange(len(keep), device=keep.device))
    centers, neighbors, distances = batch.centers[keep], batch.neighbors[keep], distances[keep]
    return Edges(
        centers=centers,
        neighbors=neighbors,
        vectors=vectors[keep],
        distances=distances,
        reverse=new_index[reverse[keep]],
        weights=cutoff_weights(distances, pair_cutoffs[keep], cutoff_width, cutoff_function),
        atomic_cutoffs=atomic_cutoffs,
    )


def bucket_limits(histogram: list[int], ratio: float = _BUCKET_RATIO, max_buckets: int = _MAX_BUCKETS) -> list[int]:
    """Longest row of each bucket, ascending, for ``histogram[n]`` rows of ``n`` tokens.

    Walks down from the longest row and closes a bucket where rows become shorter than the longest by a fixed ratio.
    """
    lengths: list[int] = []
    for length in range(len(histogram)):
        if histogram[length] > 0:
            lengths.append(length)
    if len(lengths) == 0:
        return lengths
    ratio = max(ratio, (lengths[-1] / lengths[0]) ** (1.0 / max_buckets))
    limits = [lengths[-1]]
    for i in range(len(lengths) - 1, -1, -1):
        if lengths[i] * ratio < limits[-1]:
            limits.append(lengths[i])
    return limits[::-1]


def make_buckets(centers: torch.Tensor, num_atoms: int) -> Buckets:
    """Lay out one central token per atom and one token per edge in few padded blocks.

    :param centers: (num_edges,) center of each edge, in any order.
    :param num_atoms: number of atoms.
    """
    device = centers.device
    counts = torch.bincount(centers, minlength=num_atoms)
    # TorchScript: `tolist` needs its type spelled out
    histogram: list[int] = torch.bincount(counts + 1).tolist()
    limits = bucket_limits(histogram)
    limits_tensor = torch.tensor(limits, dtype=torch.int64, device=device)
    bucket_of_atom = torch.searchsorted(limits_tensor, counts + 1)
    rows: list[int] = torch.bincount(bucket_of_atom, minlength=len(limits)).tolist()

    first_slot_of_bucket: list[int] = []
    first_row_of_bucket: list[int] = []
    num_slots, num_rows = 0, 0
    for bucket in range(len(limits)):
        first_slot_of_bucket.append(num_slots)
        first_row_of_bucket.append(num_rows)
        num_slots += rows[bucket] * limits[bucket]
        num_rows += rows[bucket]
    atoms_by_bucket = torch.argsort(bucket_of_atom, stable=True)
    row = torch.empty_like(atoms_by_bucket)
    row[atoms_by_bucket] = torch.arange(num_atoms, device=device)
    row = row - torch.tensor(first_row_of_bucket, dtype=torch.int64, device=device)[bucket_of_atom]
    first_slots = torch.tensor(first_slot_of_bucket, dtype=torch.int64, device=device)
    central_slots = first_slots[bucket_of_atom] + row * limits_tensor[bucket_of_atom]

    order = torch.argsort(centers, stable=True)
    starts = torch.cumsum(counts, 0) - counts
    position = torch.empty_like(order)
    position[order] = torch.arange(len(centers), device=device) - starts[centers[order]]
    edge_slots = central_slots[centers] + 1 + position
    return Buckets(num_atoms=rows, lengths=limits, slots=torch.cat([central_slots, edge_slots]), num_slots=num_slots)
