"""Data loaders, whose batches are rotated, have neighbor lists, and targets without baselines and scales."""

import copy
import logging
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols
from ase.formula import Formula
from metatensor.torch import TensorBlock, TensorMap
from metatomic.torch import System
from metatrain.scaler import train_or_load_scaler
from metatrain.utils.additive import get_remove_additive_transform
from metatrain.utils.augmentation import O3Augmenter
from metatrain.utils.data import Dataset, TargetInfo, get_num_workers, validate_num_workers
from metatrain.utils.neighbor_lists import get_requested_neighbor_lists
from metatrain.utils.scaler import get_remove_scale_transform
from metatrain.utils.system_data import get_system_data_transform
from torch.utils.data import DataLoader, Subset

from electrain.interface.quantities import quantity_of
from electrain.interface.states import K_POINTS

from .composition import Datasets, as_floats, fit_composition
from .drawing import Collate, DrawnStructures, Shares
from .hypers import TrainerHypers
from .keeping import ROOM, KeptStructures
from .processes import Process

_EXACT = 1e-10  # of the largest number of an element; smaller deviations from a fit are round-off


class Batches:
    """This process's shares of the batches of one or several data sets, drawn again for every iteration.

    metatrain's ``CombinedDataLoader`` prepares an epoch as soon as the previous one has ended. Here, everything depends
    on the seed of the epoch itself, so that a restarted training sees the same batches.

    :param loaders: one for each data set.
    :param shuffle: whether to use the data sets in random order.
    """

    def __init__(self, loaders: list[DataLoader], shuffle: bool) -> None:
        self.loaders = loaders
        self.shuffle = shuffle

    def __len__(self) -> int:
        return sum(len(loader) for loader in self.loaders)

    def __iter__(self) -> Iterator[Any]:
        order = np.repeat(np.arange(len(self.loaders)), [len(loader) for loader in self.loaders])
        if self.shuffle:
            np.random.shuffle(order)
        iterators = [iter(loader) for loader in self.loaders]
        for loader in order:
            yield next(iterators[loader])


class Loaders(NamedTuple):
    """Batches of both sets, and the samplers that depend on the epoch."""

    train: Batches
    validation: Batches
    epoch_samplers: list[Any]


def fit_baselines(model: Any, train_datasets: Datasets, hypers: TrainerHypers, process: Process, folder: str) -> None:
    """Fit the composition baseline and the scales of the model's targets, if it has any."""
    for additive_model in model.additive_models:
        additive_model.to(dtype=torch.float64)
    model.scaler.to(dtype=torch.float64)
    if model.additive_models[0].outputs:
        fit_composition(model, train_datasets, hypers, process, folder)
    if hypers["scale_targets"] and model.scaler.outputs:
        train_or_load_scaler(
            scaler=model.scaler,
            fixed_weights=as_floats(hypers["fixed_scaling_weights"]),
            train_datasets=train_datasets,
            additive_models=model.additive_models,
            batch_size=hypers["batch_size"],
            is_distributed=process.is_distributed,
            checkpoint_dir=folder,
            per_structure_targets=intensive_targets(model.dataset_info.targets, hypers["per_structure_targets"]),
        )
        _warn_of_exact_fits(model)


def _warn_of_exact_fits(model: Any) -> None:
    """Warn of targets that the composition baseline fits exactly: nothing sets their scale."""
    composition = model.additive_models[0].model
    for name, scales in model.scaler.model.per_target_scales.items():
        if name not in composition.weights:
            continue
        scale, largest = _largest(scales), _largest(composition.weights[name])
        if scale < _EXACT * largest:
            logging.warning(
                f"One number for each element fits {name!r} of all training structures exactly, because there are too "
                "few of them. Errors, also of forces, are divided by what is left, so this training will fail: leave "
                "the target out, add structures, or set `scale_targets: false`"
            )


def _largest(numbers: TensorMap) -> float:
    return max(float(block.values.abs().max()) for block in numbers)


def make_loaders(
    model: Any,
    targets: dict[str, TargetInfo],
    train_datasets: Datasets,
    val_datasets: Datasets,
    hypers: TrainerHypers,
    process: Process,
) -> Loaders:
    """Set up shuffled training batches (randomly rotated if requested) and validation batches.

    Each holds the share of this process, or is ``None`` if the process has none.
    """
    neighbor_lists = get_requested_neighbor_lists(model)
    transforms = _shared_transforms(model, targets, process.device)
    for part, datasets in (("training", train_datasets), ("validation", val_datasets)):
        _warn_of_missing_inputs(list(model.requested_inputs()), "0 and 1", part, datasets)
        systems = [name for name in model.optional_inputs() if name != K_POINTS]
        _warn_of_missing_inputs(systems, "0 (unknown) for all structures", part, datasets)
        _check_k_points(targets, part, datasets)
    augmenter = O3Augmenter(target_info_dict=targets, extra_data_info_dict=model.dataset_info.extra_data)
    collate = Collate(list(targets), transforms, augmenter)
    num_workers = get_num_workers() if hypers["num_workers"] is None else hypers["num_workers"]
    validate_num_workers(num_workers)

    def load(dataset: Dataset | Subset, shares: Shares) -> DataLoader:
        # datasets and transforms cannot be sent to workers that are not forked
        start = "fork" if num_workers > 0 else None
        # workers begin anew in every epoch, with nothing kept
        kept = KeptStructures(dataset, neighbor_lists, 0 if num_workers > 0 else ROOM)
        drawn: Any = DrawnStructures(kept)
        return DataLoader(
            drawn, batch_sampler=shares, collate_fn=collate, num_workers=num_workers, multiprocessing_context=start
        )

    rotate = hypers["rotational_augmentation"]
    train = [Shares(dataset, hypers, process, shuffle=True, rotate=rotate) for dataset in train_datasets]
    validation = [Shares(dataset, hypers, process, shuffle=False, rotate=False) for dataset in val_datasets]
    return Loaders(
        train=Batches(list(map(load, train_datasets, train)), shuffle=True),
        validation=Batches(list(map(load, val_datasets, validation)), shuffle=False),
        epoch_samplers=[shares.by_atoms for shares in train if shares.by_atoms is not None],
    )


def _warn_of_missing_inputs(inputs: list[str], defaults: str, part: str, datasets: Datasets) -> None:
    for dataset in datasets:
        missing = [name for name in inputs if len(dataset) > 0 and name not in dataset[0]._fields]
        if missing:
            logging.warning(
                f"The model reads {' and '.join(missing)}, but the {part} set has none (`extra_data`); using {defaults}"
            )


def _check_k_points(targets: Iterable[str], part: str, datasets: Datasets) -> None:
    for dataset in datasets:
        fields = dataset[0]._fields if len(dataset) > 0 else ()
        bands = [name for name in targets if quantity_of(name).is_bands and name in fields]
        if bands and K_POINTS not in fields:
            raise ValueError(
                f"the {part} set has {bands[0]}, but not the k-points of the bands; add them as `extra_data`:\n\n"
                f"  extra_data:\n    {K_POINTS}:\n      key: k_points\n      type: scalar\n      sample_kind: system\n"
                "      num_subtargets: 768  # three coordinates of each k-point"
            )


def _shared_transforms(model: Any, targets: dict[str, TargetInfo], device: torch.device) -> list[Any]:
    """Inputs, and targets without baselines and scales; loader processes work in float64 on the CPU."""
    stresses = [name for name in targets if quantity_of(name).per_volume]

    def refuse_stress_without_volume(systems: Any, batch_targets: Any, extra: Any) -> Any:
        for name in stresses:
            if name in batch_targets:
                check_volumes(name, systems, batch_targets[name].block())
        return systems, batch_targets, extra

    transforms: list[Any] = []
    inputs = [*model.requested_inputs(), *model.optional_inputs()]
    if inputs:
        transforms.append(get_system_data_transform(inputs))
    if stresses:
        transforms.append(refuse_stress_without_volume)
    baseline, scaler = model.additive_models[0], model.scaler
    if baseline.outputs:
        baseline.weights_to(device="cpu", dtype=torch.float64)
        on_cpu = copy.deepcopy(model.additive_models.to(dtype=torch.float64, device="cpu"))
        model.additive_models.to(device)
        baseline.weights_to(device=device, dtype=torch.float64)
        transforms.append(get_remove_additive_transform(on_cpu, targets))
    if scaler.outputs:
        scaler.scales_to(device="cpu", dtype=torch.float64)
        scaler_on_cpu = copy.deepcopy(scaler.to(dtype=torch.float64, device="cpu"))
        scaler.to(device)
        scaler.scales_to(device=device, dtype=torch.float64)
        remove_scales = get_remove_scale_transform(scaler_on_cpu)
        scaled = set(scaler.outputs)

        def remove_known_scales(systems: Any, batch_targets: Any, extra: Any) -> Any:
            known = {name: target for name, target in batch_targets.items() if name in scaled}
            batch_targets.update(remove_scales(systems, known, extra)[1])
            return systems, batch_targets, extra

        transforms.append(remove_known_scales)
    return transforms


def check_volumes(name: str, systems: list[System], stress: TensorBlock) -> None:
    """Raise a ``ValueError`` if a structure that is not periodic in three directions has a stress."""
    for system, values in zip(systems, stress.values, strict=True):
        if bool(torch.isfinite(values).any()) and float(torch.linalg.det(system.cell)) == 0.0:
            symbols = Formula.from_list([chemical_symbols[int(number)] for number in system.types])
            raise ValueError(
                f"target {name!r} has a value for {symbols:metal}, which is not periodic in all three directions "
                f"(pbc {system.pbc.tolist()}) and has no volume; leave the value out (NaN)"
            )


def intensive_targets(names: Iterable[str], per_structure: list[str]) -> list[str]:
    """Return the targets whose errors are per structure: those requested, and those that do not grow with its size."""
    own = [name for name in names if quantity_of(name).intensive or quantity_of(name).per_volume]
    return list(dict.fromkeys([*per_structure, *own]))
