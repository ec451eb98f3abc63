"""Low-rank updates of linear layers: against a dense reference, and merged."""

import copy

import pytest
import torch
from networks import SMALL
from structures import example_structures, to_batch
from torch import nn

from electrain.architectures.pet_mad.model import PETMAD
from electrain.nn.low_rank import LowRank, LowRankLinear, add_low_rank, find_low_rank, merge_low_rank
from electrain.nn.point_edge_transformer import PointEdgeTransformer
from electrain.nn.point_edge_transformer.transformer import Attention

ELEMENTS = [1, 6, 8, 14, 79]
CUTOFF = 3.0


def make_network(featurizer: str) -> PointEdgeTransformer:
    torch.manual_seed(0)
    network = PETMAD.make_network({**SMALL, "num_attention_layers": 2, "featurizer": featurizer}, ELEMENTS, None)
    return network.double().eval()


def make_random(module: nn.Module) -> None:
    """Updates as training might leave them."""
    for layer in module.modules():
        if isinstance(layer, LowRankLinear):
            nn.init.normal_(layer.low_rank_b)


def pooled(network, batch):
    return network.pooled_features(network(batch)).values


@pytest.mark.parametrize(("rank", "alpha"), [(1, 4.0), (3, 1.5), (8, 4)])
def test_a_layer_is_its_dense_matrix(rank, alpha):
    """W + (alpha / rank) B A, summed entry by entry."""
    torch.manual_seed(0)
    base = nn.Linear(5, 7, dtype=torch.float64)
    layer = LowRankLinear(base, rank, alpha)
    features = torch.randn(2, 4, 5, dtype=torch.float64)
    assert torch.equal(layer(features), base(features))
    make_random(layer)
    a, b = layer.low_rank_a.tolist(), layer.low_rank_b.tolist()
    dense = base.weight.detach().clone()
    for i in range(7):
        for j in range(5):
            for k in range(rank):
                dense[i, j] += alpha / rank * b[i][k] * a[k][j]
    expected = torch.einsum("ij,abj->abi", dense, features) + base.bias
    assert (expected - base(features)).abs().max() > 0.1
    torch.testing.assert_close(layer(features), expected, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(layer.merged()(features), expected, rtol=1e-13, atol=1e-13)


def test_a_merged_layer_in_single_precision_is_the_rounded_sum():
    base = nn.Linear(5, 7)
    layer = LowRankLinear(base, 2, 1.0)
    make_random(layer)
    exact = base.weight.double() + 0.5 * layer.low_rank_b.double() @ layer.low_rank_a.double()
    assert torch.equal(layer.merged().weight, exact.float())


def test_gradients_of_the_update():
    """At first only B has one, since A is multiplied by B = 0."""
    layer = LowRankLinear(nn.Linear(5, 7, dtype=torch.float64), 3, 1.0)
    features = torch.randn(4, 5, dtype=torch.float64)
    layer(features).square().sum().backward()
    assert layer.low_rank_b.grad.abs().max() > 0
    assert layer.low_rank_a.grad.abs().max() == 0
    make_random(layer)
    parameters = [layer.weight, layer.bias, layer.low_rank_a, layer.low_rank_b]
    assert torch.autograd.gradcheck(
        lambda *values: torch.func.functional_call(
            layer, dict(zip(["weight", "bias", "low_rank_a", "low_rank_b"], values, strict=True)), features
        ),
        parameters,
    )


@pytest.mark.parametrize("featurizer", ["residual", "feedforward"])
@pytest.mark.parametrize("target_modules", [("input_linear", "output_linear"), ("input_linear",), ("output_linear",)])
def test_attention_blocks_of_a_network(featurizer, target_modules):
    """All of them and nothing else: equal features at first, and after merging the very modules of the base."""
    base = make_network(featurizer)
    network = copy.deepcopy(base)
    setup = LowRank(3, 2.0, target_modules)
    batch = to_batch(list(example_structures().values()), CUTOFF, ELEMENTS)
    assert find_low_rank(network) is None
    add_low_rank(network, setup)
    assert find_low_rank(network) == setup
    new = {name for name, _ in network.named_parameters()} - {name for name, _ in base.named_parameters()}
    blocks = [name for name, child in base.named_modules() if isinstance(child, Attention)]
    assert len(blocks) == 4
    assert new == {f"{b}.{t}.low_rank_{m}" for b in blocks for t in target_modules for m in "ab"}
    assert torch.equal(pooled(network, batch), pooled(base, batch))

    make_random(network)
    updated = pooled(network, batch)
    assert (updated - pooled(base, batch)).abs().max() > 0.1
    scripted = torch.jit.script(network)
    torch.testing.assert_close(pooled(scripted, batch), updated, rtol=1e-12, atol=1e-12)
    merge_low_rank(network)
    assert find_low_rank(network) is None
    assert [(n, type(m)) for n, m in network.named_modules()] == [(n, type(m)) for n, m in base.named_modules()]
    assert network.state_dict().keys() == base.state_dict().keys()
    torch.testing.assert_close(pooled(network, batch), updated, rtol=1e-12, atol=1e-12)


class Pair(nn.Module):
    """A block with other layers than attention."""

    LOW_RANK_LAYERS = tuple(f"layer_{i}" for i in range(6))

    def __init__(self):
        super().__init__()
        for name in self.LOW_RANK_LAYERS:
            setattr(self, name, nn.Linear(4, 4))


def test_blocks_of_several_kinds():
    """All settings are found again, and random numbers are drawn in the order of the layers in every process."""
    network = nn.ModuleList([Pair(), Attention(4, 2, 1.0)])
    torch.manual_seed(0)
    add_low_rank(network, LowRank(2, 1.0))
    assert find_low_rank(network) == LowRank(2, 1.0, (*Pair.LOW_RANK_LAYERS, *Attention.LOW_RANK_LAYERS))
    torch.manual_seed(0)
    for name in Pair.LOW_RANK_LAYERS:
        expected = nn.init.uniform_(torch.empty(2, 4), -0.5, 0.5)
        assert torch.equal(network.get_submodule(f"0.{name}").low_rank_a, expected)


@pytest.mark.parametrize("rank", [0, -1])
def test_rank_below_one(rank):
    with pytest.raises(ValueError, match=f"the rank of a low-rank update must be at least 1, got {rank}"):
        add_low_rank(make_network("residual"), LowRank(rank=rank))


@pytest.mark.parametrize("names", [(), ("input_linear", "compress")])
def test_unknown_layers(names):
    expected = r"target_modules must be some of \['input_linear', 'output_linear'\], got \["
    with pytest.raises(ValueError, match=expected):
        add_low_rank(make_network("residual"), LowRank(target_modules=names))


def test_a_network_without_such_layers():
    with pytest.raises(ValueError, match="no layers for low-rank updates: fine-tune with method 'full' or 'heads'"):
        add_low_rank(nn.Sequential(nn.Linear(2, 2)), LowRank())


@pytest.mark.parametrize("names", [None, ("layer_5", "layer_0", "layer_3")])
def test_random_numbers_are_drawn_layer_by_layer(names):
    """Which layer gets which must not depend on the process: the same seed starts the same fine-tuning."""

    class Block(nn.Module):
        LOW_RANK_LAYERS = tuple(f"layer_{i}" for i in range(8))

        def __init__(self) -> None:
            super().__init__()
            for name in self.LOW_RANK_LAYERS:
                setattr(self, name, nn.Linear(4, 4))

    block = Block()
    torch.manual_seed(0)
    add_low_rank(block, LowRank(rank=2, target_modules=names))
    torch.manual_seed(0)
    for name in [name for name in Block.LOW_RANK_LAYERS if names is None or name in names]:
        expected = torch.empty(2, 4).uniform_(-0.5, 0.5)
        torch.testing.assert_close(getattr(block, name).low_rank_a.detach(), expected, rtol=0, atol=0)
