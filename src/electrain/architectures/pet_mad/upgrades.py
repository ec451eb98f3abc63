"""Upgrades of older checkpoints, one function for each step."""

from typing import Any

from electrain.files.upgrades import Upgrade, weights_of
from electrain.nn.shifted_spectra import without_floor


def _model_1_to_2(checkpoint: dict[str, Any]) -> None:
    """Add low-rank updates and the optional repulsion between nuclei."""
    data = checkpoint["model_data"]
    data["low_rank"] = None
    data["model_hypers"] = {**data["model_hypers"], "zbl": False}


def _model_2_to_3(checkpoint: dict[str, Any]) -> None:
    """Add more inputs and features, the source of the band gap, and spectra of elements."""
    added = {
        "band_gap_from": "density_of_states",
        "system_conditioning": False,
        "max_charge": 10,
        "max_spin_multiplicity": 10,
        "long_range": {
            "enable": False,
            "use_ewald": False,
            "smearing": 1.4,
            "kspace_resolution": 1.33,
            "interpolation_nodes": 5,
        },
    }
    data = checkpoint["model_data"]
    data["model_hypers"] = {**data["model_hypers"], **added}
    data["element_spectra"] = False


def _model_3_to_4(checkpoint: dict[str, Any]) -> None:
    """Use one spelling of cutoff functions; remove an option of long-range features that never had an effect."""
    data = checkpoint["model_data"]
    hypers = dict(data["model_hypers"])
    for name in ("cutoff_function", "adaptive_cutoff_method"):
        hypers[name] = hypers[name].lower()
    hypers["long_range"] = {name: value for name, value in hypers["long_range"].items() if name != "use_ewald"}
    data["model_hypers"] = hypers


def _model_4_to_5(checkpoint: dict[str, Any]) -> None:
    """Add what helps with few data, all switched off."""
    added = {"element_properties": False, "radial_descriptors": None, "spectrum_head": "linear", "dropout": 0.0}
    data = checkpoint["model_data"]
    data["model_hypers"] = {**data["model_hypers"], **added}


def _model_5_to_6(checkpoint: dict[str, Any]) -> None:
    """Add fixed axes, of which there are none."""
    data = checkpoint["model_data"]
    data["model_hypers"] = {**data["model_hypers"], "fixed_axes": {}}


def _model_6_to_7(checkpoint: dict[str, Any]) -> None:
    """Add the floor of what is squared in heads of spectra, which had none."""
    for weights in weights_of(checkpoint):
        without_floor(weights)


def _trainer_1_to_2(checkpoint: dict[str, Any]) -> None:
    """Add the trained parameters, and the choice of learning-rate schedule and precision of matrix products."""
    checkpoint["trainable_parameters"] = None
    added = {"learning_rate_schedule": "step_halving", "matmul_precision": "highest"}
    checkpoint["train_hypers"] = {**checkpoint["train_hypers"], **added}


def _trainer_2_to_3(checkpoint: dict[str, Any]) -> None:
    """Add whether CUDA graphs are recorded."""
    checkpoint["train_hypers"] = {**checkpoint["train_hypers"], "cuda_graphs": False}


def _trainer_3_to_4(checkpoint: dict[str, Any]) -> None:
    """Add weight decay."""
    checkpoint["train_hypers"] = {**checkpoint["train_hypers"], "weight_decay": 0.0}


MODEL_UPGRADES: dict[int, Upgrade] = {
    1: _model_1_to_2,
    2: _model_2_to_3,
    3: _model_3_to_4,
    4: _model_4_to_5,
    5: _model_5_to_6,
    6: _model_6_to_7,
}
TRAINER_UPGRADES: dict[int, Upgrade] = {1: _trainer_1_to_2, 2: _trainer_2_to_3, 3: _trainer_3_to_4}
