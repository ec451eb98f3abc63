"""Upgrades of older checkpoints, one function for each step."""

from typing import Any

from electrain.files.upgrades import Upgrade

_POINT_EDGE_TRANSFORMER = {
    "cutoff": 4.5,
    "cutoff_width": 0.2,
    "cutoff_function": "cosine",
    "num_neighbors_adaptive": None,
    "cutoff_width_adaptive": 1.0,
    "adaptive_cutoff_method": "solver",
    "featurizer": "residual",
    "num_message_passing_layers": 2,
    "num_attention_layers": 2,
    "edge_width": 256,
    "node_width": 256,
    "feedforward_width": 512,
    "num_heads": 8,
    "attention_temperature": 1.0,
    "normalization": "LayerNorm",
    "activation": "SiLU",
    "transformer_type": "PostLN",
    "element_properties": False,
}


def _model_1_to_2(checkpoint: dict[str, Any]) -> None:
    """Add the choice of the encoder and of its features of elements, as they were."""
    added = {
        "encoder": "graph_transformer",
        "element_properties": False,
        "point_edge_transformer": _POINT_EDGE_TRANSFORMER,
    }
    data = checkpoint["model_data"]
    # some were written with these options before they had a version of their own
    data["model_hypers"] = {**added, **data["model_hypers"]}


MODEL_UPGRADES: dict[int, Upgrade] = {1: _model_1_to_2}
