"""Buckets: atoms with similar numbers of neighbors share one padded block of tokens."""

import torch

from .batch import Buckets

# A bucket's longest row is at most this much longer than its shortest, so little attention is spent on padding ...
_BUCKET_RATIO = 1.1


# ... unless that would take more buckets than this.
_MAX_BUCKETS = 12


# A bucket takes about 15 kernels per attention layer. On a GPU it must save this many slots to be worth launching them.
_SLOTS_SAVED_ON_GPU = 3000


# Fused attention kernels on GPUs need rows that start at multiples of this number of elements; otherwise they fail
# ("misaligned address").
_ROW_ALIGNMENT_ON_GPU = 8


def bucket_limits(
    histogram: list[int], min_saved: int, ratio: float = _BUCKET_RATIO, max_buckets: int = _MAX_BUCKETS
) -> list[int]:
    """Longest row of each bucket, ascending, for ``histogram[n]`` rows of ``n`` tokens.

    Goes down from the longest row and closes a bucket where rows become shorter than its longest row by a fixed ratio,
    if that saves the remaining rows at least ``min_saved`` empty slots.
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
    """Round limits up to multiples of a number, without repetition."""
    rounded: list[int] = []
    for limit in limits:
        length = (limit + multiple - 1) // multiple * multiple
        if len(rounded) == 0 or rounded[-1] != length:
            rounded.append(length)
    return rounded


def first_edges(centers: torch.Tensor, num_atoms: int) -> torch.Tensor:
    """Return the first edge of each atom, and the number of all edges: (num_atoms + 1,), for ascending centers."""
    return torch.searchsorted(centers, torch.arange(num_atoms + 1, device=centers.device))


def choose_rows(
    row_lengths: list[int],
    on_gpu: bool,
    saved_on_gpu: int = _SLOTS_SAVED_ON_GPU,
    alignment_on_gpu: int = _ROW_ALIGNMENT_ON_GPU,
) -> tuple[list[int], list[int]]:
    """Choose the number of rows of each bucket and their lengths, in ascending order.

    :param row_lengths: number of tokens of each atom, including the central one.
    """
    if len(row_lengths) == 0:
        return [0], [1]  # one bucket nevertheless, which is empty
    longest = 0
    for length in row_lengths:
        longest = max(longest, length)
    histogram: list[int] = [0] * (longest + 1)
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
    """Return the first slot of each row, (sum of ``rows``,) int64, bucket by bucket.

    :param rows: number of rows of each bucket.
    :param lengths: lengths of the rows of each bucket.
    """
    table = torch.tensor([lengths, rows], dtype=torch.int64).to(device)
    row_lengths = torch.repeat_interleave(table[0], table[1], output_size=sum(rows))
    return row_lengths.cumsum(0) - row_lengths


def place_tokens(centers: torch.Tensor, starts: torch.Tensor, row_starts: torch.Tensor) -> torch.Tensor:
    """Give every token a slot, (num_atoms + num_edges,) int64: atoms with more neighbors get later rows.

    :param centers: (num_edges,) center of each edge, in ascending order.
    :param starts: result of :func:`first_edges`. Edges from its last number on share the last atom's second slot.
    :param row_starts: (num_atoms,) result of :func:`first_slots`, for rows that are long enough.
    """
    central_slots = torch.empty_like(row_starts)
    central_slots[torch.argsort(starts.diff(), stable=True)] = row_starts
    # the n-th edge of an atom is n slots after its central token
    before_edges = central_slots - starts[:-1] + 1
    edges = torch.arange(len(centers), device=centers.device).minimum(starts[-1])
    return torch.cat([central_slots, before_edges[centers] + edges])


def make_buckets(centers: torch.Tensor, num_atoms: int) -> Buckets:
    """Lay out one central token per atom and one token per edge in a few padded blocks.

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
    """Return the number of slots in all buckets."""
    num_slots = 0
    for number, length in zip(rows, lengths):  # noqa: B905 (TorchScript: no strict=)
        num_slots += number * length
    return num_slots
