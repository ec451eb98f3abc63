"""The files that come with a data set of spectra: options for a training, manifest and tables."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from electrain.files.replacing import atomically, naming
from electrain.interface.manifests import fixed_axes_to_manifest
from electrain.interface.quantities import quantity_of
from electrain.interface.states import CRYSTAL_SYSTEM
from electrain.structures.crystal_systems import CRYSTAL_SYSTEMS, KEY

from ..at_once.publishing import first_entries, split_entry, write_tables
from ..at_once.writing import key_of
from ..options import INTRODUCTION, NOT_HELD_OUT, OTHER_SET, network_lines, recipe_lines
from ..recipes import recipe_for
from ..sources import Source
from ..work_folder import MANIFEST, OPTIONS
from ..writing import SUFFIXES
from .settings import PreparedSpectra, SpectraSettings

FERMI_ENERGY = "Fermi energy (eV)"  # column of the table of structures
_OPTIONS = """\
architecture:
  name: pet_mad
  model:
    # The axis of the spectra, on which the model predicts. The files were made for it, so do not change it here;
    # run `electrain prepare` again instead.
    fixed_axes:
      "{target}": {axis}
{network}  training:
{training}    # The mean over structures of the root mean square error of each.
    loss:
      "{target}": rmse

# metatrain's final evaluation divides all errors by the number of atoms. Use those in the training log instead.
final_eval: false

training_set:
  systems:
    read_from: train{suffix}
    length_unit: angstrom
  targets: &targets
    # {comment}; NaN where unknown.
    "{target}":
{key}      type: scalar
      sample_kind: system
      num_subtargets: {size}
      quantity: ""
      unit: ""
      description: "{label}"
"""
_CRYSTAL_SYSTEMS = """\
  # {systems}; 0: unknown.
  # Read by dos_transformer with `crystal_system_prompt: true`, and by nothing else.
  extra_data: &extra_data
    "{name}":
      type: scalar
"""
_SAME_EXTRA_DATA = "  extra_data: *extra_data\n"
# of the network for few data: which quantity is read from what does not matter here
_WITHOUT_MEANING = "band_gap_from"


def write_documents(
    folder: Path,
    prepared: PreparedSpectra,
    sources: Sequence[Source],
    settings: SpectraSettings,
    paths: Sequence[Path],
) -> None:
    """Write everything but the data into a folder."""
    with naming(folder / OPTIONS):
        (folder / OPTIONS).write_text(options_yaml(prepared), encoding="utf-8")
    axis = prepared.axis
    columns = _fermi_energies(prepared) if settings.kind == "electronic" else {}
    tables = write_tables(folder, prepared.parts, columns, prepared.rejected, sources)
    manifest = {
        **first_entries(settings.command(paths), prepared.form),
        "fixed_axes": fixed_axes_to_manifest({prepared.target: axis}),
        "normalization": settings.normalize,
        "units": {
            prepared.target: "" if quantity_of(prepared.target).intensive else axis.density_unit,
            "positions": "angstrom",
        },
        **tables,
        "split": split_entry(prepared.split, settings, prepared.parts),
    }
    with atomically(folder / MANIFEST) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _fermi_energies(prepared: PreparedSpectra) -> dict[str, list[object]]:
    """Column of the table of structures, none if no Fermi energy is known."""
    found = [spectrum.fermi_energy for spectra in prepared.parts.values() for spectrum in spectra]
    if all(math.isnan(energy) for energy in found):
        return {}
    return {FERMI_ENERGY: ["" if math.isnan(energy) else energy for energy in found]}


def options_yaml(prepared: PreparedSpectra) -> str:
    """Return the text of ``options.yaml``."""
    target, axis, suffix = prepared.target, prepared.axis, SUFFIXES[prepared.form]
    num_train = len(prepared.parts["train"])
    recipe, quantity = recipe_for(num_train), quantity_of(target)
    network = [line for line in network_lines(recipe, num_train) if not line.startswith(_WITHOUT_MEANING)]
    label = quantity.label[0].upper() + quantity.label[1:]
    where = f"at {axis}{'' if quantity.fixed_axis == 'frequency' else ' from the Fermi level'}"
    unit = "" if quantity.intensive else f" of the whole structure in {axis.density_unit}"
    text = INTRODUCTION + _OPTIONS.format(
        target=target,
        axis=f"{{start: {axis.start!r}, step: {axis.step!r}, size: {axis.size}, unit: {axis.unit}}}",
        network="".join(f"    {line}\n" for line in network),
        training=recipe_lines(recipe, num_train),
        suffix=suffix,
        comment=f"{label}{unit}, {where}",
        key=f"      key: {key_of(target)}\n" if prepared.form == "xyz" else "",
        size=axis.size,
        label=quantity.label,
    )
    has_crystals = any(spectrum.atoms.pbc.all() for spectra in prepared.parts.values() for spectrum in spectra)
    same = ""
    if has_crystals:
        systems = ", ".join(f"{number}: {system}" for number, system in enumerate(CRYSTAL_SYSTEMS, start=1))
        text += _CRYSTAL_SYSTEMS.format(name=CRYSTAL_SYSTEM, systems=systems)
        text += f"      key: {KEY}\n" if prepared.form == "xyz" else ""
        same = _SAME_EXTRA_DATA
    if prepared.split.validates_on_training_set:
        text += NOT_HELD_OUT
    source = "train" if prepared.split.validates_on_training_set else "validation"
    text += OTHER_SET.format(part="validation", source=source, suffix=suffix) + same
    if "test" in prepared.parts:
        text += OTHER_SET.format(part="test", source="test", suffix=suffix) + same
    return text
