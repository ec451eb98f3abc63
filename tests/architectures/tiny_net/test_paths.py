"""Self-returning paths, against recursion."""

import pytest
import torch
from ase.build import bulk
from slow_paths import ELEMENTS, RADIUS, bonds_of, lengths, paths_of, structures
from structures import to_batch

from electrain.architectures.tiny_net.network.bonds import BondRule, find_bonds
from electrain.architectures.tiny_net.network.paths import PathRule, find_paths
from electrain.nn.cutoff import Cutoff

FRAMES = structures()


@pytest.mark.parametrize("width", [0.0, 0.4])
@pytest.mark.parametrize("simple", [False, True], ids=["all", "simple cycles"])
@pytest.mark.parametrize("max_hops", [2, 4, 6])
def test_against_recursion(max_hops, simple, width):
    """All structures in one batch, in small pieces: values of all paths and their number."""
    frames = list(FRAMES.values())
    if max_hops == 6:  # recursion takes too long for the others
        dense = ("close-packed",) if simple else ("close-packed", "silicon", "quartz")
        frames = [atoms for name, atoms in FRAMES.items() if name not in dense]
    bonds, system_of_atom = bonds_of(frames, width, max_hops)
    expected = [paths for atoms in frames for paths in paths_of(atoms, max_hops, simple=simple, width=width)]
    most = max(len(values) for paths in expected for values in paths)
    rule = PathRule(max_hops, simple, [most + 2] * (max_hops - 1))
    for at_once in (1_000_000, 40):
        found = find_paths(bonds, rule, system_of_atom, at_once)
        assert found.counts.tolist() == [[len(values) for values in paths] for paths in expected]
        rows = [[values + [0.0] * (most + 2 - len(values)) for values in paths] for paths in expected]
        table = torch.tensor(rows, dtype=torch.float64).flatten(1)
        torch.testing.assert_close(found.values, table, rtol=1e-12, atol=0)
    assert most > 3
    fewer = find_paths(bonds, PathRule(max_hops, simple, [3] * (max_hops - 1)), system_of_atom)
    cut = table.reshape(len(table), max_hops - 1, -1)[:, :, :3].flatten(1)
    torch.testing.assert_close(fewer.values, cut, rtol=1e-12, atol=0)
    assert torch.equal(fewer.counts, found.counts)


def test_forces_on_atoms_of_perfect_crystals():
    """The many equal paths share their derivatives: nothing pulls at an atom whose surroundings are symmetric."""
    crystal = bulk("Si", cubic=True)
    batch = to_batch([crystal], RADIUS, ELEMENTS)
    positions = batch.positions.clone().requires_grad_()
    bonds = find_bonds(batch._replace(positions=positions), Cutoff(RADIUS, 1.0), BondRule(lengths(), 0.0), 4)
    paths = find_paths(bonds, PathRule(4, False, [4, 1, 40]), batch.system_of_atom)
    torch.manual_seed(0)
    weights = torch.randn(paths.values.shape[1], dtype=torch.float64).expand_as(paths.values)
    (gradient,) = torch.autograd.grad((weights * paths.values).sum(), positions)
    assert gradient.abs().max() < 1e-12
    moved = positions.detach() + 0.01 * torch.randn(len(crystal), 3, dtype=torch.float64)
    moved.requires_grad_()
    bonds = find_bonds(batch._replace(positions=moved), Cutoff(RADIUS, 1.0), BondRule(lengths(), 0.0), 4)
    paths = find_paths(bonds, PathRule(4, False, [4, 1, 40]), batch.system_of_atom)
    (gradient,) = torch.autograd.grad((weights * paths.values).sum(), moved)
    assert gradient.abs().max() > 1e-4


def test_limits():
    """An atom with more paths than memory has room for is named, with the number of hops."""
    bonds, system_of_atom = bonds_of([FRAMES["pair"], FRAMES["close-packed"]], 0.0, 8)
    rule = PathRule(8, False, [1] * 7)
    with pytest.raises(ValueError, match=r"atom 0 of structure 1 \(numbered through the batch\) has 20736 walks of 4 "):
        find_paths(bonds, rule, system_of_atom, limit=20_000)
    with pytest.raises(ValueError, match=r"paths of 8 hops, too many for memory with `num_hops: 8`: choose fewer"):
        find_paths(bonds, rule, system_of_atom, limit=500_000)
