"""Layouts of predictions: which blocks, components and properties each target's TensorMap has."""

import math

from metatensor.torch import TensorBlock, TensorMap
from metatomic.torch import ModelCapabilities, ModelOutput
from metatrain.utils.data import DatasetInfo, TargetInfo

from electrain.architectures.pet_mad.documentation import ModelHypers
from electrain.interface.axis_labels import grid_to_labels, labels_to_grid
from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    DIRECT_FORCE,
    DIRECT_FORCE_DEPRECATED,
    DIRECT_STRESS,
    FERMI_LEVEL,
    INTENSIVE,
    base_quantity,
)
from electrain.spectra.grid import EnergyGrid


def check_target(name: str, info: TargetInfo, grid: EnergyGrid | None) -> None:
    """Raise a ``ValueError`` for a target that the architecture cannot predict, or that contradicts the grid."""
    if info.is_atomic_basis:
        raise ValueError(f"target {name!r} is expanded in an atomic basis, which pet_mad does not support")
    quantity = base_quantity(name)
    if quantity in (DIRECT_FORCE, DIRECT_FORCE_DEPRECATED):
        _check_shape(name, info, "atom", [3])
    if quantity == DIRECT_STRESS:
        _check_shape(name, info, "system", [3, 3])
    if name == DENSITY_OF_STATES:
        _check_density_of_states(info, grid)
    if name in INTENSIVE:
        num_values = sum(math.prod(shape) for shape in info.blocks_shape.values())
        if not info.is_scalar or info.sample_kind != "system" or num_values != 1:
            raise ValueError(
                f"target {name!r} must be one scalar per structure, got {num_values} per {info.sample_kind}"
            )


def check_names_and_units(targets: dict[str, TargetInfo]) -> None:
    """Raise a ``ValueError`` for a target that cannot become an output of the exported model.

    metatomic must know its name, and a unit that fits; better heard of before the training than after it.
    """
    for name, info in targets.items():
        try:
            ModelCapabilities(outputs={name: ModelOutput(unit=info.unit)})
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"target {name!r} with unit {info.unit!r} cannot be an output of a model: {reason}"
            ) from None


def _check_shape(name: str, info: TargetInfo, sample_kind: str, components: list[int]) -> None:
    blocks = list(info.layout.blocks())
    found = [len(labels) for labels in blocks[0].components]
    if len(blocks) != 1 or info.sample_kind != sample_kind or found != components or len(blocks[0].properties) != 1:
        per = {"atom": "per atom", "system": "per structure"}
        raise ValueError(
            f"target {name!r} must be a Cartesian tensor of shape {components} {per[sample_kind]}, got "
            f"{len(blocks)} block(s), the first of shape {found} with {len(blocks[0].properties)} properties, "
            f"{per.get(info.sample_kind, info.sample_kind)}"
        )


def _check_density_of_states(info: TargetInfo, grid: EnergyGrid | None) -> None:
    name = DENSITY_OF_STATES
    if not info.is_scalar or info.sample_kind != "system":
        raise ValueError(f"target {name!r} must be a list of scalars per structure")
    properties = info.layout.block().properties
    axis = labels_to_grid(properties)
    if grid is None:
        found = "" if axis is None else f"; the dataset's is {axis}"
        raise ValueError(f"target {name!r} needs its energy axis: set `energy_grid` in `architecture.model`{found}")
    if len(properties) != grid.size:
        raise ValueError(
            f"target {name!r} has {len(properties)} channels, but `energy_grid` in `architecture.model` has "
            f"{grid.size}: {grid}"
        )
    if axis is not None and not axis.is_close(grid):
        raise ValueError(
            f"the energy axis of target {name!r} in the dataset is {axis}, but the model's `energy_grid` is {grid}"
        )


def reads_density_of_states(name: str, hypers: ModelHypers) -> bool:
    """Whether a target is read from the predicted density of states."""
    return name == FERMI_LEVEL or (name == BAND_GAP and hypers["band_gap_from"] == "density_of_states")


def check_target_set(names: list[str], hypers: ModelHypers) -> None:
    """Raise a ``ValueError`` if a target is missing that another one is read from."""
    for name in names:
        if reads_density_of_states(name, hypers) and DENSITY_OF_STATES not in names:
            raise ValueError(
                f"target {name!r} is read from the predicted density of states: "
                f"the model also needs the target {DENSITY_OF_STATES!r}, got {names}"
            )


def checked_dataset_info(dataset_info: DatasetInfo, grid: EnergyGrid | None) -> DatasetInfo:
    """Check all targets, and give the density of states its energy axis if the dataset's labels lack it.

    :raises ValueError: for a target that the architecture cannot predict, or that contradicts the grid.
    """
    targets = {}
    for name, info in dataset_info.targets.items():
        check_target(name, info, grid)
        targets[name] = info
        if name == DENSITY_OF_STATES and grid is not None:
            block = info.layout.block()
            with_axis = TensorBlock(block.values, block.samples, block.components, grid_to_labels(grid))
            layout = TensorMap(info.layout.keys, [with_axis])
            targets[name] = TargetInfo(layout, info.quantity, info.unit, info.description)
    return DatasetInfo(
        dataset_info.length_unit, sorted(dataset_info.atomic_types), targets, extra_data=dataset_info.extra_data
    )


def energy_grid(hypers: ModelHypers) -> EnergyGrid | None:
    """The grid in the hyperparameters, if there is one."""
    settings = hypers["energy_grid"]
    return None if settings is None else EnergyGrid(settings["start"], settings["step"], settings["size"])
