"""Batches filled up to the sizes of others: what was there stays, what is new changes nothing."""

import pytest
import torch
from structures import example_structures, to_batch

from electrain.nn.cutoff import Cutoff
from electrain.nn.edges import find_edges
from electrain.nn.point_edge_transformer.buckets import first_edges, first_slots
from electrain.nn.point_edge_transformer.capacity import (
    Capacity,
    Sizes,
    capacity_for,
    fill,
    find_capacity,
    prepare_filled,
    reserve,
)

ELEMENTS = [1, 6, 8, 14, 79]
STRUCTURES = list(example_structures().values())


def edges_of(batch):
    return find_edges(batch, Cutoff(4.0, 0.5))


def sizes_of(num_systems, row_lengths):
    row_lengths = torch.tensor(row_lengths).sort().values
    return Sizes(num_systems, int((row_lengths - 1).sum()), row_lengths)


def fits_by_hand(capacity, sizes):
    """The longest row to the atom with most neighbors, and so on; one structure and one atom are left over."""
    rows = [length for length, number in zip(capacity.lengths, capacity.rows, strict=True) for _ in range(number)]
    atoms = sizes.row_lengths.tolist()
    if len(atoms) >= len(rows) or sizes.num_systems >= capacity.num_systems or sizes.num_edges > capacity.num_edges:
        return False
    return all(atom <= row for atom, row in zip(reversed(atoms), reversed(rows), strict=False))


def test_what_fits():
    generator = torch.Generator().manual_seed(0)
    capacity = Capacity(num_systems=5, num_edges=220, rows=[6, 4, 2], lengths=[8, 24, 64])
    answers = []
    for _ in range(300):
        num_atoms = int(torch.randint(4, 14, (), generator=generator))
        scale = float(torch.rand((), generator=generator)) * 60
        lengths = 1 + (scale * torch.rand(num_atoms, generator=generator) ** 2).to(torch.int64)
        sizes = sizes_of(int(torch.randint(1, 7, (), generator=generator)), lengths.tolist())
        answers.append(capacity.holds(sizes))
        assert answers[-1] == fits_by_hand(capacity, sizes)
    assert 30 < sum(answers) < 270


@pytest.mark.parametrize("room", [1.0, 1.15, 2.0])
def test_a_capacity_holds_what_it_was_made_for(room):
    for row_lengths in ([1], [1, 1, 1], [3, 9, 9, 10, 41, 64, 65], [20] * 2000 + [80] * 300):
        sizes = sizes_of(3, row_lengths)
        capacity = capacity_for(sizes, room)
        assert capacity.holds(sizes)
        assert all(length % 8 == 0 for length in capacity.lengths)
        more = sizes_of(3, row_lengths * 3)
        assert not capacity.holds(more)
    assert len(capacity.lengths) > 1  # many atoms with few neighbors
    slots = sum(rows * length for rows, length in zip(capacity.rows, capacity.lengths, strict=True))
    assert capacity.cost == slots + capacity.num_edges


def test_the_least_work():
    capacities = [Capacity(9, 300, [9], [8]), Capacity(9, 600, [9], [64]), Capacity(9, 700, [30], [64])]
    assert sorted(capacity.cost for capacity in capacities) == [capacity.cost for capacity in capacities]
    small, long, many = sizes_of(2, [4] * 8), sizes_of(2, [4] * 7 + [60]), sizes_of(2, [30] * 12)
    assert [find_capacity(capacities, sizes, 100.0) for sizes in (small, long, many)] == [0, 1, 2]
    assert find_capacity(capacities[1:], small, 100.0) == 0
    assert find_capacity(capacities[1:], small, 2.0) is None  # would do, with far too much work
    assert find_capacity(capacities, sizes_of(2, [65]), 100.0) is None
    assert find_capacity([], small, 100.0) is None


def test_what_is_filled():
    """Real tokens have slots of their own, in rows of their atom; the rest belongs to the last structure.

    The second batch is smaller: nothing of the first is left.
    """
    capacity, filled = None, None
    for frames in (STRUCTURES, STRUCTURES[1:]):
        batch = to_batch(frames, 4.0, ELEMENTS)
        batch = batch._replace(states=torch.tensor([[0, 1], [1, 2]] * len(frames))[: len(frames)])
        graph = edges_of(batch)
        starts = first_edges(graph.centers, len(batch.elements))
        sizes = Sizes(len(frames), len(graph.centers), (starts.diff() + 1).sort().values)
        if capacity is None:
            capacity = capacity_for(sizes, 1.3)
            filled = reserve(capacity, torch.device("cpu"), torch.float64)
        assert capacity.holds(sizes)
        fill(filled, batch, graph, starts)
        assert_filled(filled, capacity, batch, graph)


def assert_filled(filled, capacity, batch, graph):
    num_atoms, num_edges, num_systems = len(batch.elements), len(graph.centers), len(batch.cells)
    row_starts = first_slots(capacity.rows, capacity.lengths, torch.device("cpu"))
    prepared = prepare_filled(filled, capacity, row_starts, reads_states=True)
    assert prepare_filled(filled, capacity, row_starts, reads_states=False).states is None
    for field in ("centers", "neighbors", "reverse", "vectors", "distances", "weights"):
        found = getattr(prepared.graph, field)
        assert len(found) == capacity.num_edges > num_edges
        assert torch.equal(found[:num_edges], getattr(graph, field))
    for field in ("centers", "neighbors"):
        assert (getattr(prepared.graph, field)[num_edges:] == capacity.num_atoms - 1).all()
    assert (prepared.graph.reverse[num_edges:] >= num_edges).all()
    assert (prepared.graph.weights[num_edges:] == 0.0).all()
    assert torch.equal(prepared.elements[:num_atoms], batch.elements)
    assert len(prepared.elements) == len(prepared.graph.atomic_cutoffs) == capacity.num_atoms > num_atoms
    assert torch.equal(prepared.system_of_atom[:num_atoms], batch.system_of_atom)
    assert (prepared.system_of_atom[num_atoms:] == capacity.num_systems - 1).all()
    assert torch.equal(prepared.states[:num_systems], batch.states)
    assert (prepared.states[num_systems:] == batch.states[0]).all() and len(prepared.states) == capacity.num_systems

    buckets = prepared.layer_inputs.buckets
    central, edges = buckets.slots.split([capacity.num_atoms, capacity.num_edges])
    row_of_slot = []
    for rows, length in zip(capacity.rows, capacity.lengths, strict=True):
        for _ in range(rows):
            row_of_slot += [len(row_of_slot)] * length
    assert len(row_of_slot) == buckets.num_slots == len(prepared.layer_inputs.key_bias)
    assert sorted(central.tolist()) == sorted(set(row_of_slot))  # every atom begins a row
    assert torch.equal(torch.tensor(row_of_slot)[edges], central[prepared.graph.centers])
    real = torch.cat([central, edges[:num_edges]])
    assert len(set(real.tolist())) == len(real)
    assert set(edges[num_edges:].tolist()).isdisjoint(real.tolist())
