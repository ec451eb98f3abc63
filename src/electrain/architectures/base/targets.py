"""Targets that a model can have, checked against the table of quantities and the energy axis."""

import math

from metatensor.torch import TensorBlock, TensorMap
from metatrain.utils.data import DatasetInfo, TargetInfo

from electrain.interface.axis_labels import grid_to_labels, labels_to_grid
from electrain.interface.quantities import BAND_GAP, Quantity, quantity_of
from electrain.spectra.axis import EnergyAxis

from .hypers import SpectralModelHypers

_HINT = "; `electrain prepare` writes the right one into the options.yaml beside the data"
_PER = {"atom": "per atom", "system": "per structure"}


def axis_of(hypers: SpectralModelHypers) -> EnergyAxis | None:
    """Return the energy axis in the hyperparameters, if there is one.

    :raises ValueError: if it is invalid.
    """
    settings = hypers["energy_grid"]
    return None if settings is None else EnergyAxis.from_dict(settings)


def spectrum_read_for(name: str, hypers: SpectralModelHypers) -> str | None:
    """Return the predicted spectrum from which a target is read, if any."""
    if name == BAND_GAP and hypers["band_gap_from"] == "atoms":
        return None
    return quantity_of(name).read_from


def check_target_set(names: list[str], hypers: SpectralModelHypers) -> None:
    """Raise a ``ValueError`` if a target from which another one is read is missing."""
    for name in names:
        spectrum = spectrum_read_for(name, hypers)
        if spectrum is not None and spectrum not in names:
            raise ValueError(
                f"target {name!r} is read from the predicted {quantity_of(spectrum).label}: "
                f"the model also needs the target {spectrum!r}, got {names}"
            )


def checked_dataset_info(dataset_info: DatasetInfo, axis: EnergyAxis | None) -> DatasetInfo:
    """Check all targets, and set the energy axis of spectra if the dataset's labels lack it.

    :raises ValueError: for a target that no model can predict, or one that contradicts the axis.
    """
    if not dataset_info.atomic_types:
        raise ValueError("expected at least one element, got none; `atomic_types` in `architecture` must not be []")
    targets = {}
    for name, info in dataset_info.targets.items():
        quantity = quantity_of(name)
        check_target(name, info, quantity, axis)
        targets[name] = info
        if quantity.is_spectrum and axis is not None:
            block = info.layout.block()
            with_axis = TensorBlock(block.values, block.samples, block.components, grid_to_labels(axis.grid))
            layout = TensorMap(info.layout.keys, [with_axis])
            targets[name] = TargetInfo(layout, info.quantity, info.unit, info.description)
    return DatasetInfo(
        dataset_info.length_unit, sorted(dataset_info.atomic_types), targets, extra_data=dataset_info.extra_data
    )


def check_target(name: str, info: TargetInfo, quantity: Quantity, axis: EnergyAxis | None) -> None:
    """Raise a ``ValueError`` for a target that no model can predict, or one that contradicts the axis."""
    if info.is_atomic_basis:
        raise ValueError(f"target {name!r} is expanded in an atomic basis, which electrain does not support")
    if quantity.is_spectrum:
        _check_spectrum(name, info, quantity, axis)
    elif quantity.shape:
        _check_cartesian(name, info, quantity)
    elif quantity.intensive:
        num_values = sum(math.prod(shape) for shape in info.blocks_shape.values())
        if not info.is_scalar or info.sample_kind != "system" or num_values != 1:
            raise ValueError(
                f"target {name!r} must be one scalar per structure, got {num_values} per {info.sample_kind}"
            )


def _check_cartesian(name: str, info: TargetInfo, quantity: Quantity) -> None:
    shape = list(quantity.shape or ())
    blocks = list(info.layout.blocks())
    found = [len(labels) for labels in blocks[0].components]
    fits = len(blocks) == 1 and found == shape and len(blocks[0].properties) == 1
    if not fits or info.sample_kind != quantity.sample_kind:
        raise ValueError(
            f"target {name!r} must be a Cartesian tensor of shape {shape} {_PER[quantity.sample_kind]}, got "
            f"{len(blocks)} block(s), the first of shape {found} with {len(blocks[0].properties)} properties, "
            f"{_PER.get(info.sample_kind, info.sample_kind)}"
        )


def _check_spectrum(name: str, info: TargetInfo, quantity: Quantity, axis: EnergyAxis | None) -> None:
    if not info.is_scalar or info.sample_kind != quantity.sample_kind:
        raise ValueError(f"target {name!r} must be a list of scalars {_PER[quantity.sample_kind]}")
    properties = info.layout.block().properties
    labelled = labels_to_grid(properties)
    if axis is None:
        found = "" if labelled is None else f"; the dataset's is {labelled}"
        raise ValueError(
            f"target {name!r} needs an energy axis; set `energy_grid` in `architecture.model`{found or _HINT}"
        )
    if len(properties) != axis.grid.size:
        raise ValueError(
            f"target {name!r} has {len(properties)} channels, but `energy_grid` in `architecture.model` has "
            f"{axis.grid.size}: {axis.grid}{_HINT}"
        )
    if labelled is not None and not labelled.is_close(axis.grid):
        raise ValueError(
            f"the energy axis of target {name!r} in the dataset is {labelled}, but the model's `energy_grid` is "
            f"{axis.grid}"
        )
