"""Reading the parts of data sets that are made at once: manifest, table of structures, and values in memory."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.files.own_files import expecting, read_json
from electrain.interface.manifests import REMEDY
from electrain.interface.quantities import Quantity

from ..frames import FORMS, file_of_part, read_frames
from ..splits import PARTS
from ..work_folder import MANIFEST, STRUCTURES


def manifest_has(folder: Path, entry: str) -> bool:
    """Whether a folder is a data set whose manifest has an entry; a folder without a manifest is no data set.

    :raises DamagedFileError: if there is a manifest that cannot be read.
    """
    manifest = folder / MANIFEST
    content = read_json("a manifest", manifest, REMEDY) if manifest.is_file() else None
    return isinstance(content, dict) and entry in content


class Entry(NamedTuple):
    """Entry of the table of structures.

    :param name: its ``id``, or ``"structure 12"``.
    :param formula: chemical formula, not reduced.
    :param subset: its subset, ``"all"`` for a data set without subsets.
    :param num_atoms: number of atoms.
    """

    name: str
    formula: str
    subset: str
    num_atoms: int


class PartOfDataSet:
    """One part of a data set, as its manifest and the table of structures describe it.

    :param folder: folder written by ``electrain prepare``.
    :param part: ``"train"``, ``"validation"`` or ``"test"``.
    :param what: what the manifest is expected to describe, for messages.
    :raises FileNotFoundError: if a file is missing.
    :raises DamagedFileError: if a file is damaged.
    :raises ValueError: for another part, or a part without structures.
    """

    def __init__(self, folder: Path, part: str, what: str) -> None:
        if part not in PARTS:
            raise ValueError(f"expected one of the parts {', '.join(PARTS)}, got {part!r}")
        self.folder, self.part = folder, part
        manifest = folder / MANIFEST
        settings = read_json("a manifest", manifest, REMEDY)
        with expecting(what, manifest, REMEDY):
            self._read_settings(settings)
            self.form: str = settings["format"]
            if self.form not in FORMS:
                raise ValueError
            #: Number of structures in each part of the data set; a part without structures may be missing.
            self.sizes: dict[str, int] = dict(settings["split"]["number"])
            parts = ", ".join(f"{name} {count}" for name, count in self.sizes.items())
        with expecting("the table of structures", folder / STRUCTURES, REMEDY):
            with (folder / STRUCTURES).open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["part"] == part]
            self.entries = [_entry(row) for row in rows]
            self._read_columns(rows)
        if not rows:
            raise ValueError(f"expected structures in the part {part!r} of {folder}, which has none ({parts})")
        self.path = file_of_part(folder, part, self.form)
        #: The structures; lengths in A.
        self.structures: list[Atoms] = []

    def __len__(self) -> int:
        return len(self.entries)

    def _read_settings(self, settings: Mapping[str, Any]) -> None:
        """Read the manifest; any error means that it is damaged."""
        raise NotImplementedError

    def _read_columns(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Read further columns of the table of structures, if there are any; an error means that it is damaged."""

    def _read_values(self, quantities: Mapping[Quantity, str]) -> list[NDArray[np.float64]]:
        """Read the structures, and the values of quantities that each has.

        :param quantities: quantities with the shape ``(num_values,)``, and what is expected of each, for messages, such
            as ``"a spectrum on 3 channels"``.
        :return: for each quantity, shape ``(num_structures, num_values)``.
        """
        found = {quantity: np.empty((len(self), *(quantity.shape or ()))) for quantity in quantities}
        for atoms, values in read_frames(self.path, self.form, list(quantities), num_channels=0):
            number = len(self.structures)
            self.structures.append(atoms)
            if number >= len(self):
                continue
            for quantity, array in found.items():
                row = values[quantity.name].ravel()
                if len(row) != array.shape[1]:
                    raise ValueError(
                        f"{self.path}, structure {number}: expected {quantities[quantity]}, got {len(row)}"
                    )
                array[number] = row
        if len(self.structures) != len(self):
            raise ValueError(
                f"{self.path}: expected {len(self)} structures as in {STRUCTURES}, got {len(self.structures)}"
            )
        return list(found.values())


def _entry(row: Mapping[str, str]) -> Entry:
    name = row["id"] or f"structure {row['number']}"
    return Entry(name, row["formula"], row.get("subset") or "all", int(row["atoms"]))
