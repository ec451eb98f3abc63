"""Batches of different sizes in tensors of the same size, on which a recorded CUDA graph can be replayed."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from electrain.nn.batch import Batch, Edges
from electrain.nn.buckets import choose_rows

from .batch import Buckets, PreparedBatch
from .buckets import count_slots, place_tokens
from .encoder import prepare


class Sizes(NamedTuple):
    """The sizes that determine whether a batch fits."""

    num_systems: int
    num_edges: int
    row_lengths: torch.Tensor  # (num_atoms,) ascending, on the CPU | tokens of each atom, including the central one


class Capacity(NamedTuple):
    """The sizes to which batches are padded, with a last structure whose predictions are not read.

    Its atoms have no neighbors; surplus edges of weight zero go from the last atom to itself.
    """

    num_systems: int
    num_edges: int
    rows: list[int]  # (num_buckets,) | number of atoms in each bucket ...
    lengths: list[int]  # (num_buckets,) ascending, more than 1 | ... with this many tokens, including the central one

    @property
    def num_atoms(self) -> int:
        """Number of atoms, including those of the last structure."""
        return sum(self.rows)

    @property
    def cost(self) -> int:
        """Number of slots and edges, a measure of the work of the network."""
        return self.num_edges + count_slots(self.rows, self.lengths)

    def holds(self, sizes: Sizes) -> bool:
        """Whether a batch of these sizes fits, with one structure and one atom left over."""
        num_atoms = len(sizes.row_lengths)
        if sizes.num_systems >= self.num_systems or num_atoms >= self.num_atoms or sizes.num_edges > self.num_edges:
            return False
        row_lengths = torch.repeat_interleave(torch.tensor(self.lengths), torch.tensor(self.rows))
        return bool((sizes.row_lengths <= row_lengths[self.num_atoms - num_atoms :]).all())


def capacity_for(sizes: Sizes, room: float) -> Capacity:
    """Return a capacity for the batch and similar ones: ``room`` times as many structures, edges and rows.

    Rows are as for batches on GPUs, with few buckets and lengths that fused attention accepts.
    """
    rows, lengths = choose_rows(sizes.row_lengths.tolist(), on_gpu=True)
    rows = [math.ceil(room * number) for number in rows]
    rows[0] += 1
    return Capacity(
        num_systems=math.ceil(room * sizes.num_systems) + 1,
        num_edges=math.ceil(room * sizes.num_edges),
        rows=rows,
        lengths=lengths,
    )


def find_capacity(known: Sequence[Capacity], sizes: Sizes, waste: float) -> int | None:
    """Return the index of the capacity that needs the least work for a batch.

    :param known: capacities in order of increasing work.
    :param waste: largest acceptable work, as a multiple of that for a capacity made for this batch.
    :return: ``None`` if no capacity holds the batch within this limit.
    """
    limit = waste * capacity_for(sizes, room=1.0).cost
    for index, capacity in enumerate(known):
        if capacity.cost > limit:
            break
        if capacity.holds(sizes):
            return index
    return None


class FilledBatch(NamedTuple):
    """A batch in tensors of the sizes of a capacity; for units see :class:`~electrain.nn.batch.Edges`."""

    elements: torch.Tensor  # (num_atoms,) int64
    system_of_atom: torch.Tensor  # (num_atoms,) int64
    states: torch.Tensor  # (num_systems, 2) int64
    starts: torch.Tensor  # (num_atoms + 1,) int64 | first edge of each atom, number of edges without surplus ones
    centers: torch.Tensor  # (num_edges,) int64
    neighbors: torch.Tensor  # (num_edges,) int64
    reverse: torch.Tensor  # (num_edges,) int64
    vectors: torch.Tensor  # (num_edges, 3)
    distances: torch.Tensor  # (num_edges,)
    weights: torch.Tensor  # (num_edges,)
    atomic_cutoffs: torch.Tensor  # (num_atoms,)


def reserve(capacity: Capacity, device: torch.device, dtype: torch.dtype) -> FilledBatch:
    """Allocate uninitialised tensors for batches of a capacity."""
    num_atoms, num_edges = capacity.num_atoms, capacity.num_edges

    def integers(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.int64, device=device)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    return FilledBatch(
        elements=integers(num_atoms),
        system_of_atom=integers(num_atoms),
        states=integers(capacity.num_systems, 2),
        starts=integers(num_atoms + 1),
        centers=integers(num_edges),
        neighbors=integers(num_edges),
        reverse=integers(num_edges),
        vectors=numbers(num_edges, 3),
        distances=numbers(num_edges),
        weights=numbers(num_edges),
        atomic_cutoffs=numbers(num_atoms),
    )


def fill(filled: FilledBatch, batch: Batch, graph: Edges, starts: torch.Tensor) -> None:
    """Write a batch to tensors reserved for a capacity that holds it.

    Atoms, edges and structures keep their places. Padding follows after them, and they never read it.

    :param starts: the first edge of each atom, see ``buckets.first_edges``.
    """
    last_atom, last_edge, last_system = len(filled.elements) - 1, len(filled.centers) - 1, len(filled.states) - 1
    _write(filled.elements, batch.elements, 0)
    _write(filled.system_of_atom, batch.system_of_atom, last_system)
    _write(filled.starts, starts, len(graph.centers))
    _write(filled.centers, graph.centers, last_atom)
    _write(filled.neighbors, graph.neighbors, last_atom)
    _write(filled.reverse, graph.reverse, last_edge)
    _write(filled.vectors, graph.vectors, 0)
    _write(filled.distances, graph.distances, 0)
    _write(filled.weights, graph.weights, 0)
    _write(filled.atomic_cutoffs, graph.atomic_cutoffs, 0)
    if batch.states is not None:
        filled.states[: len(batch.states)] = batch.states
        filled.states[len(batch.states) :] = batch.states[0]


def _write(target: torch.Tensor, values: torch.Tensor, behind: int) -> None:
    target[: len(values)].copy_(values)
    target[len(values) :].fill_(behind)


def prepare_filled(
    filled: FilledBatch, capacity: Capacity, row_starts: torch.Tensor, reads_states: bool
) -> PreparedBatch:
    """Prepare the network's input from a filled batch, without waiting for a GPU.

    :param row_starts: result of ``buckets.first_slots`` for the rows of the capacity.
    :param reads_states: whether the network reads charges and spin multiplicities.
    """
    graph = Edges(
        centers=filled.centers,
        neighbors=filled.neighbors,
        vectors=filled.vectors,
        distances=filled.distances,
        reverse=filled.reverse,
        weights=filled.weights,
        atomic_cutoffs=filled.atomic_cutoffs,
    )
    buckets = Buckets(
        num_atoms=capacity.rows,
        lengths=capacity.lengths,
        slots=place_tokens(filled.centers, filled.starts, row_starts),
        num_slots=count_slots(capacity.rows, capacity.lengths),
    )
    states = filled.states if reads_states else None
    return prepare(filled.elements, filled.system_of_atom, states, graph, buckets)
