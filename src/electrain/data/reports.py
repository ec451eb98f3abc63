"""The files that come with the data of a data set: manifest and tables."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from electrain import __version__
from electrain.files.replacing import atomically
from electrain.interface.manifests import axis_to_manifest
from electrain.interface.quantities import QUANTITIES

from .plan import DatasetPlan, SourceFile
from .settings import Settings
from .splits import PARTS
from .targets import ELECTRONIC

FORMAT_VERSION = 2


def write_manifest(
    path: Path, plan: DatasetPlan, files: Sequence[SourceFile], settings: Settings, *, command: str, folder: Path
) -> None:
    """Write everything needed to understand and reproduce a data set, as JSON.

    :param path: file of the manifest.
    :param command: command that makes the same data set.
    :param folder: folder that contains the other files.
    """
    units = {name: QUANTITIES[name].unit for name in ELECTRONIC} | {"positions": "angstrom"}
    units |= {name: QUANTITIES[name].unit for name in plan.contents}
    manifest = {
        "format_version": FORMAT_VERSION,
        "electrain_version": __version__,
        "command": command,
        "format": plan.form,
        **axis_to_manifest(plan.axis, with_given_spectra=any(row.is_sampled for row in plan.rows)),
        "spin": "both spin channels are summed",
        "units": units,
        "codes": dict(sorted(Counter(row.code or "unknown" for row in plan.rows).items())),
        "sources": {"table": table_entry(folder / "sources.csv"), "number": len(files)},
        "structures": {"table": table_entry(folder / "structures.csv"), "number": len(plan.rows)},
        "dropped": {"table": table_entry(folder / "report.csv"), "number": len(plan.dropped)},
        "unknown_smearing": sum(row.has_unknown_smearing for row in plan.rows),
        "missing_bands": {"policy": settings.missing_bands, "number": plan.num_missing_bands},
        "split": {
            "shares": list(settings.shares) if settings.shares else None,
            "trained_on": settings.kinds.text if settings.kinds else None,
            "seed": settings.seed,
            "grouped_by": plan.split.grouped_by,
            "validates_on_training_set": plan.split.validates_on_training_set,
            "number": {part: len(getattr(plan.split, part)) for part in PARTS},
        },
    }
    with atomically(path) as unfinished:
        unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def write_sources(path: Path, files: Sequence[SourceFile], plan: DatasetPlan) -> None:
    """Write the table of source files."""
    used = Counter(row.source for row in plan.rows)
    header = ("source", "sha256", "frames", "used")
    write_table(path, header, ((file.name, file.sha256, file.num_frames, used[i]) for i, file in enumerate(files)))


def write_report(path: Path, files: Sequence[SourceFile], plan: DatasetPlan) -> None:
    """Write the table of frames that were left out, and why."""
    rows = ((files[frame.source].name, frame.frame, frame.reason) for frame in plan.dropped)
    write_table(path, ("source", "frame", "reason"), rows)


def write_structures(path: Path, files: Sequence[SourceFile], plan: DatasetPlan) -> None:
    """Write the table of structures; the number of a structure is its index in the file of its part."""
    header = (
        *("part", "number", "id", "source", "frame", "formula", "subset", "parent", "atoms", "spins", "k-points"),
        *("bands", "electrons", "lowest state (eV)", "highest trusted energy (eV)", "band gap (eV)"),
        "code",
    )

    def rows() -> Iterable[Sequence[Any]]:
        for part, indices in plan.parts().items():
            for number, index in enumerate(indices):
                row = plan.rows[index]
                identity = row.identity
                yield (
                    *(part, number, identity.name, files[row.source].name, row.frame, identity.formula),
                    *(identity.subset, identity.parent, row.num_atoms, row.spins, row.num_k, row.num_bands),
                    *(f"{row.num_electrons:g}", f"{row.lowest:.4f}", f"{row.highest:.4f}", f"{row.band_gap:.4f}"),
                    row.code,
                )

    write_table(path, header, rows())


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV."""
    with atomically(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def table_entry(path: Path) -> dict[str, str]:
    """Return name and checksum of a table for the manifest."""
    with path.open("rb") as file:
        return {"file": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
