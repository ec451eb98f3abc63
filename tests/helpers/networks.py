"""Small networks with random weights."""

import torch
from structures import example_structures

from electrain.architectures.pet_mad.model import PETMAD
from electrain.nn.point_edge_transformer import PointEdgeTransformer
from electrain.nn.pooling import pool_systems

ELEMENTS = [1, 6, 8, 14, 79]
STRUCTURES = example_structures()
CUTOFF = 3.0
SMALL = {
    "cutoff": CUTOFF,
    "cutoff_width": 0.5,
    "cutoff_function": "bump",
    "num_neighbors_adaptive": None,
    "cutoff_width_adaptive": 1.0,
    "adaptive_cutoff_method": "solver",
    "featurizer": "residual",
    "num_message_passing_layers": 2,
    "num_attention_layers": 1,
    "edge_width": 8,
    "node_width": 12,
    "feedforward_width": 10,
    "head_width": 6,
    "num_heads": 2,
    "attention_temperature": 1.0,
    "normalization": "LayerNorm",
    "activation": "SiLU",
    "transformer_type": "PostLN",
    "system_conditioning": False,
    "max_charge": 10,
    "max_spin_multiplicity": 10,
    "element_properties": False,
    "radial_descriptors": None,
    "spectrum_head": "linear",
    "dropout": 0.0,
}
KINDS = {
    "residual": {},
    "feedforward": {"featurizer": "feedforward", "transformer_type": "PreLN", "normalization": "RMSNorm"},
    "adaptive": {"num_neighbors_adaptive": 8.0},
    "adaptive grid": {"num_neighbors_adaptive": 8.0, "adaptive_cutoff_method": "grid"},
}


def make_network(**options) -> PointEdgeTransformer:
    """A random network in float64 with a head of three values."""
    torch.manual_seed(0)
    network = PETMAD.make_network({**SMALL, **options}, ELEMENTS, None)
    network.add_output("scalar", 3, "sum")
    network.double().eval()
    # larger weights make predictions depend more strongly on the geometry
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def per_atom(network, batch):
    features = network(batch)
    head = network.heads["scalar"]
    return head(head.features(features.nodes, features.edges, features.graph.centers, features.graph.weights))


def per_system(network, batch):
    features = network(batch)
    head = network.heads["scalar"]
    pooled = head.features(features.nodes, features.edges, features.graph.centers, features.graph.weights)
    return head(pool_systems(pooled, batch.system_of_atom, len(batch.cells)))
