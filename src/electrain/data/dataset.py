"""Data sets on disk: metatrain's zip files, a manifest, options for training and a report."""

import contextlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from metatrain.utils.data.writers import DiskDatasetWriter
from tqdm import tqdm

from .. import __version__
from ..quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from ..structures import to_system
from .calculation import Calculation
from .extended_xyz import Rejected
from .options import options_yaml
from .sources import Collection, read_sources
from .splits import PARTS, Split, check_shares, split_structures
from .targets import (
    ENERGY,
    SpectrumAxis,
    check_settings,
    choose_axis,
    electronic_targets,
    energy_target,
    trusted_range,
)

MANIFEST = "manifest.json"
REPORT = "report.txt"
_FORMAT_VERSION = 1


class NothingUsableError(ValueError):
    """No frame passed the checks.

    :param rejected: all of them, with their reasons.
    """

    def __init__(self, rejected: list[Rejected]) -> None:
        super().__init__(f"expected at least one usable frame, but all {len(rejected)} were rejected")
        self.rejected = rejected


@dataclass(frozen=True)
class PreparedDataset:
    """A data set as it was written.

    :param folder: where.
    :param parts: the calculations of the training, validation and test set.
    :param rejected: frames that were left out, with their reasons.
    :param axis: the energy axis.
    :param split: indices into all calculations, in the order they were read.
    :param has_energy: whether energies were written.
    :param has_forces: whether forces were written with them.
    """

    folder: Path
    parts: dict[str, list[Calculation]]
    rejected: list[Rejected]
    axis: SpectrumAxis
    split: Split
    has_energy: bool
    has_forces: bool


def prepare_dataset(
    sources: Sequence[Path],
    folder: Path,
    *,
    smearing: float = 0.3,
    step: float = 0.05,
    max_shift: float = 10.0,
    shares: tuple[float, float, float] = (8, 1, 1),
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> PreparedDataset:
    """Turn files of calculations into a data set that ``mtt train`` can use.

    Everything is written or nothing: on an error the folder is as it was. Energies (forces) are written if
    every usable calculation has them.

    :param sources: extended XYZ files.
    :param folder: where to write; new or empty unless ``overwrite``.
    :param smearing: standard deviation of the Gaussians, in eV.
    :param step: distance between two channels, in eV.
    :param max_shift: how far a prediction may be shifted to fit its target, in eV.
    :param shares: of training, validation and test set.
    :param seed: of the split.
    :param overwrite: write into a folder that is not empty.
    :param progress: show progress bars on a terminal.
    :raises NothingUsableError: if no frame passed the checks.
    :raises FileExistsError: if the folder is not empty.
    :raises ValueError: for settings that make no sense, or a set too small to be split.
    :raises OSError: if a file cannot be read or written.
    """
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise FileExistsError(f"expected a new or empty folder, but there are files in {folder}")
    check_settings(step=step, smearing=smearing, max_shift=max_shift)
    check_shares(shares)
    collection = _with_trusted_range(read_sources(sources, progress=progress), smearing)
    calculations = collection.calculations
    if not calculations:
        raise NothingUsableError(collection.rejected)
    axis = choose_axis(calculations, step=step, smearing=smearing, max_shift=max_shift)
    split = split_structures([c.atoms for c in calculations], shares=shares, seed=seed)
    has_energy = all(calculation.energy is not None for calculation in calculations)
    prepared = PreparedDataset(
        folder=folder,
        parts={part: [calculations[index] for index in getattr(split, part)] for part in PARTS},
        rejected=collection.rejected,
        axis=axis,
        split=split,
        has_energy=has_energy,
        has_forces=has_energy and all(calculation.forces is not None for calculation in calculations),
    )
    manifest = _manifest(prepared, collection, shares=shares, seed=seed)
    _write(prepared, manifest, progress=progress)
    return prepared


def _with_trusted_range(collection: Collection, smearing: float) -> Collection:
    """Reject calculations whose density of states cannot be trusted anywhere."""
    usable, rejected = [], list(collection.rejected)
    for calculation in collection.calculations:
        try:
            trusted_range(calculation, smearing)
        except ValueError as error:
            rejected.append(Rejected(calculation.source, str(error).removeprefix(f"{calculation.source}: ")))
        else:
            usable.append(calculation)
    return Collection(usable, rejected, collection.files)


def _write(prepared: PreparedDataset, manifest: dict[str, Any], *, progress: bool) -> None:
    """Write everything into a folder beside its place, then move it there file by file."""
    is_new = not prepared.folder.exists()
    prepared.folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=prepared.folder) as name:
            staging = Path(name)
            for part, calculations in prepared.parts.items():
                if calculations:
                    _write_zip(staging / f"{part}.zip", calculations, prepared, progress=progress)
            options = options_yaml(
                prepared.axis,
                with_energy=prepared.has_energy,
                with_forces=prepared.has_forces,
                with_test_set=bool(prepared.parts["test"]),
            )
            (staging / "options.yaml").write_text(options, encoding="utf-8")
            (staging / REPORT).write_text(_report(prepared), encoding="utf-8")
            (staging / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            for file in sorted(staging.iterdir()):
                os.replace(file, prepared.folder / file.name)
            if not prepared.parts["test"]:
                (prepared.folder / "test.zip").unlink(missing_ok=True)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                prepared.folder.rmdir()
        raise


def _write_zip(path: Path, calculations: Sequence[Calculation], prepared: PreparedDataset, *, progress: bool) -> None:
    writer = DiskDatasetWriter(path)
    for calculation in tqdm(calculations, desc=f"writing {path.name}", disable=None if progress else True):
        targets = electronic_targets(calculation, prepared.axis)
        if prepared.has_energy:
            targets[ENERGY] = energy_target(calculation, with_forces=prepared.has_forces)
        writer.write([to_system(calculation.atoms)], targets)
    writer.finish()


def _manifest(
    prepared: PreparedDataset, collection: Collection, *, shares: tuple[float, float, float], seed: int
) -> dict[str, Any]:
    axis = prepared.axis
    units = {DENSITY_OF_STATES: "states/eV", BAND_GAP: "eV", FERMI_LEVEL: "eV", "positions": "angstrom"}
    if prepared.has_energy:
        units[ENERGY] = "eV"
    if prepared.has_forces:
        units["forces"] = "eV/angstrom"
    return {
        "format_version": _FORMAT_VERSION,
        "electrain_version": __version__,
        "energy_grid": {**asdict(axis.grid), "unit": "eV"},
        "max_shift": {"channels": axis.max_shift, "eV": round(axis.max_shift * axis.grid.step, 6)},
        "smearing": {"value": axis.smearing, "unit": "eV", "shape": "gaussian"},
        "reference": "E = 0 is the DFT Fermi level of each structure",
        "units": units,
        "sources": [asdict(file) for file in collection.files],
        "num_rejected": len(prepared.rejected),
        "split": {
            "shares": list(shares),
            "seed": seed,
            "grouped_by": prepared.split.grouped_by,
            **{part: [c.name for c in calculations] for part, calculations in prepared.parts.items()},
        },
    }


def _report(prepared: PreparedDataset) -> str:
    used = sum(len(calculations) for calculations in prepared.parts.values())
    lines = [f"{used} frames used, {len(prepared.rejected)} left out", ""]
    lines += [f"{frame.source}: {frame.reason}" for frame in prepared.rejected]
    return "\n".join(lines).rstrip() + "\n"
