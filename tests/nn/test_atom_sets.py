import torch

from electrain.nn.atom_sets import AtomSets, bucketed, neighborhoods, whole_structures

LIKE = torch.zeros(0, dtype=torch.float64)


def as_lists(sets):
    """Of each set, its atoms with their weights, in order."""
    found = [[] for _ in range(sets.num_sets)]
    for number, atom, weight in zip(sets.sets.tolist(), sets.atoms.tolist(), sets.weights.tolist(), strict=True):
        found[number].append((atom, weight))
    return [sorted(members) for members in found]


def test_whole_structures():
    sets = whole_structures(torch.tensor([0, 0, 2]), 4, LIKE)
    assert as_lists(sets) == [[(0, 1.0), (1, 1.0)], [], [(2, 1.0)], []]
    assert sets.weights.dtype == torch.float64


def test_neighborhoods():
    """An atom can be its own neighbor, or one of several images; those of other atoms are left out."""
    centers, neighbors = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([1, 2, 0, 2, 2, 0])
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=torch.float64)
    sets = neighborhoods(torch.tensor([0, 2, 3]), 5, centers, neighbors, weights)
    assert as_lists(sets) == [
        [(0, 1.0), (1, 0.1), (2, 0.2)],
        [(0, 0.6), (2, 0.4), (2, 0.5), (2, 1.0)],
        [(3, 1.0)],
    ]
    assert sets.sets.tolist() == sorted(sets.sets.tolist())


def test_buckets_contain_everything():
    torch.manual_seed(0)
    sizes = torch.randint(0, 40, (200,))
    numbers = torch.repeat_interleave(torch.arange(200), sizes)
    weights = torch.rand(len(numbers), dtype=torch.float64)
    weights[::7] = 0.0  # at the cutoff; there the logarithm is large, but not infinite
    sets = AtomSets(numbers, torch.randint(0, 50, (len(numbers),)), weights, 200)
    buckets = bucketed(sets)
    assert 1 < len(buckets) <= 12
    found, slots = [[] for _ in range(200)], 0
    for bucket in buckets:
        slots += bucket.atoms.numel()
        for number, atoms, bias in zip(bucket.sets.tolist(), bucket.atoms, bucket.bias.flatten(1), strict=True):
            filled = ~torch.isinf(bias)
            assert not found[number]
            found[number] = sorted(zip(atoms[filled].tolist(), bias[filled].exp().tolist(), strict=True))
    for members, expected in zip(found, as_lists(sets), strict=True):
        assert [atom for atom, _ in members] == [atom for atom, _ in expected]
        torch.testing.assert_close(
            torch.tensor([w for _, w in members]), torch.tensor([w for _, w in expected]), rtol=1e-12, atol=2e-15
        )
    assert slots < 1.5 * len(numbers)


def test_no_atoms():
    assert bucketed(whole_structures(torch.zeros(0, dtype=torch.int64), 3, LIKE)) == []
