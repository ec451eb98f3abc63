"""Buckets: atoms with similar numbers of neighbors share one padded block of tokens."""

import torch

from electrain.nn.buckets import choose_rows

from .batch import Buckets


def first_edges(centers: torch.Tensor, num_atoms: int) -> torch.Tensor:
    """Return the first edge of each atom, and the number of all edges: (num_atoms + 1,), for ascending centers."""
    return torch.searchsorted(centers, torch.arange(num_atoms + 1, device=centers.device))


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
