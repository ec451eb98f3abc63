"""What the network must respect: batches, permutations, translations, supercells, smoothness, its range."""

import pytest
import torch
from ase import Atoms
from ase.build import make_supercell
from networks import CUTOFF, ELEMENTS, KINDS, STRUCTURES, make_network, per_atom, per_system
from structures import rattled, to_batch


@pytest.fixture(params=KINDS)
def network(request):
    return make_network(**KINDS[request.param])


def assert_equal(values, expected):
    """Equal to twelve digits, and not because everything is zero."""
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(values, expected, rtol=1e-12, atol=1e-12 * float(expected.abs().max()))


@torch.no_grad()
def test_a_batch_equals_its_structures_one_by_one(network):
    structures = list(STRUCTURES.values())
    together = to_batch(structures, CUTOFF, ELEMENTS, seed=1)
    alone = [to_batch([atoms], CUTOFF, ELEMENTS) for atoms in structures]
    assert_equal(per_atom(network, together), torch.cat([per_atom(network, batch) for batch in alone]))
    assert_equal(per_system(network, together), torch.cat([per_system(network, batch) for batch in alone]))


@torch.no_grad()
def test_order_of_pairs(network):
    structures = list(STRUCTURES.values())
    expected = per_atom(network, to_batch(structures, CUTOFF, ELEMENTS))
    assert_equal(per_atom(network, to_batch(structures, CUTOFF, ELEMENTS, seed=7)), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", ["bulk", "molecule", "slab"])
def test_order_of_atoms(network, name):
    atoms = STRUCTURES[name]
    order = torch.randperm(len(atoms), generator=torch.Generator().manual_seed(3))
    expected = per_atom(network, to_batch([atoms], CUTOFF, ELEMENTS))[order]
    assert_equal(per_atom(network, to_batch([atoms[order.numpy()]], CUTOFF, ELEMENTS)), expected)


@torch.no_grad()
def test_translation(network):
    moved = []
    for atoms in STRUCTURES.values():
        copy = atoms.copy()
        copy.positions += [0.37, -1.2, 5.1]
        moved.append(copy)
    expected = per_atom(network, to_batch(list(STRUCTURES.values()), CUTOFF, ELEMENTS))
    assert_equal(per_atom(network, to_batch(moved, CUTOFF, ELEMENTS)), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", ["bulk", "one-atom cell", "slab"])
def test_origin_of_the_cell(network, name):
    """Atoms moved and wrapped back into the cell, or left in another cell: the same crystal."""
    atoms = STRUCTURES[name]
    expected = per_atom(network, to_batch([atoms], CUTOFF, ELEMENTS))
    wrapped = atoms.copy()
    wrapped.positions += 0.4 * wrapped.cell[0] + 0.7 * wrapped.cell[1]
    wrapped.wrap()
    assert_equal(per_atom(network, to_batch([wrapped], CUTOFF, ELEMENTS)), expected)
    elsewhere = atoms.copy()
    elsewhere.positions[0] += 2 * elsewhere.cell[0] - elsewhere.cell[1]
    assert_equal(per_atom(network, to_batch([elsewhere], CUTOFF, ELEMENTS)), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", ["bulk", "one-atom cell"])
def test_supercell_doubles_the_sums(network, name):
    atoms = STRUCTURES[name]
    expected = 2 * per_system(network, to_batch([atoms], CUTOFF, ELEMENTS))
    doubled = atoms * (1, 1, 2)
    assert_equal(per_system(network, to_batch([doubled], CUTOFF, ELEMENTS)), expected)
    # the same crystal described by skewed lattice vectors
    skewed = make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [0, -1, 2]])
    assert_equal(per_system(network, to_batch([skewed], CUTOFF, ELEMENTS)), expected)


def test_gradients_are_those_of_finite_differences(network):
    structures = [STRUCTURES[name] for name in ("bulk", "slab", "molecule")]
    batch = to_batch(structures, CUTOFF + 0.5, ELEMENTS)
    probe = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64)
    positions = batch.positions.clone().requires_grad_()
    energy = (per_system(network, batch._replace(positions=positions)) @ probe).sum()
    (analytic,) = torch.autograd.grad(energy, positions)
    direction = torch.randn(positions.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    step = 1e-5
    with torch.no_grad():
        above = (per_system(network, batch._replace(positions=positions + step * direction)) @ probe).sum()
        below = (per_system(network, batch._replace(positions=positions - step * direction)) @ probe).sum()
    numeric = float(above - below) / (2 * step)
    assert abs(numeric) > 0.1
    assert float((analytic * direction).sum()) == pytest.approx(numeric, rel=1e-6)


def test_gradients_with_respect_to_the_cell(network):
    batch = to_batch([STRUCTURES["bulk"], STRUCTURES["one-atom cell"]], CUTOFF + 0.5, ELEMENTS)
    strain = torch.eye(3, dtype=torch.float64, requires_grad=True)

    def energy(strain):
        return per_system(network, batch._replace(positions=batch.positions @ strain, cells=batch.cells @ strain)).sum()

    (analytic,) = torch.autograd.grad(energy(strain), strain)
    direction = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    step = 1e-5
    with torch.no_grad():
        numeric = (energy(strain + step * direction) - energy(strain - step * direction)) / (2 * step)
    assert abs(float(numeric)) > 0.1
    assert float((analytic * direction).sum()) == pytest.approx(float(numeric), rel=1e-6)


def test_an_atom_crosses_the_cutoff_smoothly(network):
    """Values and forces change by no more than the step allows while a dimer is pulled apart."""

    def value_and_slope(distance):
        atoms = Atoms("CO", positions=[[0, 0, 0], [0, 0, distance]])
        batch = to_batch([atoms], CUTOFF + 1.0, ELEMENTS)
        positions = batch.positions.clone().requires_grad_()
        value = per_system(network, batch._replace(positions=positions)).sum()
        (gradient,) = torch.autograd.grad(value, positions)
        return float(value.detach()), float(gradient[1, 2])

    apart, slope_apart = value_and_slope(CUTOFF + 1e-3)
    inside, slope_inside = value_and_slope(CUTOFF - 1e-3)
    assert abs(value_and_slope(CUTOFF - 1.0)[0] - apart) > 1e-2
    assert slope_apart == 0.0
    assert abs(inside - apart) < 1e-6
    assert abs(slope_inside) < 1e-4


def test_training_equals_evaluation(network):
    """Training with forces takes another path through attention, which can be differentiated twice."""
    batch = to_batch(list(STRUCTURES.values()), CUTOFF, ELEMENTS)
    results = []
    for training in (False, True):
        network.train(training)
        positions = batch.positions.clone().requires_grad_()
        values = per_atom(network, batch._replace(positions=positions))
        (gradient,) = torch.autograd.grad(values.square().sum(), positions, create_graph=training)
        results.append((values.detach(), gradient.detach()))
    assert_equal(results[1][0], results[0][0])
    assert_equal(results[1][1], results[0][1])


def test_forces_can_be_trained(network):
    """The derivative of a force with respect to the parameters, against finite differences."""
    network.train()
    batch = to_batch([STRUCTURES["molecule"], STRUCTURES["bulk"]], CUTOFF, ELEMENTS)

    def force_loss():
        positions = batch.positions.clone().requires_grad_()
        energy = per_system(network, batch._replace(positions=positions)).sum()
        (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)
        return gradient.square().sum()

    parameters = list(network.parameters())
    gradients = torch.autograd.grad(force_loss(), parameters, allow_unused=True)
    generator = torch.Generator().manual_seed(2)
    directions = [torch.randn(p.shape, dtype=torch.float64, generator=generator) for p in parameters]
    analytic = sum(
        float((gradient * direction).sum())
        for gradient, direction in zip(gradients, directions, strict=True)
        if gradient is not None
    )
    step, losses = 1e-6, []
    for sign in (1, -2):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(sign * step * direction)
        losses.append(float(force_loss().detach()))
    numeric = (losses[0] - losses[1]) / (2 * step)
    assert abs(numeric) > 0.1
    assert analytic == pytest.approx(numeric, rel=1e-5)


def atoms_reached(network, spacing, center):
    """How many atoms away from the central one of a chain its prediction's gradient extends."""
    num_atoms = 2 * center + 1
    chain = Atoms(f"C{num_atoms}", positions=[[0, 0, spacing * i] for i in range(num_atoms)])
    chain = rattled(chain)
    batch = to_batch([chain], CUTOFF, ELEMENTS)
    positions = batch.positions.clone().requires_grad_()
    prediction = per_atom(network, batch._replace(positions=positions))[center].sum()
    (gradient,) = torch.autograd.grad(prediction, positions)
    moved = gradient.abs().amax(dim=1) > 0
    reached = [abs(i - center) for i in range(num_atoms) if moved[i]]
    # no atom in between is left out
    assert moved[center - max(reached) : center + max(reached) + 1].all()
    return max(reached)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("featurizer", ["residual", "feedforward"])
def test_range_with_a_fixed_cutoff(featurizer, layers):
    """Each atom sees its nearest neighbors only, so a prediction reaches as many atoms as cutoffs."""
    network = make_network(featurizer=featurizer, num_message_passing_layers=layers)
    expected = layers + (featurizer == "feedforward")
    assert network.interaction_range() == expected * CUTOFF
    assert atoms_reached(network, spacing=0.8 * CUTOFF, center=8) == expected


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("featurizer", ["residual", "feedforward"])
@pytest.mark.parametrize("method", ["solver", "grid"])
def test_range_with_adaptive_cutoffs(featurizer, layers, method):
    """The radius of the atom at the far end of an edge depends on that atom's own neighbors."""
    network = make_network(
        featurizer=featurizer,
        num_message_passing_layers=layers,
        num_neighbors_adaptive=6.0,
        adaptive_cutoff_method=method,
    )
    expected = layers + (featurizer == "feedforward") + 1
    assert network.interaction_range() == expected * CUTOFF
    # where both smooth functions, of the edges and of the count of neighbors, are between 0 and 1
    assert atoms_reached(network, spacing=0.85 * CUTOFF, center=8) == expected


def test_unknown_options():
    with pytest.raises(ValueError, match="featurizer must be 'residual' or 'feedforward', got 'both'"):
        make_network(featurizer="both")
    with pytest.raises(ValueError, match="normalization must be 'LayerNorm' or 'RMSNorm', got 'BatchNorm'"):
        make_network(normalization="BatchNorm")
    with pytest.raises(ValueError, match="transformer_type must be 'PreLN' or 'PostLN', got 'LN'"):
        make_network(transformer_type="LN")
    with pytest.raises(ValueError, match="activation must be 'SiLU' or 'SwiGLU', got 'ReLU'"):
        make_network(activation="ReLU")
    with pytest.raises(ValueError, match="divisible by the number of heads, got 8 and 3"):
        make_network(num_heads=3)
