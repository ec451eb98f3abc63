"""Exporting a trained model for simulation engines."""

import copy
import json
import math
from typing import Any, Optional

import torch
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata
from metatrain.utils.dtype import dtype_to_str
from metatrain.utils.metadata import merge_metadata

from electrain.interface.band_labels import labels_to_bands
from electrain.interface.quantities import quantity_of
from electrain.nn.low_rank import find_low_rank, merge_low_rank
from electrain.training.silencing import silence_warnings


def export_model(model: Any, metadata: Optional[ModelMetadata]) -> AtomisticModel:
    """Convert a model to a metatomic model, with merged low-rank updates and the axes of spectra in the metadata.

    :raises ValueError: for a model in an unsupported precision.
    """
    silence_warnings()  # also while metatrain saves the model
    if find_low_rank(model.network) is not None:
        model = copy.deepcopy(model)
        merge_low_rank(model.network)
    dtype = next(model.network.parameters()).dtype
    if dtype not in model.__supported_dtypes__:
        raise ValueError(f"the model has dtype {dtype}, expected one of {model.__supported_dtypes__}")
    model.to(dtype)
    # The baseline's TensorMaps are not buffers, so `to` does not move them.
    model.additive_models[0].weights_to(torch.device("cpu"), torch.float64)
    capabilities = ModelCapabilities(
        outputs=model.outputs,
        atomic_types=model.atomic_types,
        interaction_range=_interaction_range(model),
        length_unit=model.dataset_info.length_unit,
        supported_devices=model.__supported_devices__,
        dtype=dtype_to_str(dtype),
    )
    # A copy: without metadata from the user, merging would change the object of the class, shared by all models.
    merged = copy.deepcopy(merge_metadata(model.metadata, metadata))
    if model.axis is not None:
        merged.extra = {**merged.extra, "energy_grid": json.dumps(model.axis.to_dict())}
    if model.fixed_axes:
        axes = {name: axis.to_dict() for name, axis in model.fixed_axes.items()}
        merged.extra = {**merged.extra, "fixed_axes": json.dumps(axes)}
    shapes = _shapes_of_bands(model)
    if shapes:
        merged.extra = {**merged.extra, "bands": json.dumps(shapes)}
    if model.optional_inputs():
        merged.extra = {**merged.extra, "optional_inputs": json.dumps(model.optional_inputs())}
    return AtomisticModel(model.eval(), merged, capabilities)


def _shapes_of_bands(model: Any) -> dict[str, dict[str, int]]:
    """Numbers of bands and k-points by target."""
    targets = model.dataset_info.targets
    names = [name for name in targets if quantity_of(name).is_bands]
    return {name: labels_to_bands(targets[name].layout.block().properties)._asdict() for name in names}


def _interaction_range(model: Any) -> float:
    if model.long_range is not None:
        return math.inf
    repulsion_ranges = [float(baseline.cutoff_radius) for baseline in list(model.additive_models)[1:]]
    return max([model.network.interaction_range(), *repulsion_ranges])
