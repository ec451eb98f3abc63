"""Layouts of predictions: which blocks, components and properties each target's TensorMap has."""

import math

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.utils.data import DatasetInfo, TargetInfo

from electrain.axis_labels import grid_to_labels, labels_to_grid
from electrain.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL, FROM_DENSITY_OF_STATES
from electrain.spectra.grid import EnergyGrid

from .documentation import ModelHypers


class OutputLayout(torch.nn.Module):
    """Splits a head's values into the blocks of a target and labels them.

    :param layout: the target's layout, an empty TensorMap.
    """

    # TorchScript: the types of lists are read from the class
    components: list[list[Labels]]
    properties: list[Labels]
    shapes: list[list[int]]
    sizes: list[int]

    def __init__(self, layout: TensorMap) -> None:
        super().__init__()
        self.keys = layout.keys
        self.components = [block.components for block in layout.blocks()]
        self.properties = [block.properties for block in layout.blocks()]
        self.shapes = [
            [len(labels) for labels in block.components] + [len(block.properties)] for block in layout.blocks()
        ]
        self.sizes = [math.prod(shape) for shape in self.shapes]

    @property
    @torch.jit.unused
    def size(self) -> int:
        """Number of values per sample, over all blocks."""
        return sum(self.sizes)

    def forward(self, values: torch.Tensor, samples: Labels) -> TensorMap:
        """(num_samples, size) values -> TensorMap."""
        if self.keys.values.device != values.device:
            self._to_device(values.device)
        blocks: list[TensorBlock] = []
        for i, block_values in enumerate(values.split(self.sizes, dim=1)):
            blocks.append(
                TensorBlock(
                    values=block_values.reshape([-1] + self.shapes[i]),
                    samples=samples,
                    components=self.components[i],
                    properties=self.properties[i],
                )
            )
        return TensorMap(self.keys, blocks)

    def _to_device(self, device: torch.device) -> None:
        self.keys = self.keys.to(device)
        self.components = [[labels.to(device) for labels in components] for components in self.components]
        self.properties = [labels.to(device) for labels in self.properties]


def add_contribution(prediction: TensorMap, contribution: TensorMap) -> TensorMap:
    """Add a baseline, which may lack some of the prediction's blocks and samples.

    It has invariant blocks only, and no rows for structures of which no atom was asked for.
    """
    blocks: list[TensorBlock] = []
    for key, block in prediction.items():
        values = block.values
        if key in contribution.keys:
            other = contribution.block(key)
            added = other.values.to(dtype=values.dtype, device=values.device)
            values = values.index_add(0, _positions(other.samples, block.samples), added)
        blocks.append(TensorBlock(values, block.samples, block.components, block.properties))
    return TensorMap(prediction.keys, blocks)


def _positions(entries: Labels, labels: Labels) -> torch.Tensor:
    """Where each of the entries stands among the labels, all of which are there."""
    if entries == labels:
        return torch.arange(len(entries), device=labels.values.device)
    _, of_entries, of_labels = entries.intersection_and_mapping(labels)
    # the mappings go from either labels to their intersection, -1 for labels outside of it
    rows = torch.nonzero(of_labels >= 0).squeeze(1)
    row_of_common = torch.empty_like(rows)
    row_of_common[of_labels[rows]] = rows
    return row_of_common[of_entries]


def check_target(name: str, info: TargetInfo, grid: EnergyGrid | None) -> None:
    """Raise a ``ValueError`` for a target that the architecture cannot predict, or that contradicts the grid."""
    if info.is_atomic_basis:
        raise ValueError(f"target {name!r} is expanded in an atomic basis, which pet_mad does not support")
    if name == DENSITY_OF_STATES:
        _check_density_of_states(info, grid)
    if name in FROM_DENSITY_OF_STATES:
        num_values = sum(math.prod(shape) for shape in info.blocks_shape.values())
        if not info.is_scalar or info.sample_kind != "system" or num_values != 1:
            raise ValueError(
                f"target {name!r} must be one scalar per structure, got {num_values} per {info.sample_kind}"
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


def check_target_set(names: list[str]) -> None:
    """Raise a ``ValueError`` if a target is missing that another one is read from."""
    for name in (BAND_GAP, FERMI_LEVEL):
        if name in names and DENSITY_OF_STATES not in names:
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


def without_electronic_structure(dataset_info: DatasetInfo) -> DatasetInfo:
    """The targets that have baselines and scales: those not given by or read from a density of states."""
    targets = {
        name: info
        for name, info in dataset_info.targets.items()
        if name != DENSITY_OF_STATES and name not in FROM_DENSITY_OF_STATES
    }
    return DatasetInfo(dataset_info.length_unit, sorted(dataset_info.atomic_types), targets)


def energy_grid(hypers: ModelHypers) -> EnergyGrid | None:
    """The grid in the hyperparameters, if there is one."""
    settings = hypers["energy_grid"]
    return None if settings is None else EnergyGrid(settings["start"], settings["step"], settings["size"])
