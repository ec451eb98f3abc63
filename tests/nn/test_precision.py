"""Fewer digits: only where asked for, only for that long, and only as many as there are fewer."""

import pytest
import torch
from networks import CUTOFF, ELEMENTS, KINDS, make_network
from structures import example_structures, to_batch

from electrain.nn.batch import Batch
from electrain.nn.layers import LayerNorm, Linear, RMSNorm
from electrain.nn.low_rank import LowRank, add_low_rank
from electrain.nn.point_edge_transformer import PointEdgeTransformer
from electrain.nn.pooling import pool_systems
from electrain.nn.precision import MatmulPrecision, check_matmul_precision, has_bfloat16_products

CPU = torch.device("cpu")


def settings() -> tuple[str, bool, bool]:
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.math_sdp_enabled(),
    )


def set_bfloat16(monkeypatch, available):
    """Pretend that the processor has instructions for bfloat16; without them products are only slow."""
    monkeypatch.setattr("electrain.nn.precision.has_bfloat16_products", lambda device: available)


def small_network(**options) -> PointEdgeTransformer:
    return make_network(**options).float()


def in_use(name: str, model: torch.nn.Module | None = None):
    return MatmulPrecision(name, torch.nn.Linear(1, 1) if model is None else model).in_use()


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_the_former_setting_comes_back(precision):
    before = settings()
    with in_use(precision):
        assert torch.get_float32_matmul_precision() == precision
        assert torch.backends.cuda.math_sdp_enabled()
    assert settings() == before


@pytest.mark.parametrize("bfloat16", [True, False])
def test_fused_attention_is_left_out_where_it_would_be_slow(bfloat16, monkeypatch):
    set_bfloat16(monkeypatch, bfloat16)
    for precision in ("highest", "high"):
        with in_use(precision):
            assert torch.backends.cuda.flash_sdp_enabled()
    with in_use("medium"):
        assert torch.backends.cuda.flash_sdp_enabled() == (not bfloat16)


def test_without_instructions_for_it_nothing_changes():
    left, right = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with in_use("medium"):
        inside = left @ right
    assert torch.equal(inside, left @ right) == (not has_bfloat16_products(CPU))


def test_also_after_an_error_and_when_nested(monkeypatch):
    set_bfloat16(monkeypatch, True)
    network = small_network()
    before = settings()
    with pytest.raises(RuntimeError, match="inside"), in_use("medium", network):
        assert network.bfloat16_tokens
        raise RuntimeError("inside")
    assert settings() == before and not network.bfloat16_tokens
    with in_use("medium", network):
        with in_use("highest", network):
            assert settings() == before and not network.bfloat16_tokens
        assert torch.get_float32_matmul_precision() == "medium" and network.bfloat16_tokens
    assert settings() == before and not network.bfloat16_tokens


@pytest.mark.parametrize("available", [True, False])
def test_which_networks_take_tokens_of_fewer_digits(available, monkeypatch):
    set_bfloat16(monkeypatch, available)
    for precision, network, expected in (
        ("highest", small_network(), False),
        ("high", small_network(), False),
        ("medium", small_network(), available),
        ("medium", make_network(), False),  # float64 stays as it is
    ):
        with in_use(precision, network):
            assert network.bfloat16_tokens == expected


def test_exported_networks_take_them_too(monkeypatch):
    set_bfloat16(monkeypatch, True)
    network = small_network()
    scripted = torch.jit.script(network)
    batch = to_batch(list(example_structures().values()), CUTOFF, ELEMENTS)
    batch = batch._replace(positions=batch.positions.float(), cells=batch.cells.float())
    expected = scripted(batch).nodes[0]
    with in_use("medium", scripted):
        assert scripted(batch).nodes[0].dtype == torch.bfloat16
    assert torch.equal(scripted(batch).nodes[0], expected)


class Predictor(torch.nn.Module):
    """What an exported model does, as far as it concerns dtypes."""

    def __init__(self, network: PointEdgeTransformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> torch.Tensor:
        """Values (num_atoms, 3)."""
        features = self.network(batch)
        graph = features.graph
        head = self.network.heads["scalar"]
        return head(head.features(features.nodes, features.edges, graph.centers, graph.weights))


@pytest.mark.parametrize("kind", KINDS)
def test_forces_of_exported_networks(kind, monkeypatch):
    """TorchScript differentiates by formulas of its own from the second call on, which do not convert dtypes."""
    set_bfloat16(monkeypatch, True)
    predictor = Predictor(small_network(**KINDS[kind]))
    scripted = torch.jit.script(predictor)
    batch = to_batch([example_structures()["bulk"], example_structures()["slab"]], CUTOFF, ELEMENTS)
    batch = batch._replace(cells=batch.cells.float())
    forces = []
    for model in (predictor, scripted, scripted, scripted, scripted):
        with in_use("medium", model):
            positions = batch.positions.float().requires_grad_()
            model(batch._replace(positions=positions)).sum().backward()
            forces.append(positions.grad)
    for found in forces[1:]:
        torch.testing.assert_close(found, forces[0], rtol=0.0, atol=0.05 * float(forces[0].abs().max()))


def predict(network, batch):
    features = network(batch)
    graph = features.graph
    pooled = network.heads["scalar"].features(features.nodes, features.edges, graph.centers, graph.weights)
    return network.heads["scalar"](pool_systems(pooled, batch.system_of_atom, len(batch.cells)))


@pytest.mark.parametrize("low_rank", [False, True])
@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_and_forces_with_fewer_digits(kind, conditioned, low_rank):
    """bfloat16 has 8 bits: predictions differ by about a percent; a part left out of the network would show."""
    network = small_network(**KINDS[kind], system_conditioning=conditioned)
    if low_rank:
        add_low_rank(network, LowRank(rank=2))
        network.eval()
    batch = to_batch([example_structures()["bulk"], example_structures()["molecule"]], CUTOFF, ELEMENTS)
    states = torch.tensor([[0, 1], [1, 2]]) if conditioned else None
    batch = batch._replace(cells=batch.cells.float(), states=states)
    results = []
    for tokens in (False, True):
        network.bfloat16_tokens = tokens
        positions = batch.positions.float().requires_grad_()
        prediction = predict(network, batch._replace(positions=positions))
        assert prediction.dtype == torch.float32
        (forces,) = torch.autograd.grad(prediction.sum(), positions, create_graph=True)
        with torch.no_grad():  # the fused kernel
            fused = predict(network, batch._replace(positions=positions))
        parameter = network.layers[0].edge_tokens.output.weight
        (second,) = torch.autograd.grad((forces**2).sum(), parameter)
        assert second.dtype == torch.float32
        results.append((prediction.detach(), forces.detach(), fused, second))
    for exact, rounded in zip(*results, strict=True):
        assert not torch.equal(exact, rounded)
        assert torch.linalg.vector_norm(rounded - exact) < 0.1 * torch.linalg.vector_norm(exact)


@pytest.mark.parametrize("layer", [Linear(16, 16), LayerNorm(16), RMSNorm(16)])
def test_layers_follow_their_input(layer):
    features = torch.randn(40, 16, generator=torch.Generator().manual_seed(0))
    expected = layer(features)
    rounded = layer(features.bfloat16())
    assert expected.dtype == torch.float32 and rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), expected, rtol=0.02, atol=0.02)
    parent = type(layer).__mro__[1]
    assert torch.equal(expected, parent.forward(layer, features))


def test_double_precision_keeps_all_digits():
    left, right = torch.randn(2, 64, 64, dtype=torch.float64)
    with in_use("medium"):
        inside = left @ right
    torch.testing.assert_close(inside, left @ right, rtol=1e-14, atol=1e-13)


def test_single_precision_is_close():
    """Whether anything changes at all depends on the processor."""
    left, right = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with in_use("medium"):
        inside = left @ right
    torch.testing.assert_close(inside, left @ right, rtol=0.0, atol=0.05 * 256**0.5)


def test_unknown_names():
    message = "matmul_precision must be one of highest, high, medium, got 'low'"
    with pytest.raises(ValueError, match=message):
        check_matmul_precision("low")
    with pytest.raises(ValueError, match=message):
        MatmulPrecision("low", torch.nn.Linear(1, 1))
