"""Checks of options against the data and the model, before anything is computed."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from metatrain.utils.data import TargetInfo, get_atomic_types
from omegaconf import OmegaConf

from electrain.files.own_files import expecting, read_json
from electrain.interface.band_labels import labels_to_bands
from electrain.interface.manifests import (
    MANIFEST,
    REMEDY,
    axis_from_manifest,
    bands_from_manifest,
    fixed_axes_from_manifest,
)
from electrain.interface.option_types import did_you_mean
from electrain.interface.quantities import quantity_of
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.fixed_axis import FixedAxis

from .composition import Datasets
from .hypers import TrainerHypers

# metatrain writes the complete options into the folder of checkpoints before it calls a trainer.
_COMPLETE_OPTIONS = "options_restart.yaml"
_AXIS = ("start", "step", "size", "max_shift", "smearing")


def check_epochs(hypers: TrainerHypers, done: int, new_targets: list[str]) -> None:
    """Check that there is something left to train.

    :param done: number of epochs before a restart.
    :param new_targets: targets whose heads are not trained yet.
    :raises ValueError: if their heads would be exported untrained.
    """
    total, warmup = hypers["num_epochs"], hypers["warmup_epochs"]
    if warmup >= total:
        logging.warning(
            f"The learning rate never reaches {hypers['learning_rate']:g}, because the warm-up (`warmup_epochs: "
            f"{warmup:g}`) is as long as the whole training (`num_epochs: {total}`) or longer"
        )
    if done < total:
        return
    state = f"the checkpoint was trained for {done} epochs already, and `num_epochs` counts them: it is {total}"
    if new_targets:
        raise ValueError(f"{state}; set it to more than {done}, because the heads of {new_targets} are still untrained")
    logging.warning(f"Nothing is left to train: {state}. The best model so far is exported")


def check_targets(hypers: TrainerHypers, targets: Iterable[str], model: Any) -> None:
    """Check that options for certain targets name targets of the model, and values of each of its elements.

    :raises ValueError: naming the option and what it may contain.
    """
    _check_names("per_structure_targets", hypers["per_structure_targets"], list(targets))
    _check_values("atomic_baseline", hypers["atomic_baseline"], list(model.additive_models[0].outputs), model)
    if hypers["fixed_scaling_weights"] and not hypers["scale_targets"]:
        raise ValueError("`fixed_scaling_weights` has no effect with `scale_targets: false`; remove one of them")
    _check_values("fixed_scaling_weights", hypers["fixed_scaling_weights"], list(model.scaler.outputs), model)
    losses = hypers["loss"]
    if isinstance(losses, Mapping) and set(targets) <= set(losses) and not any(map(_weighs, losses.values())):
        raise ValueError("all weights in `loss` are 0, so nothing would be trained; give a target a weight above 0")


def _check_names(option: str, names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            expected = f"expects some of the targets {known}" if known else "there is no target to which it applies"
            raise ValueError(
                f"`{option}` in `architecture.training` names {name!r}, but {expected}{did_you_mean(name, known)}"
            )


def _check_values(option: str, values: Mapping[str, Any] | str, known: list[str], model: Any) -> None:
    if isinstance(values, str):
        if not Path(values).is_file():
            raise ValueError(f"`{option}` in `architecture.training` names the file {values}, which does not exist")
        return
    _check_names(option, values, known)
    for name, numbers in values.items():
        missing = sorted(set(model.atomic_types) - set(numbers)) if isinstance(numbers, Mapping) else []
        if missing:
            raise ValueError(
                f"`{option}` in `architecture.training` has no value of {name!r} for the atomic numbers {missing}; "
                f"expected one for each element of the data, {model.atomic_types}, or a single number for all"
            )


def _weighs(loss: Any) -> bool:
    if isinstance(loss, str):
        return True
    return loss.get("weight", 1.0) > 0 or any(map(_weighs, loss.get("gradients", {}).values()))


def check_batches(hypers: TrainerHypers, train_datasets: Datasets, val_datasets: Datasets) -> None:
    """Check that both sets fill a batch.

    :raises ValueError: naming the option, its value and what fits.
    """
    if not any(map(len, val_datasets)):
        raise ValueError(
            "the validation set is empty, but the best model is selected by its error on it; give `validation_set` a "
            "share of the structures, such as 0.1, or a file"
        )
    size, limit = hypers["batch_size"], hypers["max_atoms_per_batch"]
    for dataset in train_datasets:
        if limit is None and len(dataset) < size:
            raise ValueError(
                f"`batch_size` in `architecture.training` is {size}, but a training set has only {len(dataset)} "
                f"structures; set it to {len(dataset)} or less"
            )
    if limit is not None:
        for part, least, datasets in (
            ("training", hypers["min_atoms_per_batch"], train_datasets),
            ("validation", 0, val_datasets),
        ):
            for dataset in datasets:
                _check_packing(part, dataset, least, limit)


def _check_packing(part: str, dataset: Any, least: int, limit: int) -> None:
    atoms = 0
    for index in range(len(dataset)):  # which ends early, unless something is wrong
        size = len(dataset[index].system)
        atoms += size if size <= limit else 0
        if atoms >= max(least, 1):
            return
    raise ValueError(
        f"no batch of a {part} set has {max(least, 1)} to {limit} atoms, as `min_atoms_per_batch` and "
        f"`max_atoms_per_batch` in `architecture.training` require: it has {len(dataset)} structures, {atoms} atoms in "
        f"those with at most {limit} (larger ones are skipped)"
    )


def check_elements(folder: Path, train_datasets: Datasets, val_datasets: Datasets) -> None:
    """Check that ``atomic_types``, if the options have any, are those of the data at least.

    :param folder: folder of checkpoints.
    :raises ValueError: naming the missing ones.
    """
    listed = _complete_options(folder).get("architecture", {}).get("atomic_types")
    if listed is not None:
        missing = sorted(set(get_atomic_types([*train_datasets, *val_datasets])) - set(listed))
        if missing:
            raise ValueError(
                f"`atomic_types` in `architecture` is {listed}, but the data also have the atomic numbers {missing}; "
                "add them, or remove `atomic_types`, which is then read from the data"
            )


def check_axis(axis: EnergyAxis, spectrum: str, folder: Path, *, of_checkpoint: bool) -> None:
    """Compare the energy axis of a model with that of the data sets that `electrain prepare` has written.

    Extended XYZ and memory-mapped files do not contain the energies of the channels; the manifest beside them does.

    :param axis: axis of the model.
    :param spectrum: the target on this axis.
    :param folder: folder of checkpoints.
    :param of_checkpoint: whether the axis is that of a trained model, rather than in the options.
    :raises ValueError: if they differ, with both axes and what to write.
    """
    for path in _manifests(_complete_options(folder), spectrum):
        found = _read(path)
        if found is None or _is_same(axis, found):
            continue
        known, wanted = axis.to_dict(), found.to_dict()
        changes = [f"{name}: {wanted[name]}" for name in _AXIS if name in wanted and known.get(name) != wanted[name]]
        where = "the model to continue with" if of_checkpoint else "`energy_grid` in `architecture.model`"
        remedy = (
            "prepare the data on the axis of the model: `electrain prepare --like MODEL`"
            if of_checkpoint
            else f"write `{', '.join(changes)}` under `energy_grid`, or prepare the data on the other axis"
        )
        raise ValueError(
            f"the energy axis of {where} is not that of the data:\n\n"
            f"  model: {_describe(axis)}\n  data:  {_describe(found)}, according to {path}\n\n{remedy}"
        )


def check_fixed_axes(axes: Mapping[str, FixedAxis], folder: Path, *, of_checkpoint: bool) -> None:
    """Compare the fixed axes of a model with those of the data sets that `electrain prepare` has written.

    :param axes: axes of the model, by target.
    :param folder: folder of checkpoints.
    :param of_checkpoint: whether they are those of a trained model, rather than in the options.
    :raises ValueError: if they differ, with both axes and what to do.
    """
    for name, axis in axes.items():
        for path in _manifests(_complete_options(folder), name):
            with expecting("a manifest", path, REMEDY):
                found = fixed_axes_from_manifest(_content(path) or {}).get(name)
            if found is None or axis.is_close(found):
                continue
            where = "the model to continue with" if of_checkpoint else "`fixed_axes` in `architecture.model`"
            remedy = (
                "prepare the data on the axis of the model: `electrain prepare --spectra ... --unit "
                f"{axis.unit} --grid {axis.start:g} {axis.stop:g} --step {axis.step:g}`"
                if of_checkpoint
                else f"write `{{start: {found.start!r}, step: {found.step!r}, size: {found.size}, unit: "
                f"{found.unit}}}` there, or prepare the data on the other axis"
            )
            raise ValueError(
                f"the axis of {name!r} in {where} is not that of the data:\n\n"
                f"  model: {axis}\n  data:  {found}, according to {path}\n\n{remedy}"
            )


def check_bands_of_data(targets: Mapping[str, TargetInfo], folder: Path, *, of_checkpoint: bool) -> None:
    """Compare the bands of a model with those of the data sets that `electrain prepare` has written.

    Files of extended XYZ only have a list of values, and 6 bands at 256 k-points are as many as 12 at 128.

    :param targets: targets of the model, bands with their labels.
    :param folder: folder of checkpoints.
    :param of_checkpoint: whether they are those of a trained model, rather than in the options.
    :raises ValueError: if the numbers of bands and k-points differ, with both and what to do.
    """
    for name in [name for name in targets if quantity_of(name).is_bands]:
        bands, k_points = labels_to_bands(targets[name].layout.block().properties)
        for path in _manifests(_complete_options(folder), name):
            with expecting("a manifest", path, REMEDY):
                found = bands_from_manifest(_content(path) or {})
            if found is None or found == (bands, k_points):
                continue
            where = "the model to continue with" if of_checkpoint else "`architecture.model`"
            options = f"`electrain prepare --bands ... --num-bands {bands} --num-k-points {k_points}`"
            remedy = (
                f"prepare the data for the model: {options}"
                if of_checkpoint
                else f"write `num_bands: {found.num_bands}` and `num_k_points: {found.num_k_points}` there, or prepare "
                f"the data again: {options}"
            )
            raise ValueError(
                f"{name!r} in {where} has other bands than the data:\n\n"
                f"  model: {bands} bands at {k_points} k-points\n  data:  {found.num_bands} bands at "
                f"{found.num_k_points} k-points, according to {path}\n\n{remedy}"
            )


def _complete_options(folder: Path) -> dict[str, Any]:
    """All options, none for a trainer that was not called by metatrain's command line."""
    path = folder / _COMPLETE_OPTIONS
    content: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else {}
    return content


def _manifests(options: Mapping[str, Any], spectrum: str) -> list[Path]:
    """Manifests beside the files of all sets that have the spectrum."""
    sets = [options.get(f"{part}_set") for part in ("training", "validation", "test")]
    sections = [section for part in sets if isinstance(part, list) for section in part]
    files = []
    for section in sections:
        target = section.get("targets", {}).get(spectrum)
        if target is not None:
            files.append(target.get("read_from") or section["systems"]["read_from"])
    return [path for path in dict.fromkeys(Path(file).parent / MANIFEST for file in files) if path.is_file()]


def _read(path: Path) -> EnergyAxis | None:
    """Energy axis in a manifest, ``None`` for one of another program."""
    content = _content(path)
    if content is None:
        return None
    with expecting("a manifest", path, REMEDY):
        return axis_from_manifest(content)


def _content(path: Path) -> dict[str, Any] | None:
    content = read_json("a manifest", path, REMEDY)
    return content if isinstance(content, dict) and "electrain_version" in content else None


def _is_same(axis: EnergyAxis, data: EnergyAxis) -> bool:
    smearings = [axis.smearing, data.smearing]
    return axis.is_compatible(data) and (None in smearings or abs(axis.smearing - data.smearing) < 1e-9)  # type: ignore[operator]


def _describe(axis: EnergyAxis) -> str:
    smearing = "unknown" if axis.smearing is None else f"{axis.smearing:g} eV"
    return f"{axis.grid}, max_shift {axis.max_shift} channels, smearing {smearing}"
