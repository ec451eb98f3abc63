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


def first_edges(centers: torch.Tensor, num_atoms: int) -> torch.Tensor:
    """The first edge of each atom, and the number of all edges: (num_atoms + 1,), for ascending centers."""
    return torch.searchsorted(centers, torch.arange(num_atoms + 1, device=centers.device))


def choose_rows(
    row_lengths: list[int],
    on_gpu: bool,
    saved_on_gpu: int = _SLOTS_SAVED_ON_GPU,
    alignment_on_gpu: int = _ROW_ALIGNMENT_ON_GPU,
) -> tuple[list[int], list[int]]:
    """How many rows each bucket has, and how long they are, in ascending order.

    :param row_lengths: tokens of each atom, the central one included.
    """
    longest = 0
    for length in row_lengths:
        longest = max(longest, length)
    histogram: list[int] = [0] * (longest + 1 if len(row_lengths) > 0 else 0)
    for length in row_lengths:
        histogram[length] += 1
    limits = bucket_limits(histogram, saved_on_gpu if on_gpu else 0)
    if on_gpu:
        limits = rounded_up(limits, alignment_on_gpu)
    rows: list[int] = []
    shortest = 0
    for limit in limits:
        rows.append(sum(histogram[shortest : limit + 1]))
        shortest = limit + 1
    return rows, limits


def first_slots(rows: list[int], lengths: list[int], device: torch.device) -> torch.Tensor:
    """Where each row begins, (sum of ``rows``,) int64: the rows of one bucket after another.

    :param rows: of each bucket.
    :param lengths: of the rows of each bucket.
    """
    table = torch.tensor([lengths, rows], dtype=torch.int64).to(device)
    row_lengths = torch.repeat_interleave(table[0], table[1], output_size=sum(rows))
    return row_lengths.cumsum(0) - row_lengths


def place_tokens(centers: torch.Tensor, starts: torch.Tensor, row_starts: torch.Tensor) -> torch.Tensor:
    """Give every token a slot, (num_atoms + num_edges,) int64: atoms with more neighbors get later rows.

    :param centers: (num_edges,) center of each edge, in ascending order.
    :param starts: what :func:`first_edges` finds. Edges from the last number on share the last atom's second slot.
    :param row_starts: (num_atoms,) what :func:`first_slots` finds, for rows that are long enough.
    """
    central_slots = torch.empty_like(row_starts)
    central_slots[torch.argsort(starts.diff(), stable=True)] = row_starts
    # the n-th edge of an atom comes n slots behind its central token
    before_edges = central_slots - starts[:-1] + 1
    edges = torch.arange(len(centers), device=centers.device).minimum(starts[-1])
    return torch.cat([central_slots, before_edges[centers] + edges])


def make_buckets(centers: torch.Tensor, num_atoms: int) -> Buckets:
    """Lay out one central token per atom and one token per edge in few padded blocks.

    :param centers: (num_edges,) center of each edge, in ascending order.
    :param num_atoms: number of atoms.
    """
    starts = first_edges(centers, num_atoms)
    # TorchScript: `tolist` needs its type spelled out
    row_lengths: list[int] = (starts.diff() + 1).tolist()
    rows, lengths = choose_rows(row_lengths, centers.is_cuda)
    slots = place_tokens(centers, starts, first_slots(rows, lengths, centers.device))
    return Buckets(num_atoms=rows, lengths=lengths, slots=slots, num_slots=count_slots(rows, lengths))


def count_slots(rows: list[int], lengths: list[int]) -> int:
    """Slots of all buckets."""
    num_slots = 0
    for number, length in zip(rows, lengths):  # noqa: B905 (TorchScript: no strict=)
        num_slots += number * length
    return num_slots
