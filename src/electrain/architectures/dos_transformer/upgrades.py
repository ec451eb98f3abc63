"""Upgrades of older checkpoints, one function for each step."""

from typing import Any

from electrain.files.upgrades import Upgrade


def _model_1_to_2(checkpoint: dict[str, Any]) -> None:
    """Add the prompt for each crystal system, switched off."""
    data = checkpoint["model_data"]
    data["model_hypers"] = {**data["model_hypers"], "crystal_system_prompt": False}


MODEL_UPGRADES: dict[int, Upgrade] = {1: _model_1_to_2}
