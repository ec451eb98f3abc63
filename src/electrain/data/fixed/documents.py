"""The files that come with a data set of spectra: options for a training, manifest and tables."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from electrain import __version__
from electrain.files.replacing import atomically, naming
from electrain.interface.manifests import fixed_axes_to_manifest
from electrain.interface.quantities import quantity_of
from electrain.interface.states import CRYSTAL_SYSTEM
from electrain.structures.checks import formula_of
from electrain.structures.crystal_systems import CRYSTAL_SYSTEMS, KEY

from ..options import NOT_HELD_OUT, OTHER_SET, network_lines, recipe_lines
from ..recipes import recipe_for
from ..reports import FORMAT_VERSION, table_entry, write_table
from ..sources import Source, sha256_of
from ..splits import identity_of
from ..work_folder import MANIFEST, OPTIONS, REPORT, SOURCES, STRUCTURES
from ..writing import SUFFIXES
from .settings import PreparedSpectra, SpectraSettings
from .writing import key_of

FERMI_ENERGY = "Fermi energy (eV)"  # column of the table of structures
_OPTIONS = """\
# Training options for this data set. In this folder, run:
#
#     mtt train options.yaml
#
# Everything not given here has a default. Further settings of the network go under `model`, those of the training
# under `training`.

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
    number = _write_structures(folder / STRUCTURES, prepared, electronic=settings.kind == "electronic")
    hashes: Iterable[tuple[str, str]] = ((source.name, sha256_of(Path(source.path))) for source in sources)
    write_table(folder / SOURCES, ("source", "sha256"), hashes)
    write_table(folder / REPORT, ("source", "reason"), ((one.source, one.reason) for one in prepared.rejected))
    axis = prepared.axis
    manifest = {
        "format_version": FORMAT_VERSION,
        "electrain_version": __version__,
        "command": settings.command(paths),
        "format": prepared.form,
        "fixed_axes": fixed_axes_to_manifest({prepared.target: axis}),
        "normalization": settings.normalize,
        "units": {
            prepared.target: "" if quantity_of(prepared.target).intensive else axis.density_unit,
            "positions": "angstrom",
        },
        "sources": {"table": table_entry(folder / SOURCES), "number": len(sources)},
        "structures": {"table": table_entry(folder / STRUCTURES), "number": number},
        "dropped": {"table": table_entry(folder / REPORT), "number": len(prepared.rejected)},
        "split": {
            "shares": list(settings.shares) if settings.shares else None,
            "trained_on": settings.kinds.text if settings.kinds else None,
            "files": {Path(name).name: sha256_of(Path(name)) for name in settings.index_files},
            "seed": settings.seed,
            "grouped_by": prepared.split.grouped_by,
            "validates_on_training_set": prepared.split.validates_on_training_set,
            "number": {part: len(spectra) for part, spectra in prepared.parts.items()},
        },
    }
    with atomically(folder / MANIFEST) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _write_structures(path: Path, prepared: PreparedSpectra, *, electronic: bool) -> int:
    """Write the table of structures, those with electronic spectra with their Fermi energies, and return how many."""
    rows = [(part, i, s) for part, spectra in prepared.parts.items() for i, s in enumerate(spectra)]
    header = ["part", "number", "id", "source", "formula", "subset", "atoms"]
    table: list[list[Any]] = [
        [part, i, s.atoms.info.get("id"), s.source, formula_of(s.atoms), identity_of(s.atoms).subset, len(s.atoms)]
        for part, i, s in rows
    ]
    if electronic and not all(math.isnan(s.fermi_energy) for _, _, s in rows):
        header.append(FERMI_ENERGY)
        for line, (_, _, s) in zip(table, rows, strict=True):
            line.append("" if math.isnan(s.fermi_energy) else s.fermi_energy)
    write_table(path, header, table)
    return len(rows)


def options_yaml(prepared: PreparedSpectra) -> str:
    """Return the text of ``options.yaml``."""
    target, axis, suffix = prepared.target, prepared.axis, SUFFIXES[prepared.form]
    num_train = len(prepared.parts["train"])
    recipe, quantity = recipe_for(num_train), quantity_of(target)
    network = [line for line in network_lines(recipe, num_train) if not line.startswith(_WITHOUT_MEANING)]
    label = quantity.label[0].upper() + quantity.label[1:]
    where = f"at {axis}{'' if quantity.fixed_axis == 'frequency' else ' from the Fermi level'}"
    unit = "" if quantity.intensive else f" of the whole structure in {axis.density_unit}"
    text = _OPTIONS.format(
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
