"""The files that come with a data set of bands: options for a training, manifest and tables."""

import json
from collections.abc import Sequence
from pathlib import Path

from electrain.files.replacing import atomically, naming
from electrain.interface.manifests import bands_to_manifest
from electrain.interface.quantities import BANDS, quantity_of
from electrain.interface.states import K_POINTS

from ..at_once.publishing import first_entries, split_entry, write_tables
from ..at_once.writing import key_of
from ..options import INTRODUCTION, NOT_HELD_OUT, OTHER_SET, recipe_lines
from ..recipes import short_recipe
from ..sources import Source
from ..work_folder import MANIFEST, OPTIONS
from ..writing import SUFFIXES
from .settings import MESH, BandsSettings, LearnedBands, PreparedBands

_OPTIONS = """\
architecture:
  name: bandformer
  model:
    # The numbers of bands and k-points for which the files were made. Do not change them here; run `electrain prepare`
    # again instead.
    num_bands: {shape.num_bands}
    num_k_points: {shape.num_k_points}
{network}  training:
{training}    # The mean absolute error of the centers of bands, plus this weight times that of their dispersions.
    loss:
      "{bands}": {{dispersion_weight: 1.0}}

# metatrain's final evaluation divides all errors by the number of atoms. Use those in the training log instead.
final_eval: false

training_set:
  systems:
    read_from: train{suffix}
    length_unit: angstrom
  targets: &targets
    # Bands along a path, in eV, band after band: {half} up to the highest one that is filled anywhere, and {half}
    # above it. Zero is the middle of the gap, or the Fermi level of a metal.
    "{bands}":
{bands_key}      type: scalar
      sample_kind: system
      num_subtargets: {num_energies}
      quantity: ""
      unit: eV
      description: "{description}"
  extra_data: &extra_data
    # The k-points of the path, fractional coordinates in the reciprocal lattice of the cell, k-point after k-point.
    "{k_points}":
{k_points_key}      type: scalar
      num_subtargets: {num_coordinates}
"""
# They helped with 212 crystals; all trainings with more of them, up to 1,751, had them: benchmarks/results/bands.md
_FEW = 2_000
_FOR_FEW = """\
    # With few crystals, elements share what is learned from others like them, and less is learned by heart.
    element_properties: true
    dropout: 0.2
"""
_SAME_EXTRA_DATA = "  extra_data: *extra_data\n"
_CELLS = {True: "standardised primitive", False: "other", None: "unknown"}


def write_documents(
    folder: Path, prepared: PreparedBands, sources: Sequence[Source], settings: BandsSettings, paths: Sequence[Path]
) -> None:
    """Write everything but the data into a folder."""
    with naming(folder / OPTIONS):
        (folder / OPTIONS).write_text(options_yaml(prepared), encoding="utf-8")
    everything = prepared.everything
    columns: dict[str, list[object]] = {
        "spins": [_spins(one) for one in everything],
        "k-points": [len(one.bands.k_points) for one in everything],
        "bands": [one.bands.energies.shape[2] for one in everything],
        "band gap (eV)": [f"{one.gap:.4f}" for one in everything],
        "cell": [_CELLS[one.is_standard] for one in everything],
        "k-points of": [MESH if one.is_mesh else "path" for one in everything],
        "path": ["-".join(name for _, name in one.targets.labels) for one in everything],
    }
    tables = write_tables(folder, prepared.parts, columns, prepared.rejected, sources)
    manifest = {
        **first_entries(settings.command(paths), prepared.form),
        "bands": bands_to_manifest(prepared.shape),
        "units": {BANDS: "eV", K_POINTS: "fractional", "positions": "angstrom"},
        "reference": "E = 0 is the middle of the gap along the path, or on the mesh, or the Fermi level of a metal",
        "meshes": prepared.num_meshes,
        "cells": {name: sum(one.is_standard is kind for one in everything) for kind, name in _CELLS.items()},
        **tables,
        "split": split_entry(prepared.split, settings, prepared.parts),
    }
    with atomically(folder / MANIFEST) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _spins(one: LearnedBands) -> str:
    if one.bands.noncollinear:
        return "noncollinear"
    return "collinear" if len(one.bands.energies) == 2 else "unpolarised"


def options_yaml(prepared: PreparedBands) -> str:
    """Return the text of ``options.yaml``."""
    shape, suffix = prepared.shape, SUFFIXES[prepared.form]
    num_train = len(prepared.parts["train"])
    bands_key, k_points_key = (
        f"      key: {key_of(name)}\n" if prepared.form == "xyz" else "" for name in (BANDS, K_POINTS)
    )
    text = INTRODUCTION + _OPTIONS.format(
        shape=shape,
        network=_FOR_FEW if num_train < _FEW else "",
        training=recipe_lines(short_recipe(num_train), num_train, with_network=False),
        bands=BANDS,
        k_points=K_POINTS,
        bands_key=bands_key,
        k_points_key=k_points_key,
        suffix=suffix,
        half=shape.num_bands // 2,
        num_energies=shape.num_bands * shape.num_k_points,
        num_coordinates=3 * shape.num_k_points,
        description=quantity_of(BANDS).description,
    )
    if prepared.split.validates_on_training_set:
        text += NOT_HELD_OUT
    source = "train" if prepared.split.validates_on_training_set else "validation"
    text += OTHER_SET.format(part="validation", source=source, suffix=suffix) + _SAME_EXTRA_DATA
    if "test" in prepared.parts:
        text += OTHER_SET.format(part="test", source="test", suffix=suffix) + _SAME_EXTRA_DATA
    return text
