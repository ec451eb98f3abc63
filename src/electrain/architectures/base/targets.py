"""Targets that a model can have, checked against the table of quantities and the energy axis."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.utils.data import DatasetInfo, TargetInfo

from electrain.interface.axis_labels import grid_to_labels, labels_to_grid
from electrain.interface.band_labels import BandsShape, bands_to_labels, check_bands
from electrain.interface.fixed_axes import check_labels, fixed_axis, fixed_axis_to_labels, learned_axis
from electrain.interface.quantities import BAND_GAP, Quantity, quantity_of
from electrain.nn.shifted_spectra import EDGES, SpectrumChannels
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.fixed_axis import FixedAxis

from .hypers import SpectralModelHypers

_HINT = "; `electrain prepare` writes the right one into the options.yaml beside the data"
_PER = {"atom": "per atom", "system": "per structure"}


def axis_of(hypers: SpectralModelHypers) -> EnergyAxis | None:
    """Return the energy axis in the hyperparameters, if there is one.

    :raises ValueError: if it is invalid.
    """
    settings = hypers["energy_grid"]
    return None if settings is None else EnergyAxis.from_dict(settings)


def fixed_axes_of(hypers: SpectralModelHypers) -> dict[str, FixedAxis]:
    """Return the fixed axes in the hyperparameters, by the names of their targets.

    :raises ValueError: if one is invalid.
    """
    return {name: fixed_axis(name, settings) for name, settings in hypers["fixed_axes"].items()}


def bands_shape_of(hypers: Any) -> BandsShape | None:
    """Return the numbers of bands and k-points in the hyperparameters; ``None`` for a model that predicts no bands."""
    return BandsShape(hypers["num_bands"], hypers["num_k_points"]) if "num_bands" in hypers else None


class HeadOptions(NamedTuple):
    """What the network has to know of a target, see :meth:`~electrain.nn.network.Network.add_output`."""

    kind: str
    channels: SpectrumChannels | None  # of a spectrum
    factor: float  # by which predictions are multiplied, so that it does not matter in which unit the axis is
    is_vector: bool = False


def head_options(
    name: str, info: TargetInfo, axis: EnergyAxis | None, fixed_axes: Mapping[str, FixedAxis]
) -> HeadOptions:
    """Return the options of a target's head."""
    quantity = quantity_of(name)
    kind = "mean" if quantity.intensive else "sum"
    if not quantity.is_spectrum:
        return HeadOptions("bands" if quantity.is_bands else kind, None, 1.0, is_vector(info))
    if quantity.fixed_axis is None:
        assert axis is not None  # see `check_target`
        return HeadOptions(
            kind, SpectrumChannels(axis.grid.size, axis.grid.step, axis.middle_reference, axis.smearing), 1.0
        )
    known = fixed_axes[name]
    own = learned_axis(name, known)
    # phonons have no gap that could open between two parts
    edges = EDGES if quantity.fixed_axis == "energy" else ()
    channels = SpectrumChannels(own.size, own.step, -own.start / own.step, None, edges)
    return HeadOptions(kind, channels, 1.0 if quantity.intensive else own.step / known.step)


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


def checked_dataset_info(dataset_info: DatasetInfo, hypers: SpectralModelHypers, model: Any) -> DatasetInfo:
    """Check all targets, and label spectra and bands if the dataset's labels only number their values.

    :param hypers: of the model, with the axes of spectra and the numbers of bands and k-points.
    :param model: the class of the model, with ``architecture`` and ``tensors``.
    :raises ValueError: for a target that the model cannot predict, or one that contradicts its hyperparameters.
    """
    axis, fixed_axes, bands = axis_of(hypers), fixed_axes_of(hypers), bands_shape_of(hypers)
    if not dataset_info.atomic_types:
        raise ValueError("expected at least one element, got none; `atomic_types` in `architecture` must not be []")
    targets = {}
    for name, info in dataset_info.targets.items():
        quantity = quantity_of(name)
        check_target(name, info, quantity, axis, fixed_axes)
        _check_tensor(name, info, model)
        targets[name] = info
        if quantity.is_on_energy_grid and axis is not None:
            targets[name] = _with_properties(info, grid_to_labels(axis.grid))
        elif quantity.is_spectrum:
            targets[name] = _with_properties(info, fixed_axis_to_labels(fixed_axes[name]))
        elif quantity.is_bands:
            if bands is None:
                raise ValueError(
                    f"target {name!r} is predicted for k-points, which {model.architecture!r} does not read; use "
                    "'bandformer'"
                )
            check_bands(name, info.layout.block().properties, bands)
            targets[name] = _with_properties(info, bands_to_labels(bands))
    return DatasetInfo(
        dataset_info.length_unit, sorted(dataset_info.atomic_types), targets, extra_data=dataset_info.extra_data
    )


def is_vector(info: TargetInfo) -> bool:
    """Whether a target is a Cartesian vector, or several."""
    return bool(info.is_cartesian) and len(info.layout.block().components) == 1


def _check_tensor(name: str, info: TargetInfo, model: Any) -> None:
    if info.is_scalar or model.tensors == "all":
        return
    if model.tensors == "none":
        raise ValueError(
            f"target {name!r} is a vector or tensor, which turns with the structure, but {model.architecture!r} "
            "predicts scalars and spectra only; use 'pet_mad'"
        )
    if not is_vector(info):
        raise ValueError(
            f"target {name!r} is a tensor, but {model.architecture!r} predicts scalars, spectra and Cartesian vectors "
            "only; use 'pet_mad'"
        )


def _with_properties(info: TargetInfo, properties: Labels) -> TargetInfo:
    block = info.layout.block()
    layout = TensorMap(info.layout.keys, [TensorBlock(block.values, block.samples, block.components, properties)])
    return TargetInfo(layout, info.quantity, info.unit, info.description)


def check_target(
    name: str,
    info: TargetInfo,
    quantity: Quantity,
    axis: EnergyAxis | None,
    fixed_axes: Mapping[str, FixedAxis],
) -> None:
    """Raise a ``ValueError`` for a target that no model can predict, or one that contradicts its axis."""
    if info.is_atomic_basis:
        raise ValueError(f"target {name!r} is expanded in an atomic basis, which electrain does not support")
    several = quantity.is_spectrum or quantity.is_bands
    if several and (not info.is_scalar or info.sample_kind != quantity.sample_kind):
        raise ValueError(f"target {name!r} must be a list of scalars {_PER[quantity.sample_kind]}")
    if quantity.is_spectrum:
        if quantity.fixed_axis is None:
            _check_energy_grid(name, info, axis)
        elif name not in fixed_axes:
            raise ValueError(
                f"target {name!r} needs an axis; set `fixed_axes` in `architecture.model`, such as\n\n"
                f"  fixed_axes:\n    {name}: {{start: 0.0, step: 20.0, size: {len(info.layout.block().properties)}, "
                f"unit: cm^-1}}"
            )
        else:
            check_labels(name, info.layout.block().properties, fixed_axes[name], "`fixed_axes` of the model")
    elif quantity.shape:
        _check_cartesian(name, info, quantity)
    elif quantity.intensive and not quantity.is_bands:
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


def _check_energy_grid(name: str, info: TargetInfo, axis: EnergyAxis | None) -> None:
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
