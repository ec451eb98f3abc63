"""Pairs of atoms -> edges inside the cutoff, their reverse edges, and buckets for attention."""

from typing import NamedTuple

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
# A bucket is some 15 kernels an attention layer. On a GPU it has to save so many slots to be worth their launch.
_SLOTS_SAVED_ON_GPU = 3000
# The fused attention kernels of GPUs read rows that begin at multiples of so many numbers: others are an error there
# ("misaligned address").
_ROW_ALIGNMENT_ON_GPU = 8


class SortedPairs(NamedTuple):
    """The pairs of a batch in ascending order of center, neighbor and cell shift."""

    batch: Batch
    reverse: torch.Tensor  # (num_pairs,) int64 | index of the pair j -> i (shift -S) of every pair i -> j (shift S)
    complete: torch.Tensor  # () bool | whether every pair has a reverse, i.e. the neighbor list is a full list


def sort_pairs(batch: Batch) -> SortedPairs:
    """Order the pairs and find the reverse of each, by numbers that stand for (i, j, S) and for (j, i, -S)."""
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
        offsets = shifts @ batch.cells[0]  # a plain product: its backward is much cheaper than the batched one
    else:
        cells = batch.cells[batch.system_of_atom[batch.centers]]
        offsets = torch.bmm(shifts.unsqueeze(1), cells).squeeze(1)
    return batch.positions[batch.neighbors] - batch.positions[batch.centers] + offsets


def _too_close(distances: torch.Tensor, batch: Batch, min_distance: float) -> str:
    """Which atoms sit on top of each other, or have a position that is not finite."""
    worst = int(torch.argmin((distances > min_distance).to(torch.int64)))
    return (
        "atoms "
        + str(int(batch.centers[worst]))
        + " and "
        + str(int(batch.neighbors[worst]))
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
    min_distance: float = _MIN_DISTANCE,
) -> Edges:
    """The pairs within the (fixed or adaptive) cutoff, as edges with smooth weights; lengths in Angstrom.

    With adaptive radii r_i, the cutoff of a pair is ``(r_i + r_j) / 2``. Edges are in ascending order of their
    centers, neighbors and cell shifts.

    :raises ValueError: for atoms on top of each other, positions that are not finite, and half neighbor lists.
    """
    pairs = sort_pairs(batch)
    batch, reverse = pairs.batch, pairs.reverse
    vectors = edge_vectors(batch)
    distances = torch.linalg.vector_norm(vectors, dim=1)
    num_atoms = len(batch.positions)
    if num_neighbors_adaptive is None:
        atomic_cutoffs = torch.full_like(batch.positions[:, 0], cutoff)
        pair_cutoffs = torch.full_like(distances, cutoff)
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
    inside = distances <= pair_cutoffs
    # Round-off may put i -> j just inside and j -> i just outside: an edge stays only together with its reverse.
    inside = inside & inside[reverse]
    # One question for all: on a GPU, every answer means to wait for it. `distances > ...` is false for NaN, too.
    answers = torch.stack([(distances > min_distance).all(), pairs.complete, inside.all()])
    # TorchScript: `tolist` needs its type spelled out
    valid: list[bool] = answers.tolist()
    if not valid[0]:
        raise ValueError(_too_close(distances, batch, min_distance))
    if not valid[1]:
        raise ValueError("the network needs a full neighbor list: some pair i -> j comes without its reverse j -> i")
    centers, neighbors = batch.centers, batch.neighbors
    if not valid[2]:
        keep = torch.nonzero(inside).squeeze(1)
        new_index = torch.zeros_like(reverse).index_copy(0, keep, torch.arange(len(keep), device=keep.device))
        centers, neighbors, reverse = centers[keep], neighbors[keep], new_index[reverse[keep]]
        vectors, distances, pair_cutoffs = vectors[keep], distances[keep], pair_cutoffs[keep]
    return Edges(
        centers=centers,
        neighbors=neighbors,
        vectors=vectors,
        distances=distances,
        reverse=reverse,
        weights=cutoff_weights(distances, pair_cutoffs, cutoff_width, cutoff_function),
        atomic_cutoffs=atomic_cutoffs,
    )


def bucket_limits(
    histogram: list[int], min_saved: int, ratio: float = _BUCKET_RATIO, max_buckets: int = _MAX_BUCKETS
) -> list[int]:
    """Longest row of each bucket, ascending, for ``histogram[n]`` rows of ``n`` tokens.

    Walks down from the longest row and closes a bucket where rows become shorter than the longest by a fixed ratio,
    if that spares the remaining rows at least ``min_saved`` empty slots.
    """
    lengths: list[int] = []
    for length in range(len(histogram)):
        if histogram[length] > 0:
            lengths.append(length)
    if len(lengths) == 0:
        return lengths
    ratio = max(ratio, (lengths[-1] / lengths[0]) ** (1.0 / max_buckets))
    limits = [lengths[-1]]
    remaining = sum(histogram)
    for i in range(len(lengths) - 1, -1, -1):
        if lengths[i] * ratio < limits[-1] and remaining * (limits[-1] - lengths[i]) >= min_saved:
            limits.append(lengths[i])
        remaining -= histogram[lengths[i]]
    return limits[::-1]


def rounded_up(limits: list[int], multiple: int) -> list[int]:
    """The same limits, or a little longer: multiples of a number, each of them once."""
    rounded: list[int] = []
    for limit in limits:
        length = (limit + multiple - 1) // multiple * multiple
        if len(rounded) == 0 or rounded[-1] != length:
            rounded.append(length)
    return rounded


def make_buckets(
    centers: torch.Tensor,
    num_atoms: int,
    saved_on_gpu: int = _SLOTS_SAVED_ON_GPU,
    alignment_on_gpu: int = _ROW_ALIGNMENT_ON_GPU,
) -> Buckets:
    """Lay out one central token per atom and one token per edge in few padded blocks.

    :param centers: (num_edges,) center of each edge, in ascending order.
    :param num_atoms: number of atoms.
    """
    device = centers.device
    starts = torch.searchsorted(centers, torch.arange(num_atoms + 1, device=device))
    counts = starts.diff() + 1
    # TorchScript: `tolist` needs its type spelled out
    row_lengths: list[int] = counts.tolist()
    histogram: list[int] = [0] * (max(row_lengths) + 1 if num_atoms > 0 else 0)
    for length in row_lengths:
        histogram[length] += 1
    limits = bucket_limits(histogram, saved_on_gpu if centers.is_cuda else 0)
    if centers.is_cuda:
        limits = rounded_up(limits, alignment_on_gpu)

    rows: list[int] = []
    first_slots: list[int] = []  # of each bucket, if rows were numbered from 0 in each
    shortest, num_slots, num_rows = 0, 0, 0
    for limit in limits:
        first_slots.append(num_slots - num_rows * limit)
        rows.append(sum(histogram[shortest : limit + 1]))
        num_slots += rows[-1] * limit
        num_rows += rows[-1]
        shortest = limit + 1
    table = torch.tensor([limits, first_slots], dtype=torch.int64).to(device)
    bucket_of_atom = torch.searchsorted(table[0], counts)
    atoms_by_bucket = torch.argsort(bucket_of_atom, stable=True)
    row = torch.empty_like(atoms_by_bucket)
    row[atoms_by_bucket] = torch.arange(num_atoms, device=device)
    central_slots = table[1][bucket_of_atom] + row * table[0][bucket_of_atom]
    # the n-th edge of an atom comes n slots behind its central token
    before_edges = central_slots - starts[:-1] + 1
    edge_slots = before_edges[centers] + torch.arange(len(centers), device=device)
    return Buckets(num_atoms=rows, lengths=limits, slots=torch.cat([central_slots, edge_slots]), num_slots=num_slots)
