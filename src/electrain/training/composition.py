"""The baseline per element, fitted with metatrain even if structures lack some of the targets."""

from pathlib import Path
from typing import Any

import torch
from metatrain.composition import CompositionModel, train_or_load_composition_model
from metatrain.composition import Trainer as CompositionTrainer
from metatrain.utils.data import CollateFn, Dataset, DatasetInfo, unpack_batch
from torch.utils.data import DataLoader, Subset

from .hypers import TrainerHypers
from .processes import Process

Datasets = list[Dataset | Subset]


def fit_composition(model: Any, train_datasets: Datasets, hypers: TrainerHypers, process: Process, folder: str) -> None:
    """Fit the baseline of each target to the structures that have a value of it.

    With metatrain's fit, one missing value (NaN) gives NaN for all elements, so such targets are fitted again, each to
    the structures that have a value.

    :raises ValueError: if no structure has a value, with the target and what to do.
    """
    composition = model.additive_models[0]
    _fit(composition, model, train_datasets, hypers, process)
    for name in _spoiled(composition):
        present = structures_with(train_datasets, name)
        if not present:
            raise ValueError(
                f"target {name!r} has no value (NaN) in any training structure, so no baseline per element can be "
                f"fitted; set one in `architecture.training`: `atomic_baseline: {{{name}: 0.0}}`, or a value per "
                "element"
            )
        info = composition.dataset_info
        alone = CompositionModel(
            {}, DatasetInfo(info.length_unit, composition.atomic_types, {name: info.targets[name]})
        ).to(composition.dummy_buffer.device)
        _fit(alone, model, present, hypers, process)
        composition.model.weights[name] = alone.model.weights[name]
        # The buffer is what checkpoints keep of the weights.
        buffer = name + "_composition_buffer"
        composition.register_buffer(buffer, alone.get_buffer(buffer))
    if folder and process.rank == 0 and not isinstance(hypers["atomic_baseline"], str):
        CompositionTrainer({}).save_checkpoint(composition, Path(folder) / "composition_model.ckpt")


def structures_with(datasets: Datasets, name: str) -> Datasets:
    """Return the structures that have a value of a target."""
    subsets: Datasets = []
    for dataset in datasets:
        indices = []
        for index, batch in enumerate(DataLoader(dataset, batch_size=1, collate_fn=CollateFn([name]))):
            _, targets, _ = unpack_batch(batch)
            if name in targets and all(bool(torch.isfinite(b.values).all()) for b in targets[name].blocks()):
                indices.append(index)
        if indices:
            subsets.append(Subset(dataset, indices))
    return subsets


def as_floats(numbers: Any) -> Any:
    """Return fixed baselines or scales with whole numbers as floats; metatrain takes nothing else for a number."""
    if isinstance(numbers, dict):
        return {name: as_floats(number) for name, number in numbers.items()}
    return float(numbers) if isinstance(numbers, int) else numbers


def _fit(
    composition: CompositionModel, model: Any, datasets: Datasets, hypers: TrainerHypers, process: Process
) -> None:
    train_or_load_composition_model(
        composition_model=composition,
        atomic_baseline=as_floats(hypers["atomic_baseline"]),
        train_datasets=datasets,
        other_additive_models=list(model.additive_models[1:]),
        batch_size=hypers["batch_size"],
        is_distributed=process.is_distributed,
    )


def _spoiled(composition: CompositionModel) -> list[str]:
    """Targets whose baseline is not finite."""
    return [
        name
        for name, weights in composition.model.weights.items()
        if not all(bool(torch.isfinite(block.values).all()) for block in weights.blocks())
    ]
