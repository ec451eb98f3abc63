"""Writing models to checkpoints, reading them, and checking checkpoints before fine-tuning."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metatrain.utils.architectures import import_architecture
from metatrain.utils.metadata import merge_metadata

from electrain import __version__
from electrain.files.checkpoints import read_checkpoint
from electrain.nn.low_rank import LowRank, add_low_rank, find_low_rank, merge_low_rank
from electrain.pretrained import checkpoint_in_place_of

from .baselines import fill_tables_of_types
from .names_in_metatrain import open_as


def write_model(model: Any) -> dict[str, Any]:
    """Return everything that :func:`read_model` needs."""
    state = model.state_dict()
    low_rank = find_low_rank(model.network)
    return {
        "architecture_name": model.architecture,
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

    Low-rank updates stay separate from the weights in a restart, and are merged with them otherwise.

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
        model.add_element_spectra()
    dtype = next(value.dtype for name, value in state.items() if name.startswith("network."))
    model.to(dtype).load_state_dict(state)
    fill_tables_of_types(model)  # in files of earlier versions they are not filled
    if context != "restart":
        merge_low_rank(model.network)
    model.additive_models[0].sync_tensor_maps()
    model.scaler.sync_tensor_maps()
    model.metadata = merge_metadata(model.metadata, checkpoint.get("metadata"))
    return model


def checkpoint_of(architecture: str) -> Callable[[str], str]:
    """Make a validator of an option, a checkpoint of this architecture or the name of a known model.

    Without it, metatrain would pass our hyperparameters to another architecture's model. A missing file is left to
    whoever opens it, because a restart no longer needs the file. The file is read without executing any code in it,
    before metatrain opens it in the usual way.

    :return: a function that returns what it is given; from then on, metatrain finds the checkpoint of a known model
        under its name, too.
    :raises ValueError: (the function) for a checkpoint of another architecture, one that references code, one of a
        newer version, or a name that is not known.
    """

    def checked(path: str) -> str:
        try:
            file = checkpoint_in_place_of(path)
        except OSError as error:
            raise ValueError(str(error)) from error
        if file != path:
            open_as(path, file)
        if Path(file).is_file():
            checkpoint = read_checkpoint(file)
            name = checkpoint.get("architecture_name")
            if name != architecture:
                raise ValueError(
                    f"{path} is a checkpoint of the architecture {name!r}, expected {architecture!r}; "
                    "`electrain convert IN.ckpt OUT.ckpt` converts metatrain's `pet` checkpoints to `pet_mad`"
                )
            try:
                check_version(checkpoint)
            except ValueError as error:
                raise ValueError(f"{path} cannot be fine-tuned: {error}") from None
        return path

    return checked


def check_version(checkpoint: dict[str, Any]) -> None:
    """Raise a ``ValueError`` for a checkpoint of a newer version, for which metatrain would ask for a newer metatrain.

    :param checkpoint: a checkpoint of one of our architectures.
    """
    name, version = checkpoint["architecture_name"], checkpoint.get("model_ckpt_version")
    known = import_architecture(name).__model__.__checkpoint_version__
    if isinstance(version, int) and version > known:
        raise ValueError(
            f"it was written by a newer version of {name} (format {version}) than that of electrain {__version__}, "
            f"which reads formats up to {known}; install a newer electrain"
        )
