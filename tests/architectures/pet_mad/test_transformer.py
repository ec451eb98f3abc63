"""What the layout of tokens and their in-place updates must not change: results, gradients, second derivatives."""

import pytest
import torch
from networks import ELEMENTS, make_network, per_system
from structures import example_structures, to_batch

from electrain.nn.point_edge_transformer.transformer import OverwritingSiLU

CUTOFF = 3.0
KINDS = {
    "PostLN": {"transformer_type": "PostLN", "node_width": 8},
    "PreLN, wide nodes": {"transformer_type": "PreLN", "featurizer": "feedforward", "activation": "SwiGLU"},
}


def uneven_batch():
    """Buckets with empty slots: a molecule beside a crystal."""
    structures = example_structures()
    return to_batch([structures["molecule"], structures["slab"]], CUTOFF, ELEMENTS)


@pytest.mark.parametrize("kind", KINDS)
def test_same_values_with_and_without_gradients(kind):
    network, batch = make_network(**KINDS[kind]), uneven_batch()
    with torch.no_grad():
        expected = per_system(network, batch)
    moved = batch._replace(positions=batch.positions.clone().requires_grad_())
    torch.testing.assert_close(per_system(network, moved).detach(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_forces_and_their_derivatives(kind):
    """Against finite differences: forces, and how a loss of forces changes with positions and with weights."""
    network, batch = make_network(**KINDS[kind]), uneven_batch()
    weight = network.layers[0].layers[0].attention.input_linear.weight
    direction = torch.randn(batch.positions.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def energy_and_force_loss(positions):
        energy = per_system(network, batch._replace(positions=positions)).sum()
        (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)
        return energy, (gradient**2).sum(), gradient

    positions = batch.positions.clone().requires_grad_()
    _, loss, gradient = energy_and_force_loss(positions)
    by_position, by_weight = torch.autograd.grad(loss, (positions, weight))
    assert by_weight.abs().max() > 1e-3

    step = 1e-5
    low, high = (
        energy_and_force_loss(positions.detach().add(sign * direction).requires_grad_()) for sign in (-step, step)
    )
    torch.testing.assert_close((gradient * direction).sum(), (high[0] - low[0]) / (2 * step), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close((by_position * direction).sum(), (high[1] - low[1]) / (2 * step), rtol=1e-5, atol=1e-5)
    losses = []
    for sign in (-step, step):
        with torch.no_grad():
            weight += sign * by_weight / by_weight.norm()
        losses.append(energy_and_force_loss(positions)[1])
        with torch.no_grad():
            weight -= sign * by_weight / by_weight.norm()
    torch.testing.assert_close(by_weight.norm(), (losses[1] - losses[0]) / (2 * step), rtol=1e-5, atol=1e-5)


def test_activation_overwrites_only_what_no_gradient_needs():
    silu, values = OverwritingSiLU(), torch.linspace(-2.0, 2.0, 5, dtype=torch.float64)
    expected = values / (1.0 + torch.exp(-values))
    kept = values.clone().requires_grad_()
    torch.testing.assert_close(silu(kept), expected)
    assert torch.equal(kept, values)
    lost = values.clone()
    assert silu(lost) is lost
    torch.testing.assert_close(lost, expected)
