"""Continuing from a checkpoint with another dataset: what may change, and what happens to the baselines."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from metatrain.composition import CompositionModel
from metatrain.utils.additive import ZBL
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.hypers import get_hypers_diff
from omegaconf import DictConfig, OmegaConf

from electrain.interface.quantities import DENSITY_OF_STATES
from electrain.spectra.axis import EnergyAxis

from .baselines import energies_of, fill_tables_of_types, with_baselines, with_scales
from .targets import axis_of, check_target_set, checked_dataset_info, fixed_axes_of
from .unpaired_electrons import unpaired_electrons

_SAME_VALENCE = 0.5  # electrons


def restart_model(model: Any, dataset_info: DatasetInfo, options: Mapping[str, Any]) -> None:
    """Prepare a model for another dataset: targets that it lacks get new heads.

    :param model: a :class:`~electrain.architectures.base.model.SpectralModel`, changed in place.
    :param dataset_info: information about the dataset.
    :param options: hyperparameters of the model in the options file.
    :raises ValueError: for elements the model does not know, other hyperparameters or another energy axis.
    """
    known_axis = model.axis
    model.hypers = agreed_hypers(model.architecture, model.hypers, options, model.from_data)
    model.axis, model.fixed_axes = axis_of(model.hypers), fixed_axes_of(model.hypers)
    check_dataset_elements(dataset_info.atomic_types, model.atomic_types)
    model.other_valence = other_valence(known_axis, model.axis)
    model.unpaired_electrons = unpaired_electrons(model.axis, model.atomic_types, model.reads_states)
    dataset_info = checked_dataset_info(dataset_info, model.hypers, type(model))
    known = model.dataset_info.targets
    dataset_info = _described_as(known, dataset_info)
    merged = model.dataset_info.union(dataset_info)
    check_target_set(list(merged.targets), model.hypers)
    model.new_targets = [name for name in merged.targets if name not in known]
    model.absent_targets = [name for name in known if name not in dataset_info.targets]
    for name in model.new_targets:
        model.add_output(name, merged.targets[name])
    model.dataset_info = merged
    restart_baselines(model.additive_models, with_baselines(dataset_info), with_baselines(merged))
    model.scaler = model.scaler.restart(with_scales(dataset_info, model.hypers))
    let_known_targets_be_found(model.scaler)
    fill_tables_of_types(model)


def other_valence(known: EnergyAxis | None, new: EnergyAxis | None) -> list[str]:
    """Return the elements whose numbers of valence electrons differ by more than half an electron, and say so."""
    if known is None or new is None:
        return []
    before, after = known.valence_electrons, new.valence_electrons
    found = [symbol for symbol in before if abs(after.get(symbol, before[symbol]) - before[symbol]) > _SAME_VALENCE]
    if found:
        numbers = ", ".join(f"{symbol} {after[symbol]:g} instead of {before[symbol]:g}" for symbol in found)
        logging.info(
            f"Valence electrons differ from those that the model has learned: {numbers}. If its densities of states "
            "begin with spectra of the elements, those of this data set are fitted again"
        )
    return found


def _described_as(known: Mapping[str, TargetInfo], dataset_info: DatasetInfo) -> DatasetInfo:
    """Give targets the words of the model, which are for readers; metatrain would refuse others."""
    targets = {
        name: TargetInfo(info.layout, known[name].quantity, info.unit, known[name].description)
        if name in known
        else info
        for name, info in dataset_info.targets.items()
    }
    return DatasetInfo(dataset_info.length_unit, dataset_info.atomic_types, targets, dataset_info.extra_data)


def remove_output(model: Any, name: str) -> None:
    """Remove a target from a model: its head, baseline and scale."""
    if name in model.spectrum_heads:
        del model.spectrum_heads[name]
        del model.read_from[name]
    else:
        model.network.remove_output(name)
        model.outputs.pop(model.feature_names.pop(name))
        del model.last_layer_parameter_names[name], model.factors[name]
    del model.layouts[name]
    model.outputs.pop(name)
    if name == DENSITY_OF_STATES:
        model.element_spectra = None
    for names in (model.per_volume, model.intensive, model.non_negative):
        if name in names:
            names.remove(name)
    for baseline in [*model.additive_models, model.scaler]:
        if name in baseline.outputs:
            baseline.remove_output(name)
    model.dataset_info.targets.pop(name)
    if len(model.additive_models) > 1 and not model.additive_models[1].outputs:
        # The repulsion goes with the last energy; TorchScript cannot read the type of its empty outputs.
        model.additive_models = model.additive_models[:1]
        model.hypers = {**model.hypers, "zbl": False}


def agreed_hypers(architecture: str, known: Any, options: Mapping[str, Any], from_data: Sequence[str] = ()) -> Any:
    """Return the hyperparameters of a model that continues with the given options.

    The only change allowed is to add axes to a model, so that it can learn spectra later: an energy axis if it has
    none, together with the source of the band gap, and fixed axes of further targets. Valence electrons are those in
    the options if an element is there, otherwise those of the model. A smearing that one of them leaves out is the
    other's, and so is whether calculations had spins; where both say it, it is that of the options.

    :param architecture: name of the architecture.
    :param known: all hyperparameters of the model.
    :param options: those in the options file.
    :param from_data: names of those that options may leave open (null): the model has them from its first data set.
    :raises ValueError: for hyperparameters with another value, naming them and both values.
    """
    plain: Any = OmegaConf.to_container(options) if isinstance(options, DictConfig) else dict(options)
    plain = {name: value for name, value in plain.items() if value is not None or name not in from_data}
    hypers = dict(known)
    if hypers["energy_grid"] is None and plain.get("energy_grid") is not None:
        hypers["energy_grid"] = plain["energy_grid"]
        hypers["band_gap_from"] = plain.get("band_gap_from", hypers["band_gap_from"])
    if hypers["energy_grid"] is not None and plain.get("energy_grid") is not None:
        axes = [EnergyAxis.from_dict(grid) for grid in (hypers["energy_grid"], plain["energy_grid"])]
        electrons = {**axes[0].valence_electrons, **axes[1].valence_electrons}
        smearing = next((axis.smearing for axis in axes if axis.smearing is not None), None)
        spins = next((axis.spin_polarized for axis in axes[::-1] if axis.spin_polarized is not None), None)
        hypers["energy_grid"], plain["energy_grid"] = (
            replace(
                axis, smearing=axis.smearing or smearing, valence_electrons=electrons, spin_polarized=spins
            ).to_dict()
            for axis in axes
        )
    if plain.get("fixed_axes"):
        hypers["fixed_axes"] = {**plain["fixed_axes"], **hypers["fixed_axes"]}
        plain["fixed_axes"] = {**hypers["fixed_axes"], **plain["fixed_axes"]}
    different = get_hypers_diff(hypers, plain, get_default_hypers(architecture)["model"])
    if different:
        lines = [f"  {name}: {old} in the checkpoint, {new} in the options" for name, (old, new) in different.items()]
        raise ValueError(
            "a trained model keeps its options, but these in `architecture.model` differ; remove them, or repeat the "
            "values of the checkpoint:\n\n" + "\n".join(lines)
        )
    return hypers


def check_dataset_elements(found: list[int], known: list[int]) -> None:
    """Raise a ``ValueError`` for atomic numbers that the model does not know."""
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise ValueError(
            f"the dataset has atomic numbers {unknown} that the model does not know; it was trained on {known}"
        )


def restart_baselines(baselines: torch.nn.ModuleList, dataset: DatasetInfo, merged: DatasetInfo) -> None:
    """Keep the baselines of known targets, and prepare those of new targets for fitting.

    :param baselines: the result of :func:`~electrain.architectures.base.baselines.make_baselines`.
    :param dataset: targets of the new dataset that have baselines and scales.
    :param merged: those of the model, including the new ones, and all its elements.
    """
    targets = {name: info for name, info in dataset.targets.items() if CompositionModel.is_valid_target(name, info)}
    composition: Any = baselines[0]
    composition = composition.restart(dataset_info=DatasetInfo(dataset.length_unit, merged.atomic_types, targets))
    let_known_targets_be_found(composition)
    baselines[0] = composition
    if len(baselines) > 1:
        # There are no parameters to keep; metatrain's own restart leaves new energies out.
        device = baselines[1].covalent_radii.device
        baselines[1] = ZBL({}, dataset_info=energies_of(merged)).to(device)


def let_known_targets_be_found(baseline: Any) -> None:
    """Let metatrain fit the new targets of a composition model or scaler on a dataset that also has known targets.

    metatrain keeps only the new targets, but looks up all targets of the dataset. It fits nothing if none is new.
    """
    if baseline.target_infos:
        baseline.target_infos = dict(baseline.dataset_info.targets)
