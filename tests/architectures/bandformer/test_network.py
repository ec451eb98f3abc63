"""The network's equations against slow references, by plain loops."""

import numpy as np
import pytest
import torch
from band_models import SMALL, crystal, hypers, make_model, random_paths, with_k_points
from metatrain.utils.architectures import check_architecture_options, get_default_hypers
from slow_graphs import linear, normalized, pairs_of, perceptron

from electrain.architectures.bandformer.network.k_encoding import LatticeEncoding, PaperEncoding, shortest_vectors
from electrain.interface.metatrain_errors import OptionsError
from electrain.interface.quantities import BANDS


def gaussians(distance, module):
    return torch.stack([torch.exp(-((distance - c) ** 2) / (2 * module.width**2)) for c in module.centers])


@pytest.mark.parametrize("with_properties", [False, True])
def test_encoder(with_properties):
    """Equation 1, with a fixed cutoff."""
    model = make_model(num_neighbors=None, element_properties=with_properties)
    network = model.network
    batch = model.read(with_k_points([crystal()], [None], model))
    pairs = [(i, i, torch.zeros(()).double(), 1.0) for i in range(len(batch.positions))] + pairs_of(
        batch, network.pairs
    )
    nodes = [network.encoder.elements.table()[element] for element in batch.elements]
    heads, width = SMALL["num_heads"], SMALL["width"] // SMALL["num_heads"]
    for layer in network.encoder.layers:
        updated = []
        for i, node in enumerate(nodes):
            mixed = torch.zeros_like(node)
            for head in range(heads):
                own = slice(head * width, (head + 1) * width)
                query = linear(layer.query, node)[own]
                total, summed = 0.0, torch.zeros(width).double()
                for center, member, distance, weight in pairs:
                    if center == i:
                        waves = gaussians(distance, network.encoder.expand)
                        logit = query @ linear(layer.key, nodes[member])[own] / np.sqrt(width)
                        attention = weight * torch.exp(logit + linear(layer.distance_bias, waves)[head])
                        value = linear(layer.value, nodes[member]) + linear(layer.distance_value, waves)
                        total, summed = total + attention, summed + attention * value[own]
                mixed[own] = summed / total
            node = node + normalized(layer.normalize, mixed)
            updated.append(node + perceptron(layer.feedforward, node))
        nodes = updated
    torch.testing.assert_close(network(batch).nodes, torch.stack(nodes), rtol=1e-9, atol=1e-9)


def test_plane_waves():
    """Equations 2 and 3."""
    encoding = PaperEncoding(18).double()
    assert encoding.frequencies.tolist() == pytest.approx([2 * np.pi, 2 * np.pi / 10**0.5, 2 * np.pi / 10])
    k = torch.tensor([[[0.1, -0.2, 0.4]]]).double()
    waves = np.array([np.exp(2j * np.pi * 10 ** (-n / 2) * x) for x in (0.1, -0.2, 0.4) for n in range(3)])
    features = torch.tensor(np.concatenate([waves.real, waves.imag]))
    nothing = torch.zeros(0)
    found = encoding(k, nothing, None, nothing)
    torch.testing.assert_close(found[0, 0], linear(encoding.project, features), rtol=1e-6, atol=1e-6)


def test_shortest_vectors():
    for number, largest in ((0, 0), (3, 1), (9, 2), (13, 3), (16, 4), (28, 5), (100, 13)):
        vectors = shortest_vectors(number)
        assert vectors.shape == (number, 3) and len({tuple(n) for n in [*vectors.tolist(), *(-vectors).tolist()]}) == (
            2 * number
        )
        assert number == 0 or vectors.square().sum(dim=1).max() == largest


def test_bloch_sums():
    """A Hamiltonian for each channel, element by element, with complex numbers."""
    model = make_model(num_neighbors=None)
    encoding = model.head(BANDS).encode
    assert isinstance(encoding, LatticeEncoding)
    (path,) = random_paths(1)
    batch = model.read(with_k_points([crystal()], [path], model))
    features = model.network(batch)
    nodes, num_atoms = features.nodes, len(features.nodes)
    found = encoding.bloch_sums(batch.k_points, nodes, features.graph, batch.system_of_atom)[0]
    for number, k in enumerate(path[:3]):
        matrices = np.zeros((SMALL["num_hoppings"], num_atoms, num_atoms), complex)
        for center, neighbor, shift in zip(batch.centers, batch.neighbors, batch.cell_shifts, strict=True):
            vector = batch.positions[neighbor] + shift.double() @ batch.cells[0] - batch.positions[center]
            distance = vector.norm()
            if distance < 4.0:
                step = min(max(float(distance) - 3.0, 0.0), 1.0)
                of_atoms = linear(encoding.of_atoms, nodes[center]) + linear(encoding.of_atoms, nodes[neighbor])
                hoppings = perceptron(encoding.hopping, gaussians(distance, encoding.expand) + of_atoms)
                phase = np.exp(2j * np.pi * float(shift.double() @ torch.tensor(k)))
                matrices[:, center, neighbor] += hoppings.detach().numpy() * 0.5 * (1 + np.cos(np.pi * step)) * phase
        np.testing.assert_allclose(matrices, matrices.conj().transpose(0, 2, 1), atol=1e-12)
        diagonals = [np.mean(np.diag(matrix)).real for matrix in matrices]
        rows = [np.mean(np.sqrt(np.diag(matrix @ matrix).real + 1e-4)) for matrix in matrices]
        np.testing.assert_allclose(found[number].detach(), [*diagonals, *rows], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_fourier": 7, "bands_as": "fourier"}, "expected at most half of `num_k_points`, which is 6, got 7"),
        ({"num_heads": 3}, "expected a divisor of `width`, which is 8, got 3"),
        ({"k_encoding": "lattices"}, "expected lattice or paper, got"),
    ],
)
def test_wrong_options(options, message):
    """The number of coefficients does not matter for points."""
    known = {**get_default_hypers("bandformer"), "model": hypers(num_fourier=7)}
    check_architecture_options("bandformer", known)
    settings = {**get_default_hypers("bandformer"), "model": hypers(**options)}
    with pytest.raises(OptionsError, match=message):
        check_architecture_options("bandformer", settings)
