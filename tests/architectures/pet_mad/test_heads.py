"""Heads: pooling before the last linear map, and convolutions on spectra."""

import pytest
import torch
from torch.nn import functional

from electrain.nn.point_edge_transformer import PooledHead
from electrain.nn.pooling import pool_systems, select_atoms
from electrain.nn.spectrum_convolution import SpectrumConvolution

NUM_ATOMS, NUM_EDGES, NUM_SYSTEMS = 9, 40, 4
NODE_WIDTH, EDGE_WIDTH, HEAD_WIDTH, OUT_SIZE = 6, 5, 7, 11
SYSTEM_OF_ATOM = torch.tensor([0, 0, 0, 0, 1, 3, 3, 3, 3])  # system 2 is empty


@pytest.fixture(params=[1, 3], ids=["one readout", "three readouts"])
def head(request):
    torch.manual_seed(0)
    return PooledHead(
        node_width=NODE_WIDTH,
        edge_width=EDGE_WIDTH,
        head_width=HEAD_WIDTH,
        num_readouts=request.param,
        out_size=OUT_SIZE,
    ).double()


@pytest.fixture
def inputs(head):
    generator = torch.Generator().manual_seed(1)
    num_readouts = len(head.node_trunks)

    def random(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    nodes = [random(NUM_ATOMS, NODE_WIDTH) for _ in range(num_readouts)]
    edges = [random(NUM_EDGES, EDGE_WIDTH) for _ in range(num_readouts)]
    # atom 4, alone in its system, has no edges
    centers = torch.randint(NUM_ATOMS, (NUM_EDGES,), generator=generator)
    centers[centers == 4] = 5
    weights = torch.rand(NUM_EDGES, dtype=torch.float64, generator=generator)
    return nodes, edges, centers, weights


def map_every_edge_then_sum(head, nodes, edges, centers, weights):
    """The last linear map on every node and every edge, one after another."""
    predictions = torch.zeros(NUM_ATOMS, OUT_SIZE, dtype=torch.float64)
    for readout in range(len(nodes)):
        first = 2 * readout * HEAD_WIDTH
        node_map = head.last.weight[:, first : first + HEAD_WIDTH]
        edge_map = head.last.weight[:, first + HEAD_WIDTH : first + 2 * HEAD_WIDTH]
        for atom in range(NUM_ATOMS):
            predictions[atom] += node_map @ head.node_trunks[readout](nodes[readout][atom])
        for edge, atom in enumerate(centers.tolist()):
            value = edge_map @ head.edge_trunks[readout](edges[readout][edge])
            predictions[atom] += weights[edge] * value
    # the biases of all readouts are one parameter each
    for atom in range(NUM_ATOMS):
        predictions[atom] += head.last.bias
    for edge, atom in enumerate(centers.tolist()):
        predictions[atom] += weights[edge] * head.last_edge_bias
    return predictions.detach()


def test_per_atom_equals_mapping_every_edge(head, inputs):
    expected = map_every_edge_then_sum(head, *inputs)
    torch.testing.assert_close(head(head.features(*inputs)).detach(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("part_size", [1, 7, NUM_EDGES])
def test_edges_in_parts_give_the_same(head, inputs, part_size):
    # with gradients there are no parts
    leaves = [[values.clone().requires_grad_() for values in features] for features in inputs[:2]]
    whole = head.features(*leaves, *inputs[2:])
    with torch.no_grad():
        parts = torch.jit.script(head).features(*inputs, part_size)
    torch.testing.assert_close(parts.values, whole.values.detach(), rtol=1e-12, atol=1e-12)


def test_per_system_equals_the_sum_over_atoms(head, inputs):
    expected = torch.zeros(NUM_SYSTEMS, OUT_SIZE, dtype=torch.float64)
    for atom, values in enumerate(map_every_edge_then_sum(head, *inputs)):
        expected[SYSTEM_OF_ATOM[atom]] += values
    pooled = pool_systems(head.features(*inputs), SYSTEM_OF_ATOM, NUM_SYSTEMS)
    torch.testing.assert_close(head(pooled).detach(), expected, rtol=1e-12, atol=1e-12)
    assert (head(pooled)[2] == 0).all()


def test_selected_atoms(head, inputs):
    selected = torch.tensor([7, 0, 4])
    expected = map_every_edge_then_sum(head, *inputs)[selected]
    predictions = head(select_atoms(head.features(*inputs), selected))
    torch.testing.assert_close(predictions.detach(), expected, rtol=1e-12, atol=1e-12)


def test_gradients_equal_those_of_mapping_every_edge(head, inputs):
    """Also with respect to the weights, on which forces depend."""
    nodes, edges, centers, weights = inputs
    leaves = [*nodes, *edges, weights]
    for leaf in leaves:
        leaf.requires_grad_()
    probe = torch.randn(NUM_ATOMS, OUT_SIZE, dtype=torch.float64)
    pooled = torch.autograd.grad((head(head.features(*inputs)) * probe).sum(), leaves)

    total = torch.zeros((), dtype=torch.float64)
    for readout in range(len(nodes)):
        first = 2 * readout * HEAD_WIDTH
        node_map = head.last.weight[:, first : first + HEAD_WIDTH]
        edge_map = head.last.weight[:, first + HEAD_WIDTH : first + 2 * HEAD_WIDTH]
        total = total + (functional.linear(head.node_trunks[readout](nodes[readout]), node_map) * probe).sum()
        mapped = functional.linear(head.edge_trunks[readout](edges[readout]), edge_map)
        total = total + (mapped * weights.unsqueeze(1) * probe[centers]).sum()
    total = total + (weights.unsqueeze(1) * head.last_edge_bias * probe[centers]).sum()
    for ours, expected in zip(pooled, torch.autograd.grad(total, leaves), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_layers_of_the_published_model():
    """PET-MAD-DOS: 4806 channels, flattened to 1024 before the hidden layer."""
    head = SpectrumConvolution(4806)
    convolutions = [layer for layer in head.convolutions if isinstance(layer, torch.nn.Conv1d)]
    assert [tuple(layer.weight.shape) for layer in convolutions] == [
        (64, 1, 32),
        (64, 64, 16),
        (64, 64, 8),
        (64, 64, 8),
    ]
    assert [layer.padding for layer in convolutions] == [(1,)] * 4
    spectra = torch.randn(2, 4806)
    lengths, values = [], spectra.unsqueeze(1)
    for layer in head.convolutions:
        values = layer(values)
        if isinstance(layer, torch.nn.MaxPool1d):
            lengths.append(values.shape[2])
    assert lengths == [1194, 295, 72, 16]
    assert tuple(head.hidden.weight.shape) == (1024, 1024)
    assert tuple(head.last.weight.shape) == (1, 1024)
    assert tuple(head(spectra).shape) == (2, 1)


def test_spectra_of_a_batch_do_not_mix():
    torch.manual_seed(0)
    head = SpectrumConvolution(800).double()
    spectra = torch.randn(3, 800, dtype=torch.float64)
    alone = torch.cat([head(spectrum.unsqueeze(0)) for spectrum in spectra])
    torch.testing.assert_close(head(spectra), alone, rtol=0, atol=1e-13)
    assert alone.std() > 1e-4


def test_shortest_spectrum():
    assert SpectrumConvolution.min_channels() == 737
    head = SpectrumConvolution(737)
    assert tuple(head.hidden.weight.shape) == (1024, 64)
    assert tuple(head(torch.zeros(1, 737)).shape) == (1, 1)


@pytest.mark.parametrize("num_channels", [1, 10, 100, 736])
def test_too_short_a_spectrum(num_channels):
    message = f"at least 737 channels, got {num_channels}: use a finer or longer energy grid"
    with pytest.raises(ValueError, match=message):
        SpectrumConvolution(num_channels)
