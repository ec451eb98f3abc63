"""Neighbors, their order and their frame, against recursion and symmetry."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.neighborlist import neighbor_list
from scipy.spatial.transform import Rotation
from slow_paths import LENGTHS, RADIUS, bonds_of, structures, weight

from electrain.architectures.tiny_net.network.neighbors import find_neighbors, find_surroundings

FRAMES = structures()


def neighbors_of(atoms, order, width):
    """Weight and vector of each site up to so many bonds away, per atom."""
    steps = {i: [] for i in range(len(atoms))}
    for i, j, shift, vector in zip(*neighbor_list("ijSD", atoms, RADIUS), strict=True):
        pair = sorted((int(atoms.numbers[i]), int(atoms.numbers[j])))
        factor = weight(float(np.linalg.norm(vector)), LENGTHS[pair[0], pair[1]], width)
        if factor > 0:
            steps[int(i)].append((int(j), tuple(map(int, shift)), vector, factor))
    table = []
    for i in range(len(atoms)):
        best = {(i, (0, 0, 0)): (1.0, np.zeros(3))}
        for _ in range(order):
            for (j, image), (so_far, where) in list(best.items()):
                for k, shift, vector, factor in steps[j]:
                    site = (k, tuple(a + b for a, b in zip(image, shift, strict=True)))
                    if so_far * factor > best.get(site, (0.0, None))[0]:
                        best[site] = (so_far * factor, where + vector)
        del best[i, (0, 0, 0)]
        table.append(list(best.values()))
    return table


@pytest.mark.parametrize("width", [0.0, 0.4])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_against_loops(order, width):
    """Each neighbor once, with its vector and the weight of the best walk to it."""
    frames = list(FRAMES.values())
    bonds, _ = bonds_of(frames, width, order)
    expected = [rows for atoms in frames for rows in neighbors_of(atoms, order, width)]
    for at_once in (1_000_000, 10):
        found = find_neighbors(bonds, order, at_once)
        assert found.counts.tolist() == [len(rows) for rows in expected]
        assert max(found.counts) > (10 if order == 1 else 30)
        for vectors, weights, rows in zip(found.vectors, found.weights, expected, strict=True):
            assert (weights[len(rows) :] == 0).all() and (vectors[len(rows) :] == 0).all()
            ours = torch.cat([vectors, weights.unsqueeze(1)], dim=1)[: len(rows)]
            theirs = torch.tensor([[*vector, factor] for factor, vector in rows], dtype=torch.float64).reshape(-1, 4)
            distances = (ours.unsqueeze(1) - theirs).abs().amax(dim=2)
            assert len(rows) == 0 or max(distances.amin(dim=0).max(), distances.amin(dim=1).max()) < 1e-10


def surroundings_of(frames, order=2, width=0.4):
    return find_surroundings(find_neighbors(bonds_of(frames, width, order)[0], order))


def test_order_and_frame():
    """By hand, for one atom with four neighbors."""
    atoms = Atoms("CHHHH", positions=[[0, 0, 0], [0, 0, 1.0], [0, 1.1, 0.2], [1.2, 0.3, 0], [-1.3, 0, 0.1]])
    found = surroundings_of([atoms], order=1, width=0.0)
    torch.testing.assert_close(found.frame[0], torch.eye(3, dtype=torch.float64)[[2, 1, 0]])
    expected = torch.tensor(atoms.positions[1:])[:, [2, 1, 0]]
    torch.testing.assert_close(found.coordinates[0, :4], expected)
    assert found.counts.tolist() == [4, 1, 1, 1, 1]
    # a hydrogen has one neighbor, which defines one axis
    assert found.frame[1, 1:].abs().max() == 0
    torch.testing.assert_close(found.coordinates[1, 0], torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize("name", FRAMES)
def test_symmetry(name):
    """Coordinates do not change, and axes turn: rotations, inversion, permutations, translations, supercells."""
    atoms, generator = FRAMES[name], np.random.default_rng(1)
    expected = surroundings_of([atoms])
    matrix = -Rotation.random(random_state=1).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell[:] @ matrix.T)
    turned.positions = atoms.positions @ matrix.T
    found = surroundings_of([turned])
    torch.testing.assert_close(found.coordinates, expected.coordinates, rtol=0, atol=1e-10)
    if name != "close-packed":  # whose axes may point to any of twelve neighbors
        torch.testing.assert_close(found.frame, expected.frame @ torch.tensor(matrix).T, rtol=0, atol=1e-10)
    order = generator.permutation(len(atoms))
    moved = atoms[order]
    moved.positions += [0.3, -7.1, 5.2]
    moved.positions[0] += moved.cell[:].T @ [2, -1, 3]
    found = surroundings_of([moved])
    torch.testing.assert_close(found.coordinates, expected.coordinates[order], rtol=0, atol=1e-10)
    if atoms.pbc.all():
        large = make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [0, 0, 2]])
        rows = surroundings_of([large]).coordinates
        for row in rows:
            assert (row - expected.coordinates).abs().amax(dim=(1, 2)).min() < 1e-10


@pytest.mark.parametrize("crystal", [bulk("C", "fcc", a=2.3), bulk("C", "sc", a=1.6), bulk("C", "diamond", a=3.4)])
def test_perfect_crystals(crystal):
    """Round-off decides which of many equal neighbors comes first, and changes nothing."""
    expected = surroundings_of([crystal])
    for seed in range(5):
        moved = crystal.copy()
        moved.set_cell(crystal.cell[:] @ Rotation.random(random_state=seed).as_matrix().T, scale_atoms=True)
        moved.positions += 1e-9 * np.random.default_rng(seed).normal(size=moved.positions.shape)
        found = surroundings_of([moved])
        torch.testing.assert_close(found.coordinates, expected.coordinates, rtol=0, atol=1e-7)
    norms = expected.frame.norm(dim=2)
    assert norms.min() > 0.1


def test_a_neighbor_that_leaves_is_the_last_one():
    """Also if it is nearer than others, whose bonds are longer."""
    atoms = Atoms("SiSiH", positions=[[0, 0, 0], [0, 0, 2.4], [1.9 - 1e-4, 0, 0]])
    found = surroundings_of([atoms], order=1, width=0.3)
    assert found.counts[0] == 2
    assert found.coordinates[0, 0, 0] == pytest.approx(2.4 * weight(2.4, 2.8, 0.3))
    assert found.coordinates[0, 1].abs().max() < 1e-5 and found.frame[0, 1].norm() < 1e-5
    assert math.isclose(float(found.frame[0, 0].norm()), weight(2.4, 2.8, 0.3))
