"""Opening an exported model, with a clear error for every wrong file."""

import io
import json
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, load_atomistic_model, read_model_metadata

from electrain.interface.band_labels import BandsShape
from electrain.interface.quantities import DENSITY_OF_STATES, ENERGY, base_quantity, quantity_of
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.fixed_axis import FixedAxis

from .archives import archive_entries
from .extensions import check_extensions
from .replacing import replacing

_SAVING = threading.Lock()


class ModelFileError(ValueError):
    """A file that is not an exported model of the density of states."""


def load_model(path: str | Path, extensions_directory: str | Path | None = None) -> AtomisticModel:
    """Load an exported metatomic model of the density of states.

    An exported model is a program, which can run code and write files when it is opened: open only models of people
    you trust, and export a checkpoint yourself otherwise (docs/checkpoints.md).

    :param path: the ``.pt`` file written by ``mtt train`` or ``mtt export``.
    :param extensions_directory: folder with compiled libraries that the model needs, if you trust them; models of
        electrain need none.
    :raises FileNotFoundError: if the file does not exist.
    :raises ModelFileError: if it is a checkpoint or any other file, damaged, a model of other quantities, or a model
        that asks for compiled libraries which are not in such a folder.
    """
    model = load_any_model(path, extensions_directory)
    check_outputs(model.capabilities(), str(path))
    return model


def load_any_model(path: str | Path, extensions_directory: str | Path | None = None) -> AtomisticModel:
    """Load an exported metatomic model of any quantities; see :func:`load_model`."""
    path = Path(path)
    extensions = None if extensions_directory is None else Path(extensions_directory)
    _check_kind(path)
    try:
        check_extensions(path, extensions, ModelFileError)
        return load_atomistic_model(path, extensions)
    except ModelFileError:
        raise
    except Exception as error:  # torch and metatomic raise all kinds of errors
        reason = _first_line(error.__cause__ or error)
        raise ModelFileError(f"{path} cannot be loaded as a metatomic model: {reason}") from error


def save_model(model: AtomisticModel, path: Path) -> None:
    """Write an exported model, which replaces ``path`` when it is complete.

    :raises OSError: if the file cannot be written.
    """
    content, save = io.BytesIO(), torch.jit.save

    def save_to_memory(module: Any, _: str, **options: Any) -> None:
        save(module, content, **options)

    # metatomic saves to paths alone; and when torch writes to a path on a full disk, it ends the whole process.
    with _SAVING, mock.patch.object(torch.jit, "save", save_to_memory):
        model.save(path.name)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def check_outputs(capabilities: ModelCapabilities, name: str) -> None:
    """Raise a :class:`ModelFileError` if a model does not predict the density of states."""
    outputs = predicted_outputs(capabilities)
    if DENSITY_OF_STATES not in outputs:
        found = ", ".join(outputs) or "nothing"
        hint = ""
        if any(base_quantity(output) == ENERGY for output in outputs):
            hint = "; for energies and forces, use metatomic's ASE calculator, metatomic_ase.MetatomicCalculator"
        elif any(quantity_of(output).fixed_axis for output in outputs):
            hint = "; for spectra on a fixed axis, use electrain.calculators.SpectrumModel"
        raise ModelFileError(f"{name} does not predict a density of states ({DENSITY_OF_STATES}), but {found}{hint}")


def predicted_outputs(capabilities: ModelCapabilities) -> list[str]:
    """Return the names of what a model predicts, in alphabetical order, without its features."""
    return sorted(output for output in capabilities.outputs if "feature" not in output)


def energy_axis_of(model: AtomisticModel) -> EnergyAxis | None:
    """Return the energy axis in the metadata of an exported model; ``None`` if there is none.

    :raises ModelFileError: if it is incomplete.
    """
    return _axis_in(model.metadata())


def read_energy_axis(path: Path) -> EnergyAxis | None:
    """Return the same for a file without opening the model, which would run it.

    :raises FileNotFoundError: if the file does not exist.
    :raises ModelFileError: if it is not an exported model, or its axis is incomplete.
    """
    _check_kind(path)
    try:
        metadata = read_model_metadata(str(path))
    except Exception as error:  # torch and metatomic raise all kinds of errors
        raise ModelFileError(f"{path} has no metadata of a metatomic model: {_first_line(error)}") from error
    return _axis_in(metadata)


def _axis_in(metadata: ModelMetadata) -> EnergyAxis | None:
    text = metadata.extra.get("energy_grid")
    if text is None:
        return None
    try:
        return EnergyAxis.from_dict(json.loads(text))
    except ValueError as error:
        raise ModelFileError(f"the metadata of the model have no complete energy_grid: {error}") from error


def fixed_axes_of(model: AtomisticModel) -> dict[str, FixedAxis]:
    """Return the axes of spectra that are not shifted, by target, which are in the metadata of an exported model.

    :raises ModelFileError: if one is incomplete.
    """
    content = json.loads(model.metadata().extra.get("fixed_axes", "{}"))
    try:
        return {name: FixedAxis.from_dict(axis) for name, axis in content.items()}
    except ValueError as error:
        raise ModelFileError(f"the metadata of the model have no complete fixed_axes: {error}") from error


def shapes_of_bands(model: AtomisticModel) -> dict[str, BandsShape]:
    """Return the numbers of bands and k-points of targets that are bands, which are in the metadata.

    :raises ModelFileError: if they are incomplete.
    """
    content = json.loads(model.metadata().extra.get("bands", "{}"))
    try:
        return {name: BandsShape(**shape) for name, shape in content.items()}
    except TypeError as error:
        raise ModelFileError(f"the metadata of the model have no complete numbers of bands: {error}") from error


def optional_inputs_of(model: AtomisticModel) -> list[str]:
    """Return what a model reads if structures have it, although it does not request it."""
    return list(json.loads(model.metadata().extra.get("optional_inputs", "[]")))


def smearing_of(model: AtomisticModel) -> float | None:
    """Return the smearing of a model's training data in eV, if it is in the metadata."""
    axis = energy_axis_of(model)
    return None if axis is None else axis.smearing


def valence_electrons_of(model: AtomisticModel) -> dict[str, float]:
    """Return the numbers of valence electrons by chemical symbol, for the elements in a model's metadata."""
    axis = energy_axis_of(model)
    return {} if axis is None else dict(axis.valence_electrons)


def _check_kind(path: Path) -> None:
    entries = archive_entries(path, "model", "a .pt file written by `mtt export`", ModelFileError)
    if "data.pkl" not in entries:
        raise ModelFileError(
            f"{path} is an archive, but not a model, or incomplete; expected a .pt file written by `mtt export`"
        )
    if not any(entry.startswith("code/") for entry in entries):
        raise ModelFileError(f"{path} is a checkpoint, not an exported model; run `electrain convert {path} model.pt`")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
