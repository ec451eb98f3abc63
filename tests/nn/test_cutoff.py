"""Smooth cutoff functions and adaptive cutoff radii."""

import math

import pytest
import torch
from structures import example_structures, to_batch

from electrain.nn.cutoff import NeighborCount, adaptive_cutoffs, bump_cutoff, cosine_cutoff, cutoff_weights
from electrain.nn.edges import edge_vectors

ELEMENTS = [1, 6, 8, 14, 79]
STRUCTURES = example_structures()
CUTOFF, WIDTH = 4.0, 0.8
MAX_CUTOFF, COUNT_WIDTH = 6.0, 1.0
FUNCTIONS = {"bump": bump_cutoff, "cosine": cosine_cutoff}


def reference(name, distance):
    """The formulas, one number at a time."""
    if distance <= CUTOFF - WIDTH:
        return 1.0
    if distance >= CUTOFF:
        return 0.0
    scaled = (distance - CUTOFF + WIDTH) / WIDTH
    if name == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * scaled))
    return 0.5 * (1.0 + math.tanh(math.cos(math.pi * scaled) / math.sin(math.pi * scaled)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name):
    distances = torch.linspace(0.1, 5.0, 491, dtype=torch.float64)
    values = FUNCTIONS[name](distances, torch.tensor(CUTOFF, dtype=torch.float64), WIDTH)
    expected = torch.tensor([reference(name, float(d)) for d in distances], dtype=torch.float64)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-14)
    middle = FUNCTIONS[name](torch.tensor([CUTOFF - WIDTH / 2]), torch.tensor(CUTOFF), WIDTH)
    assert float(middle) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_falls_without_jumps(name):
    distances = torch.linspace(3.0, 4.2, 12001, dtype=torch.float64)
    values = FUNCTIONS[name](distances, torch.tensor(CUTOFF, dtype=torch.float64), WIDTH)
    steps = values.diff()
    assert (steps <= 1e-15).all()
    # the steepest slope of either function is pi / (2 width)
    assert steps.abs().max() < 1.01 * 1e-4 * math.pi / (2 * WIDTH)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("end", [CUTOFF - WIDTH, CUTOFF])
def test_first_derivatives_meet_at_the_ends(name, end):
    """Just inside the transition the slope is as small as outside, where it is zero."""
    for side in (-1e-3, -1e-6, 0.0, 1e-6, 1e-3):
        distance = torch.tensor(end + side, dtype=torch.float64, requires_grad=True)
        value = FUNCTIONS[name](distance, torch.tensor(CUTOFF, dtype=torch.float64), WIDTH)
        (slope,) = torch.autograd.grad(value, distance)
        assert math.isfinite(float(slope))
        assert abs(float(slope)) <= (math.pi / WIDTH) ** 2 / 2 * abs(side) * 1.001 + 1e-14


@pytest.mark.parametrize("end", [CUTOFF - WIDTH, CUTOFF])
def test_all_derivatives_of_the_bump_vanish_at_the_ends(end):
    inside = end + 0.005 if end < CUTOFF else end - 0.005
    distance = torch.tensor(inside, dtype=torch.float64, requires_grad=True)
    derivative = bump_cutoff(distance, torch.tensor(CUTOFF, dtype=torch.float64), WIDTH)
    for _ in range(3):
        (derivative,) = torch.autograd.grad(derivative, distance, create_graph=True)
        assert abs(float(derivative.detach())) < 1e-12


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivative(name):
    distances = torch.linspace(3.21, 3.99, 40, dtype=torch.float64, requires_grad=True)
    cutoffs = torch.full((40,), CUTOFF, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d, c: FUNCTIONS[name](d, c, WIDTH), (distances, cutoffs))


@pytest.mark.parametrize("name", ["bump", "cosine"])
def test_functions_by_name(name):
    distances = torch.linspace(3.0, 4.2, 50, dtype=torch.float64)
    cutoffs = torch.full((50,), CUTOFF, dtype=torch.float64)
    expected = FUNCTIONS[name](distances, cutoffs, WIDTH)
    assert torch.equal(cutoff_weights(distances, cutoffs, WIDTH, name), expected)


def test_unknown_function():
    with pytest.raises(ValueError, match="cutoff_function must be 'cosine' or 'bump', got 'step'"):
        cutoff_weights(torch.ones(1), torch.ones(1), WIDTH, "step")


def test_unknown_method():
    with pytest.raises(ValueError, match="adaptive_cutoff_method must be 'solver' or 'grid', got 'guess'"):
        adaptive_cutoffs(torch.ones(1), torch.zeros(1, dtype=torch.int64), 1, wanted(4.0), "guess")


def wanted(number):
    return NeighborCount(number, MAX_CUTOFF, COUNT_WIDTH)


def pairs_of(names):
    batch = to_batch([STRUCTURES[name] for name in names], MAX_CUTOFF, ELEMENTS, seed=1)
    return edge_vectors(batch).norm(dim=1), batch.centers, len(batch.positions)


def excess(radius, distances, num_neighbors):
    """Neighbors of one atom, counted smoothly, plus the uniform medium's, minus the wanted number."""
    count = 0.0
    for distance in distances:
        scaled = (distance - radius + COUNT_WIDTH) / COUNT_WIDTH
        if scaled <= 0:
            count += 1.0
        elif scaled < 1:
            count += 0.5 * (1.0 + math.tanh(1.0 / math.tan(math.pi * scaled)))
    return count + num_neighbors * (radius / MAX_CUTOFF) ** 3 - num_neighbors


def root_by_bisection(distances, num_neighbors):
    lower, upper = 0.0, MAX_CUTOFF
    for _ in range(100):
        middle = 0.5 * (lower + upper)
        if excess(middle, distances, num_neighbors) <= 0:
            lower = middle
        else:
            upper = middle
    return 0.5 * (lower + upper)


@pytest.mark.parametrize("num_neighbors", [2.0, 8.0, 30.0])
@pytest.mark.parametrize("name", STRUCTURES)
def test_solver_finds_the_root(name, num_neighbors):
    distances, centers, num_atoms = pairs_of([name])
    radii = adaptive_cutoffs(distances, centers, num_atoms, wanted(num_neighbors), "solver")
    for atom in range(num_atoms):
        expected = root_by_bisection(distances[centers == atom].tolist(), num_neighbors)
        assert float(radii[atom]) == pytest.approx(expected, rel=1e-7)


def test_without_neighbors_the_radius_is_the_largest():
    empty = torch.zeros(0, dtype=torch.float64)
    centers = torch.zeros(0, dtype=torch.int64)
    radii = adaptive_cutoffs(empty, centers, 2, wanted(8.0), "solver")
    torch.testing.assert_close(radii, torch.full((2,), MAX_CUTOFF, dtype=torch.float64), rtol=1e-6, atol=0)


def test_radii_shrink_where_neighbors_are_many():
    distances, centers, num_atoms = pairs_of(["one-atom cell"])
    few = adaptive_cutoffs(distances, centers, num_atoms, wanted(4.0), "solver")
    many = adaptive_cutoffs(distances, centers, num_atoms, wanted(40.0), "solver")
    assert float(few) < float(many) < MAX_CUTOFF


@pytest.mark.parametrize("method", ["solver", "grid"])
def test_derivative_of_adaptive_radii(method):
    distances, centers, num_atoms = pairs_of(["molecule", "slab"])

    def radii(values):
        return adaptive_cutoffs(values, centers, num_atoms, wanted(8.0), method)

    distances.requires_grad_()
    (analytic,) = torch.autograd.grad(radii(distances).square().sum(), distances)
    step = 1e-5
    checked = 0
    for pair in torch.randperm(len(distances), generator=torch.Generator().manual_seed(0))[:60].tolist():
        moved = distances.detach().clone()
        moved[pair] += step
        above = radii(moved).square().sum()
        moved[pair] -= 2 * step
        numeric = (above - radii(moved).square().sum()) / (2 * step)
        assert float(analytic[pair]) == pytest.approx(float(numeric), rel=1e-5, abs=1e-7)
        checked += abs(float(numeric)) > 1e-3
    assert checked > 5


@pytest.mark.parametrize("method", ["solver", "grid"])
def test_an_atoms_radius_does_not_depend_on_its_batch(method):
    """The grid's Gaussian is normalised by each atom's own maximum, not by the batch's."""
    names = list(STRUCTURES)
    together = adaptive_cutoffs(*pairs_of(names), wanted(8.0), method)
    alone = torch.cat([adaptive_cutoffs(*pairs_of([name]), wanted(8.0), method) for name in names])
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=0)


def test_an_atom_far_from_the_wanted_count_still_has_a_radius_on_the_grid():
    """Too many neighbors at every radius: a maximum over the whole batch would leave 0 / 0 for this atom."""
    distances = torch.cat([torch.full((400,), 0.1), torch.tensor([5.5])]).double()
    centers = torch.cat([torch.zeros(400, dtype=torch.int64), torch.ones(1, dtype=torch.int64)])
    together = adaptive_cutoffs(distances, centers, 3, wanted(20.0), "grid")
    alone = adaptive_cutoffs(distances[:400], centers[:400], 1, wanted(20.0), "grid")
    assert torch.equal(together[:1], alone)
    assert 0.5 <= float(alone) <= MAX_CUTOFF
    assert torch.isfinite(together).all()
