"""Reverse edges, edge vectors, the edges inside the cutoff, and the buckets of attention."""

import pytest
import torch
from structures import example_structures, to_batch

from electrain.pet import Batch
from electrain.pet.neighbors import bucket_limits, edge_vectors, find_edges, make_buckets, reverse_edges

ELEMENTS = [1, 6, 8, 14, 79]
STRUCTURES = example_structures()
FIXED = {
    "cutoff_function": "cosine",
    "num_neighbors_adaptive": None,
    "cutoff_width_adaptive": 1.0,
    "adaptive_cutoff_method": "solver",
}


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


def reverse_by_brute_force(table):
    rows = [tuple(row) for row in table.tolist()]
    return [rows.index((j, i, -a, -b, -c)) for i, j, a, b, c in rows]


@pytest.mark.parametrize("reach", [0, 1, 40])
@pytest.mark.parametrize("num_atoms", [1, 3, 50])
def test_reverse_edges_of_random_pairs(num_atoms, reach):
    table = random_full_list(150, num_atoms, reach, seed=num_atoms + reach)
    reverse = reverse_edges(table[:, 0], table[:, 1], table[:, 2:])
    assert reverse.tolist() == reverse_by_brute_force(table)


def test_reverse_edges_of_several_structures_in_any_order():
    batch = to_batch(list(STRUCTURES.values()), 4.0, ELEMENTS, seed=3)
    table = torch.cat([torch.stack([batch.centers, batch.neighbors], dim=1), batch.cell_shifts], dim=1)
    reverse = reverse_edges(batch.centers, batch.neighbors, batch.cell_shifts)
    assert len(table) > 100
    assert reverse.tolist() == reverse_by_brute_force(table)


def test_a_list_without_pairs_has_no_reverse_edges():
    empty = torch.zeros(0, dtype=torch.int64)
    assert len(reverse_edges(empty, empty, torch.zeros(0, 3, dtype=torch.int64))) == 0


def test_half_list_is_an_error():
    batch = to_batch([STRUCTURES["molecule"]], 3.0, ELEMENTS)
    half = batch.centers < batch.neighbors
    with pytest.raises(ValueError, match=r"needs a full neighbor list: some pair i -> j comes without its rev"):
        reverse_edges(batch.centers[half], batch.neighbors[half], batch.cell_shifts[half])


@pytest.mark.parametrize("missing", [0, 17, -1])
def test_one_missing_pair_is_an_error(missing):
    batch = to_batch([STRUCTURES["bulk"]], 3.0, ELEMENTS, seed=1)
    kept = torch.arange(len(batch.centers)) != missing % len(batch.centers)
    with pytest.raises(ValueError, match="needs a full neighbor list"):
        reverse_edges(batch.centers[kept], batch.neighbors[kept], batch.cell_shifts[kept])


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
    batch = to_batch(list(STRUCTURES.values()), 5.0, ELEMENTS, seed=4)
    edges = find_edges(batch, cutoff=3.0, cutoff_width=0.5, **FIXED)
    distances = edge_vectors(batch).norm(dim=1)
    inside = distances <= 3.0
    assert 0 < int(inside.sum()) < len(distances)
    torch.testing.assert_close(edges.centers, batch.centers[inside], rtol=0, atol=0)
    torch.testing.assert_close(edges.neighbors, batch.neighbors[inside], rtol=0, atol=0)
    torch.testing.assert_close(edges.vectors, edge_vectors(batch)[inside], rtol=0, atol=0)
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
    neither = find_edges(batch, cutoff=shorter_distance, cutoff_width=0.2, **FIXED)
    assert len(neither.centers) == len(neither.reverse) == len(neither.weights) == 0
    both = find_edges(batch, cutoff=longer_distance, cutoff_width=0.2, **FIXED)
    assert both.reverse.tolist() == [1, 0]


@pytest.mark.parametrize("distance", [0.0, 0.009, float("nan")])
def test_atoms_on_top_of_each_other(distance):
    positions = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, distance]], dtype=torch.float64)
    batch = two_atoms(positions, torch.zeros(2, 3, 3, dtype=torch.float64), [0, 0, 0])
    with pytest.raises(ValueError, match=r"atoms 0 and 1 .* Angstrom apart: expected finite positions more than"):
        find_edges(batch, cutoff=3.0, cutoff_width=0.2, **FIXED)


def random_centers(counts, seed):
    """Centers of edges in random order, ``counts[i]`` of them for atom i."""
    centers = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64))
    return centers[torch.randperm(len(centers), generator=torch.Generator().manual_seed(seed))]


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
    centers = random_centers(counts, seed=1)
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
    buckets = make_buckets(random_centers([count] * 6, seed=2), 6)
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
    limits = bucket_limits(histogram)
    assert limits == sorted(set(limits))
    assert len(limits) <= 12
    assert limits[-1] == longest
    assert all(histogram[limit] > 0 for limit in limits)


def test_little_padding_where_few_buckets_suffice():
    """Rows of a bucket differ by at most a tenth in length."""
    counts = list(range(30, 80))
    buckets = make_buckets(random_centers(counts, seed=3), len(counts))
    shortest = 31
    for length in buckets.lengths:
        assert length <= 1.1 * shortest
        shortest = length + 1


def test_no_atoms_have_no_buckets():
    assert bucket_limits([]) == []
    assert bucket_limits([0, 0]) == []
