"""With the same weights our network equals `metatrain.pet`."""

import itertools

import pytest
import torch
from metatomic.torch import ModelOutput
from peer import ELEMENTS, make_peer, our_network
from structures import example_structures, to_batch, to_system

from electrain.nn.pooling import pool_systems

TARGETS = {"mtt::spectrum": 7, "scalar": 1}
OPTIONS = {
    "featurizer_type": ("residual", "feedforward"),
    "transformer_type": ("PreLN", "PostLN"),
    "normalization": ("LayerNorm", "RMSNorm"),
    "activation": ("SiLU", "SwiGLU"),
    "d_node": (16, 24),
    "cutoff_function": ("Cosine", "Bump"),
    "num_neighbors_adaptive": (None, 6),
}
COMBINATIONS = [dict(zip(OPTIONS, values, strict=True)) for values in itertools.product(*OPTIONS.values())]
STRUCTURES = example_structures()


def predictions(network, batch, name, per_atom):
    features = network(batch)
    pooled = network.heads[name].features(
        features.nodes, features.edges, features.graph.centers, features.graph.weights
    )
    if not per_atom:
        pooled = pool_systems(pooled, batch.system_of_atom, len(batch.cells))
    return network.heads[name](pooled)


def assert_parity(options, structures):
    torch.manual_seed(1)
    peer = make_peer(TARGETS, **options)
    network = our_network(peer, TARGETS)
    batch = to_batch(structures, peer.cutoff, ELEMENTS, seed=5)
    systems = [to_system(atoms, peer.cutoff) for atoms in structures]
    for kind in ("atom", "system"):
        outputs = {name: ModelOutput(sample_kind=kind) for name in TARGETS}
        expected = peer(systems, outputs)
        for name in TARGETS:
            values = expected[name].block().values.detach()
            ours = predictions(network, batch, name, per_atom=kind == "atom").detach()
            assert values.abs().max() > 1e-3
            torch.testing.assert_close(ours, values, rtol=1e-10, atol=1e-10 * float(values.abs().max()))


@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_every_combination_of_options_on_a_mixed_batch(options):
    """Bulk, one-atom cell, slab, molecule, isolated atom and molecules out of reach, in one batch."""
    assert_parity(options, list(STRUCTURES.values()))


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("featurizer", OPTIONS["featurizer_type"])
def test_every_structure_alone(featurizer, name):
    assert_parity({"featurizer_type": featurizer}, [STRUCTURES[name]])


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("featurizer", OPTIONS["featurizer_type"])
def test_numbers_of_layers_and_temperature(featurizer, layers):
    options = {
        "num_gnn_layers": layers,
        "num_attention_layers": 3 - layers // 2,
        "attention_temperature": 1.3,
    }
    assert_parity({"featurizer_type": featurizer, **options}, list(STRUCTURES.values()))


def test_adaptive_cutoff_on_a_grid():
    assert_parity({"num_neighbors_adaptive": 6, "adaptive_cutoff_method": "grid"}, list(STRUCTURES.values()))
