"""Reading the parts of a data set written by ``electrain prepare``, structure by structure."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.files.own_files import expecting, read_json
from electrain.interface.manifests import REMEDY, axis_from_manifest
from electrain.interface.quantities import Quantity, in_data_sets

from .frames import FORMS, Frame, file_of_part, read_frames
from .splits import PARTS
from .targets import ELECTRONIC
from .work_folder import MANIFEST, STRUCTURES


class Entry(NamedTuple):
    """Entry of the table of structures for one structure of a part.

    :param name: its ``id``, or ``"structure 12"``.
    :param formula: reduced formula, as in the table.
    :param subset: its subset, ``"all"`` for a data set without subsets.
    :param num_electrons: number of electrons in the calculation, NaN if unknown.
    """

    name: str
    formula: str
    subset: str
    num_electrons: float


@dataclass(frozen=True, eq=False)
class LabelledStructure:
    """A structure with its targets.

    :param entry: its entry in the table of structures.
    :param atoms: the structure; lengths in A.
    :param values: values of all quantities of data sets by name, in their units; NaN if unknown. Spectra are on the
        prediction grid, shape ``(..., axis.grid.size)``, and NaN where not trusted.
    """

    entry: Entry
    atoms: Atoms
    values: dict[str, NDArray[np.float64]]


class PreparedPart:
    """One part of a data set.

    :param folder: folder written by ``electrain prepare``.
    :param part: ``"train"``, ``"validation"`` or ``"test"``.
    :raises FileNotFoundError: if the folder is not a data set, or a file is missing.
    :raises DamagedFileError: if the manifest or the table of structures is damaged.
    :raises ValueError: for another part, or a part without structures.
    """

    def __init__(self, folder: Path, part: str) -> None:
        if part not in PARTS:
            raise ValueError(f"expected one of the parts {', '.join(PARTS)}, got {part!r}")
        manifest = folder / MANIFEST
        if not manifest.is_file():
            raise FileNotFoundError(
                f"expected a folder written by `electrain prepare`, but there is no {MANIFEST} in {folder}"
            )
        self.folder, self.part = folder, part
        settings = read_json("a manifest", manifest, REMEDY)
        if isinstance(settings, dict) and "fixed_axes" in settings:
            raise ValueError(
                f"expected a data set of calculations, but {folder} has spectra on a fixed axis "
                f"({', '.join(settings['fixed_axes'])})"
            )
        if isinstance(settings, dict) and "bands" in settings:
            raise ValueError(f"expected a data set of calculations, but {folder} has bands along paths of k-points")
        with expecting("a manifest", manifest, REMEDY):
            self.form: str = settings["format"]
            if self.form not in FORMS:
                raise ValueError
            self.axis = axis_from_manifest(settings)
            self.has = {
                quantity.name: quantity.name in settings["units"]
                for quantity in in_data_sets()
                if quantity.name not in ELECTRONIC
            }
            parts = ", ".join(f"{name} {count}" for name, count in settings["split"]["number"].items())
        with expecting("the table of structures", folder / STRUCTURES, REMEDY):
            self.entries = _read_entries(folder / STRUCTURES, part)
        if not self.entries:
            raise ValueError(f"expected structures in the part {part!r} of {folder}, which has none ({parts})")
        self.path = file_of_part(folder, part, self.form)

    def __len__(self) -> int:
        return len(self.entries)

    def structures(self) -> Iterator[LabelledStructure]:
        """Read all structures, one at a time, in the order of the file.

        :raises DamagedFileError: if the file is damaged.
        :raises ValueError: if the number of structures or channels does not agree with table and manifest.
        """
        count = 0
        for atoms, known in self._frames():
            if count == len(self.entries):
                raise ValueError(f"{self.path}: expected {count} structures as in {STRUCTURES}, got more")
            values = {}
            for quantity in in_data_sets():
                shape = quantity.array_shape(len(atoms), (self.axis.grid.size,))
                found = known.get(quantity.name, np.full(shape, math.nan))
                if found.shape[-1:] != shape[-1:] and quantity.is_spectrum:
                    raise ValueError(
                        f"{self.path}, structure {count}: expected a {quantity.label} on {self.axis.grid.size} "
                        f"channels, got {found.shape[-1]}"
                    )
                values[quantity.name] = found.reshape(shape)
            yield LabelledStructure(self.entries[count], atoms, values)
            count += 1
        if count != len(self.entries):
            raise ValueError(f"{self.path}: expected {len(self.entries)} structures as in {STRUCTURES}, got {count}")

    def _frames(self) -> Iterator[Frame]:
        yield from read_frames(self.path, self.form, self.quantities(), self.axis.grid.size)

    def quantities(self) -> list[Quantity]:
        """Return the quantities in its files."""
        return [quantity for quantity in in_data_sets() if self.has.get(quantity.name, True)]


def _read_entries(path: Path, part: str) -> list[Entry]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Entry(
                name=row["id"] or f"structure {row['number']}",
                formula=row["formula"],
                subset=row["subset"] or "all",
                num_electrons=float(row["electrons"]),
            )
            for row in csv.DictReader(file)
            if row["part"] == part
        ]
