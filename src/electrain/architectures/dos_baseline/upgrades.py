"""Upgrades of older checkpoints, one function for each step."""

from typing import Any

from electrain.files.upgrades import Upgrade
from electrain.nn.shifted_spectra import without_floor


def _model_1_to_2(checkpoint: dict[str, Any]) -> None:
    """Add the floor of what is squared in heads of spectra, which had none."""
    for key in ("model_state_dict", "best_model_state_dict"):
        if checkpoint[key] is not None:
            without_floor(checkpoint[key])


MODEL_UPGRADES: dict[int, Upgrade] = {1: _model_1_to_2}
