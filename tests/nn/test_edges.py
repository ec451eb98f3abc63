"""Reverse edges, edge vectors, the edges inside the cutoff, and the buckets of attention."""

from itertools import pairwise

import pytest
import torch
from structures import example_structures, to_batch

from electrain.nn.batch import Batch
from electrain.nn.buckets import bucket_limits
from electrain.nn.cutoff import Cutoff
from electrain.nn.edges import edge_vectors, find_edges, sort_pairs
from electrain.nn.point_edge_transformer.buckets import make_buckets

ELEMENTS = [1, 6, 8, 14, 79]
STRUCTURES = example_structures()


def random_full_list(num_pairs, num_atoms, reach, seed):
    """Distinct random pairs with large shifts, each with its reverse, in random order."""
    generator = torch.Generator().manual_seed(seed)
    atoms = torch.randint(num_atoms, (num_pairs, 2), generator=generator)
    shifts = torch.randint(-reach, reach + 1, (num_pairs, 3), generator=generator)
    there = torch.cat([atoms, shifts], dim=1)
    back = torch.cat([atoms.flip(1), -shifts], dim=1)
    table = torch.unique(torch.cat([there, back]), dim=0)
    # an atom is no neighbor of itself in the same cell
    table = table[(table[:, 0] != table[:, 1]) | (table[:, 2:] != 0).any(dim=1)]
    return table[torch.randperm(len(table), generator=generator)]


def pairs_only(table, num_atoms):
    """A batch of which only the pairs matter."""
    return Batch(
        positions=torch.zeros(num_atoms, 3),
        elements=torch.zeros(num_atoms, dtype=torch.int64),
        cells=torch.zeros(1, 3, 3),
        system_of_atom=torch.zeros(num_atoms, dtype=torch.int64),
        centers=table[:, 0],
        neighbors=table[:, 1],
        cell_shifts=table[:, 2:],
    )


def table_of(batch):
    return torch.cat([torch.stack([batch.centers, batch.neighbors], dim=1), batch.cell_shifts], dim=1)


def assert_sorted_with_reverse(batch):
    """Against Python's own sort, and a search one by one."""
    pairs = sort_pairs(batch)
    rows = [tuple(row) for row in table_of(pairs.batch).tolist()]
    assert rows == sorted(tuple(row) for row in table_of(batch).tolist())
    assert pairs.reverse.tolist() == [rows.index((j, i, -a, -b, -c)) for i, j, a, b, c in rows]
    assert bool(pairs.complete)


@pytest.mark.parametrize("reach", [0, 1, 40])
@pytest.mark.parametrize("num_atoms", [1, 3, 50])
def test_random_pairs_and_their_reverse(num_atoms, reach):
    assert_sorted_with_reverse(pairs_only(random_full_list(150, num_atoms, reach, seed=num_atoms + reach), num_atoms))


def test_pairs_of_several_structures_in_any_order():
    batch = to_batch(list(STRUCTURES.values()), 4.0, ELEMENTS, seed=3)
    assert len(batch.centers) > 100
    assert_sorted_with_reverse(batch)


def test_a_list_without_pairs():
    pairs = sort_pairs(pairs_only(torch.zeros(0, 5, dtype=torch.int64), 2))
    assert len(pairs.reverse) == 0 and bool(pairs.complete)


def without(batch, missing):
    kept = torch.ones(len(batch.centers), dtype=torch.bool)
    kept[missing] = False
    return batch._replace(
        centers=batch.centers[kept], neighbors=batch.neighbors[kept], cell_shifts=batch.cell_shifts[kept]
    )


def test_half_list_is_an_error():
    batch = to_batch([STRUCTURES["molecule"]], 3.0, ELEMENTS)
    with pytest.raises(ValueError, match=r"needs a full neighbor list: some pair i -> j has no rev"):
        find_edges(without(batch, batch.centers > batch.neighbors), Cutoff(3.0, 0.5))


@pytest.mark.parametrize("missing", [0, 17, -1])
def test_one_missing_pair_is_an_error(missing):
    batch = to_batch([STRUCTURES["bulk"]], 3.0, ELEMENTS, seed=1)
    with pytest.raises(ValueError, match="needs a full neighbor list"):
        find_edges(without(batch, missing), Cutoff(3.0, 0.5))


@pytest.mark.parametrize("names", [["bulk"], list(STRUCTURES)])
def test_edge_vectors_one_by_one(names):
    """For one structure (a plain product) and for several (a cell for each pair)."""
    batch = to_batch([STRUCTURES[name] for name in names], 4.0, ELEMENTS, seed=2)
    vectors = edge_vectors(batch)
    for pair, (i, j) in enumerate(zip(batch.centers.tolist(), batch.neighbors.tolist(), strict=True)):
        cell = batch.cells[batch.system_of_atom[i]]
        expected = batch.positions[j] - batch.positions[i]
        for axis in range(3):
            expected = expected + batch.cell_shifts[pair, axis] * cell[axis]
        torch.testing.assert_close(vectors[pair], expected, rtol=0, atol=1e-12)


def test_edges_are_the_pairs_within_the_cutoff():
    """The neighbor list reaches further than the network."""
    batch = sort_pairs(to_batch(list(STRUCTURES.values()), 5.0, ELEMENTS, seed=4)).batch
    edges = find_edges(batch, Cutoff(3.0, 0.5))
    distances = edge_vectors(batch).norm(dim=1)
    inside = distances <= 3.0
    assert 0 < int(inside.sum()) < len(distances)
    torch.testing.assert_close(edges.centers, batch.centers[inside], rtol=0, atol=0)
    torch.testing.assert_close(edges.neighbors, batch.neighbors[inside], rtol=0, atol=0)
    torch.testing.assert_close(edges.vectors, edge_vectors(batch)[inside], rtol=0, atol=0)
    torch.testing.assert_close(edges.cell_shifts, batch.cell_shifts[inside], rtol=0, atol=0)
    torch.testing.assert_close(edges.vectors[edges.reverse], -edges.vectors, rtol=0, atol=1e-12)
    torch.testing.assert_close(edges.reverse[edges.reverse], torch.arange(len(edges.centers)))


def two_atoms(positions, cells, shift):
    """Two atoms and one pair in both directions; every atom is a system, so each direction has its own cell."""
    shifts = torch.tensor([shift, [-component for component in shift]])
    return Batch(
        positions=positions,
        elements=torch.zeros(2, dtype=torch.int64),
        cells=cells,
        system_of_atom=torch.arange(2),
        centers=torch.tensor([0, 1]),
        neighbors=torch.tensor([1, 0]),
        cell_shifts=shifts,
    )


@pytest.mark.parametrize("longer", [0, 1])
def test_an_edge_stays_only_together_with_its_reverse(longer):
    """Cells that differ in the last digits stand for a matrix product that rounds the two directions differently."""
    positions = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]], dtype=torch.float64)
    cells = 2.0 * torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    cells[longer] *= 1.0 + 1e-15
    batch = two_atoms(positions, cells, [0, 0, 1])
    shorter_distance, longer_distance = sorted(edge_vectors(batch).norm(dim=1).tolist())
    assert shorter_distance < longer_distance
    neither = find_edges(batch, Cutoff(shorter_distance, 0.2))
    assert len(neither.centers) == len(neither.reverse) == len(neither.weights) == 0
    both = find_edges(batch, Cutoff(longer_distance, 0.2))
    assert both.reverse.tolist() == [1, 0]


@pytest.mark.parametrize("distance", [0.0, 0.009, float("nan")])
def test_atoms_on_top_of_each_other(distance):
    positions = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, distance]], dtype=torch.float64)
    batch = two_atoms(positions, torch.zeros(2, 3, 3, dtype=torch.float64), [0, 0, 0])
    with pytest.raises(ValueError, match=r"atoms 0 and 1 .* Angstrom apart: expected finite positions more than"):
        find_edges(batch, Cutoff(3.0, 0.2))


def sorted_centers(counts):
    """Centers of edges, ``counts[i]`` of them for atom i."""
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64))


COUNTS = {
    "one isolated atom": [0],
    "isolated atoms": [0, 0, 0],
    "one atom": [7],
    "equal": [5, 5, 5, 5],
    "mixed": [0, 3, 1, 40, 12, 12, 13, 0, 90, 3, 41, 7],
    "every number": list(range(150)),
    "powers": [2**k for k in range(11)],
}


@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
def test_bucket_layout(counts):
    centers = sorted_centers(counts)
    num_atoms = len(counts)
    buckets = make_buckets(centers, num_atoms)

    assert 1 <= len(buckets.lengths) <= 12
    assert buckets.lengths == sorted(set(buckets.lengths))
    assert len(buckets.num_atoms) == len(buckets.lengths)
    assert min(buckets.num_atoms) > 0
    assert sum(buckets.num_atoms) == num_atoms
    assert buckets.num_slots == sum(
        rows * length for rows, length in zip(buckets.num_atoms, buckets.lengths, strict=True)
    )
    # every token has its own slot
    assert len(buckets.slots) == num_atoms + len(centers)
    assert len(set(buckets.slots.tolist())) == len(buckets.slots)
    assert int(buckets.slots.min()) >= 0 and int(buckets.slots.max()) < buckets.num_slots

    # a row belongs to one atom: walk through the blocks slot by slot
    row_of_slot, length_of_row = [], []
    for rows, length in zip(buckets.num_atoms, buckets.lengths, strict=True):
        for _ in range(rows):
            row_of_slot += [len(length_of_row)] * length
            length_of_row.append(length)
    owner = torch.cat([torch.arange(num_atoms), centers])
    rows = torch.tensor(row_of_slot)[buckets.slots]
    assert torch.equal(rows, rows[:num_atoms][owner])
    assert len(set(rows[:num_atoms].tolist())) == num_atoms
    # an atom goes to the shortest bucket that holds its tokens
    for atom, count in enumerate(counts):
        shortest = min(length for length in buckets.lengths if length >= count + 1)
        assert length_of_row[rows[atom]] == shortest


@pytest.mark.parametrize("count", [0, 1, 17])
def test_equal_numbers_of_neighbors_need_no_padding(count):
    buckets = make_buckets(sorted_centers([count] * 6), 6)
    assert buckets.lengths == [count + 1]
    assert buckets.num_slots == 6 * (count + 1)
    assert sorted(buckets.slots.tolist()) == list(range(buckets.num_slots))


@pytest.mark.parametrize("seed", range(20))
def test_at_most_twelve_buckets_whatever_the_histogram(seed):
    generator = torch.Generator().manual_seed(seed)
    longest = int(torch.randint(2, 2000, (1,), generator=generator))
    histogram = (torch.rand(longest, generator=generator) < 0.3).to(torch.int64).tolist()
    histogram[0] = 0  # every row holds its central token
    histogram.append(1)
    limits = bucket_limits(histogram, 0)
    assert limits == sorted(set(limits))
    assert len(limits) <= 12
    assert limits[-1] == longest
    assert all(histogram[limit] > 0 for limit in limits)


def test_little_padding_where_few_buckets_suffice():
    """Rows of a bucket differ by at most a tenth in length."""
    counts = list(range(30, 80))
    buckets = make_buckets(sorted_centers(counts), len(counts))
    shortest = 31
    for length in buckets.lengths:
        assert length <= 1.1 * shortest
        shortest = length + 1


def test_no_atoms_have_no_buckets():
    assert bucket_limits([], 0) == []
    assert bucket_limits([0, 0], 0) == []


@pytest.mark.parametrize("min_saved", [1, 50, 400, 3000])
def test_every_further_bucket_saves_so_many_slots(min_saved):
    """Leaving out any limit but the last moves its rows to the next longer one."""
    generator = torch.Generator().manual_seed(min_saved)
    histogram = [0, *torch.randint(0, 12, (80,), generator=generator).tolist()]
    limits = bucket_limits(histogram, min_saved)
    assert len(limits) <= len(bucket_limits(histogram, 0))
    for limit, longer in pairwise(limits):
        assert sum(histogram[: limit + 1]) * (longer - limit) >= min_saved
    assert bucket_limits(histogram, 10**6) == [80 if histogram[80] else limits[-1]]
