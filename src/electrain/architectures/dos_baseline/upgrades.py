"""Upgrades of older checkpoints, one function for each step."""

from typing import Any

from electrain.files.upgrades import Upgrade, weights_of
from electrain.nn.shifted_spectra import without_floor


def _model_1_to_2(checkpoint: dict[str, Any]) -> None:
    """Add the floor of what is squared in heads of spectra, which had none."""
    for weights in weights_of(checkpoint):
        without_floor(weights)


MODEL_UPGRADES: dict[int, Upgrade] = {1: _model_1_to_2}
