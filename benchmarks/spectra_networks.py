"""The networks that are compared on spectra on a fixed axis, with their options."""

from typing import Any

import yaml

from electrain.data.options import network_lines
from electrain.data.recipes import recipe_for

WIDTH = 256


def networks(num_train: int, cutoff: float = 5.0) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name -> architecture and hyperparameters of its network: the paper's, and those that `prepare` writes.

    :param num_train: number of training structures.
    :param cutoff: of the graph networks, in Angstrom.
    """
    few_data = yaml.safe_load("\n".join(network_lines(recipe_for(num_train), num_train)))
    few_data.pop("band_gap_from", None)
    graph: dict[str, Any] = {"cutoff": cutoff, "width": WIDTH}
    transformer: dict[str, Any] = {**graph, "energy_width": WIDTH}
    two_layer = {"network": "two_layer", "energy_embeddings": False, "neighbor_masses": True, "cutoff": 6.0}
    return {
        "MLP": ("dos_baseline", {"network": "mlp", "energy_embeddings": False, **graph}),
        "MLP, energy embeddings": ("dos_baseline", {"network": "mlp", "energy_embeddings": True, **graph}),
        "graph network": ("dos_baseline", {"network": "graph", "energy_embeddings": False, **graph}),
        "graph network, energy embeddings": ("dos_baseline", {"network": "graph", "energy_embeddings": True, **graph}),
        "DOSTransformer": ("dos_transformer", transformer),
        "DOSTransformer, crystal systems": ("dos_transformer", {**transformer, "crystal_system_prompt": True}),
        "two-layer network": ("dos_baseline", {**two_layer, "width": WIDTH, "dropout": 0.1}),
        "PET-MAD": ("pet_mad", few_data),
    }
