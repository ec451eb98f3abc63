"""What checkpoints hold of a model, and upgrades of old ones, one function per version step."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metatrain.utils.metadata import merge_metadata

from electrain.files.checkpoints import read_checkpoint
from electrain.nn.low_rank import LowRank, add_low_rank, find_low_rank, merge_low_rank

from .element_spectra import add_element_spectra

Upgrade = Callable[[dict[str, Any]], None]


def write_model(model: Any) -> dict[str, Any]:
    """Everything that :func:`read_model` needs."""
    state = model.state_dict()
    low_rank = find_low_rank(model.network)
    return {
        "architecture_name": "pet_mad",
        "model_ckpt_version": model.__checkpoint_version__,
        "metadata": model.metadata,
        "model_data": {
            "model_hypers": model.hypers,
            "dataset_info": model.dataset_info,
            "low_rank": None if low_rank is None else low_rank._asdict(),
            "element_spectra": model.element_spectra is not None,
        },
        "epoch": None,
        "best_epoch": None,
        "model_state_dict": state,
        "best_model_state_dict": state,
    }


def read_model(model_class: Any, checkpoint: dict[str, Any], context: str) -> Any:
    """Rebuild a model: its latest state to restart, its best one to finetune or export.

    Low-rank updates stay apart from the weights to restart, and are merged with them otherwise.

    :raises ValueError: for another context.
    """
    if context == "restart":
        logging.info(f"Using latest model from epoch {checkpoint['epoch']}")
        state = checkpoint["model_state_dict"]
    elif context in ("finetune", "export"):
        logging.info(f"Using best model from epoch {checkpoint['best_epoch']}")
        state = checkpoint["best_model_state_dict"]
    else:
        raise ValueError(f"context must be 'restart', 'finetune' or 'export', got {context!r}")
    data = checkpoint["model_data"]
    model = model_class(hypers=data["model_hypers"], dataset_info=data["dataset_info"])
    if data["low_rank"] is not None:
        add_low_rank(model.network, LowRank(**data["low_rank"]))
    if data["element_spectra"]:
        add_element_spectra(model)
    dtype = next(value.dtype for name, value in state.items() if name.startswith("network."))
    model.to(dtype).load_state_dict(state)
    if context != "restart":
        merge_low_rank(model.network)
    model.additive_models[0].sync_tensor_maps()
    model.scaler.sync_tensor_maps()
    model.metadata = merge_metadata(model.metadata, checkpoint.get("metadata"))
    return model


def checked_origin(path: str) -> str:
    """The path of a checkpoint to fine-tune, once it is known to be one of this architecture.

    Without this, metatrain would hand another architecture's model our hyperparameters. A missing file is for it to
    report: to restart, the file is not needed any more. It is read without running anything that is in it, before
    metatrain opens it the usual way.

    :raises ValueError: for a checkpoint of another architecture, or one that asks for code.
    """
    if Path(path).is_file():
        name = read_checkpoint(path).get("architecture_name")
        if name != "pet_mad":
            raise ValueError(
                f"{path} is a checkpoint of the architecture {name!r}, expected 'pet_mad'; "
                "`electrain convert IN.ckpt OUT.ckpt` turns metatrain's `pet` checkpoints into such"
            )
    return path


def upgrade_model(checkpoint: dict[str, Any], current: int) -> dict[str, Any]:
    """Bring a model checkpoint to version ``current``.

    :raises RuntimeError: if its version is unknown.
    """
    return _upgrade(checkpoint, "model", _MODEL_UPGRADES, current)


def upgrade_trainer(checkpoint: dict[str, Any], current: int) -> dict[str, Any]:
    """Bring a trainer checkpoint to version ``current``.

    :raises RuntimeError: if its version is unknown.
    """
    return _upgrade(checkpoint, "trainer", _TRAINER_UPGRADES, current)


def _model_1_to_2(checkpoint: dict[str, Any]) -> None:
    """Low-rank updates; an optional repulsion of the nuclei."""
    data = checkpoint["model_data"]
    data["low_rank"] = None
    data["model_hypers"] = {**data["model_hypers"], "zbl": False}


def _model_2_to_3(checkpoint: dict[str, Any]) -> None:
    """More inputs and features; what the band gap is read from; spectra of elements."""
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


def _trainer_1_to_2(checkpoint: dict[str, Any]) -> None:
    """Which parameters are trained; a choice of learning-rate schedules and of the precision of matrix products."""
    checkpoint["trainable_parameters"] = None
    added = {"learning_rate_schedule": "step_halving", "matmul_precision": "highest"}
    checkpoint["train_hypers"] = {**checkpoint["train_hypers"], **added}


def _trainer_2_to_3(checkpoint: dict[str, Any]) -> None:
    """Whether CUDA graphs are recorded."""
    checkpoint["train_hypers"] = {**checkpoint["train_hypers"], "cuda_graphs": False}


_MODEL_UPGRADES: dict[int, Upgrade] = {1: _model_1_to_2, 2: _model_2_to_3}
_TRAINER_UPGRADES: dict[int, Upgrade] = {1: _trainer_1_to_2, 2: _trainer_2_to_3}


def _upgrade(checkpoint: dict[str, Any], kind: str, upgrades: dict[int, Upgrade], current: int) -> dict[str, Any]:
    key = f"{kind}_ckpt_version"
    while checkpoint[key] != current:
        if checkpoint[key] not in upgrades:
            raise RuntimeError(
                f"Unable to upgrade the checkpoint: the checkpoint is using {kind} version {checkpoint[key]}, "
                f"while the current {kind} version is {current}."
            )
        upgrades[checkpoint[key]](checkpoint)
        checkpoint[key] += 1
    return checkpoint
