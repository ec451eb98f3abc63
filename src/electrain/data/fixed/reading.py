"""Reading the parts of a data set of spectra on a fixed axis."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.files.own_files import expecting, read_json
from electrain.interface.manifests import REMEDY, fixed_axes_from_manifest
from electrain.interface.quantities import quantity_of

from ..at_once.writing import key_of
from ..frames import FORMS, file_of_part, read_frames
from ..splits import PARTS
from ..work_folder import MANIFEST, STRUCTURES
from .documents import FERMI_ENERGY


class SpectrumEntry(NamedTuple):
    """Entry of the table of structures.

    :param name: its ``id``, or ``"structure 12"``.
    :param formula: chemical formula, not reduced.
    :param subset: its subset, ``"all"`` for a data set without subsets.
    :param num_atoms: number of atoms.
    :param fermi_energy: in eV, NaN if unknown.
    """

    name: str
    formula: str
    subset: str
    num_atoms: int
    fermi_energy: float


def has_fixed_axis(folder: Path) -> bool:
    """Whether a folder is a data set of spectra on a fixed axis; another one may be of calculations, or no data set.

    :raises DamagedFileError: if there is a manifest that cannot be read.
    """
    manifest = folder / MANIFEST
    content = read_json("a manifest", manifest, REMEDY) if manifest.is_file() else None
    return isinstance(content, dict) and "fixed_axes" in content


class SpectraPart:
    """One part of a data set of spectra, whose values are in memory.

    :param folder: folder written by ``electrain prepare --spectra``, see :func:`has_fixed_axis`.
    :param part: ``"train"``, ``"validation"`` or ``"test"``.
    :raises FileNotFoundError: if a file is missing.
    :raises DamagedFileError: if a file is damaged.
    :raises ValueError: for another part, a part without structures, or numbers of structures and channels that do not
        agree with table and manifest.
    """

    def __init__(self, folder: Path, part: str) -> None:
        if part not in PARTS:
            raise ValueError(f"expected one of the parts {', '.join(PARTS)}, got {part!r}")
        self.folder, self.part = folder, part
        manifest = folder / MANIFEST
        settings = read_json("a manifest", manifest, REMEDY)
        with expecting("a manifest of spectra on a fixed axis", manifest, REMEDY):
            ((self.target, self.axis),) = fixed_axes_from_manifest(settings).items()
            self.form: str = settings["format"]
            if self.form not in FORMS:
                raise ValueError
            #: Number of structures in each part of the data set; a part without structures may be missing.
            self.sizes: dict[str, int] = dict(settings["split"]["number"])
            parts = ", ".join(f"{name} {count}" for name, count in self.sizes.items())
        with expecting("the table of structures", folder / STRUCTURES, REMEDY):
            self.entries = _read_entries(folder / STRUCTURES, part)
        if not self.entries:
            raise ValueError(f"expected structures in the part {part!r} of {folder}, which has none ({parts})")
        self.path = file_of_part(folder, part, self.form)
        #: The structures; lengths in A.
        self.structures: list[Atoms] = []
        #: Their spectra in the unit of the target, NaN where unknown, shape ``(num_structures, axis.size)``.
        self.spectra: NDArray[np.float64] = np.empty((len(self.entries), self.axis.size))
        self._read()

    def __len__(self) -> int:
        return len(self.entries)

    def _read(self) -> None:
        quantity = replace(quantity_of(self.target), key=key_of(self.target))
        for atoms, values in read_frames(self.path, self.form, [quantity], self.axis.size):
            number, found = len(self.structures), values[self.target].ravel()
            if number < len(self.entries):
                if len(found) != self.axis.size:
                    raise ValueError(
                        f"{self.path}, structure {number}: expected a {quantity.label} on {self.axis.size} channels, "
                        f"got {len(found)}"
                    )
                self.spectra[number] = found
            self.structures.append(atoms)
        if len(self.structures) != len(self.entries):
            raise ValueError(
                f"{self.path}: expected {len(self.entries)} structures as in {STRUCTURES}, got {len(self.structures)}"
            )


def _read_entries(path: Path, part: str) -> list[SpectrumEntry]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            SpectrumEntry(
                name=row["id"] or f"structure {row['number']}",
                formula=row["formula"],
                subset=row.get("subset") or "all",
                num_atoms=int(row["atoms"]),
                fermi_energy=float(row.get(FERMI_ENERGY) or math.nan),
            )
            for row in csv.DictReader(file)
            if row["part"] == part
        ]
