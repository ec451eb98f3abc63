"""What comes with a data set beside the data: manifest and tables."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from electrain import __version__
from electrain.files.replacing import atomically
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL

from .selection import Selection, SourceFile
from .settings import Settings
from .splits import PARTS

_FORMAT_VERSION = 2


def write_manifest(
    path: Path, selection: Selection, files: Sequence[SourceFile], settings: Settings, *, command: str, folder: Path
) -> None:
    """Write everything needed to understand and repeat a data set, as JSON.

    :param path: of the manifest.
    :param command: that makes the same data set.
    :param folder: that holds the other files.
    """
    axis, contents = selection.axis, selection.contents
    units = {DENSITY_OF_STATES: "states/eV", BAND_GAP: "eV", FERMI_LEVEL: "eV", "positions": "angstrom"}
    gradients = {ENERGY: "eV", "forces": "eV/angstrom", "stress": "eV/angstrom^3"}
    units |= {name: unit for name, unit in gradients.items() if getattr(contents, name)}
    manifest = {
        "format_version": _FORMAT_VERSION,
        "electrain_version": __version__,
        "command": command,
        "format": selection.form,
        "energy_grid": {**asdict(axis.grid), "unit": "eV"},
        "max_shift": {"channels": axis.max_shift, "eV": round(axis.max_shift * axis.grid.step, 6)},
        "smearing": {"value": axis.smearing, "unit": "eV", "shape": "gaussian"},
        "reference": "E = 0 is the DFT Fermi level of each structure, the middle of a gap",
        "spin": "both spin channels are summed",
        "units": units,
        "codes": dict(sorted(Counter(row.code or "unknown" for row in selection.rows).items())),
        "sources": {"table": _table(folder / "sources.csv"), "number": len(files)},
        "structures": {"table": _table(folder / "structures.csv"), "number": len(selection.rows)},
        "dropped": {"table": _table(folder / "report.csv"), "number": len(selection.dropped)},
        "unknown_smearing": sum(row.num_k == 0 for row in selection.rows),
        "missing_bands": {"policy": settings.missing_bands, "number": selection.num_missing_bands},
        "split": {
            "shares": list(settings.shares) if settings.shares else None,
            "seed": settings.seed,
            "grouped_by": selection.split.grouped_by,
            "validates_on_training_set": selection.split.validates_on_training_set,
            "number": {part: len(getattr(selection.split, part)) for part in PARTS},
        },
    }
    with atomically(path) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def write_sources(path: Path, files: Sequence[SourceFile], selection: Selection) -> None:
    """Write the table of source files."""
    used = Counter(row.source for row in selection.rows)
    header = ("source", "sha256", "frames", "used")
    _write(path, header, ((file.name, file.sha256, file.num_frames, used[i]) for i, file in enumerate(files)))


def write_report(path: Path, files: Sequence[SourceFile], selection: Selection) -> None:
    """Write the table of frames that were left out, and why."""
    rows = ((files[frame.source].name, frame.frame, frame.reason) for frame in selection.dropped)
    _write(path, ("source", "frame", "reason"), rows)


def write_structures(path: Path, files: Sequence[SourceFile], selection: Selection) -> None:
    """Write the table of structures; number is that in the file of the part."""
    header = (
        *("part", "number", "id", "source", "frame", "formula", "subset", "parent", "atoms", "spins", "k-points"),
        *("bands", "electrons", "lowest state (eV)", "highest trusted energy (eV)", "band gap (eV)"),
        "code",
    )

    def rows() -> Iterable[Sequence[Any]]:
        for part, indices in selection.parts().items():
            for number, index in enumerate(indices):
                row = selection.rows[index]
                identity = row.identity
                yield (
                    *(part, number, identity.name, files[row.source].name, row.frame, identity.formula),
                    *(identity.subset, identity.parent, row.num_atoms, row.spins, row.num_k, row.num_bands),
                    *(f"{row.num_electrons:g}", f"{row.lowest:.4f}", f"{row.highest:.4f}", f"{row.band_gap:.4f}"),
                    row.code,
                )

    _write(path, header, rows())


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomically(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _table(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return {"file": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
