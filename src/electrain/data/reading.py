"""Reading the parts of a data set written by ``electrain prepare``, structure by structure."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import ase.io
import numpy as np
from ase import Atoms
from metatensor.torch import TensorBlock
from metatrain.utils.data import DiskDataset
from numpy.typing import NDArray

from electrain.files.own_files import expecting, read_json
from electrain.interface.manifests import REMEDY, axis_from_manifest
from electrain.interface.quantities import Quantity, in_data_sets

from .readers.common import plain_structure
from .readers.extended_xyz import found_in
from .splits import PARTS
from .targets import ELECTRONIC
from .work_folder import MANIFEST, STRUCTURES
from .writing import part_name

_Frame: TypeAlias = tuple[Atoms, dict[str, NDArray[np.float64]]]


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
                f"({', '.join(settings['fixed_axes'])}), whose errors are in the log of their training"
            )
        with expecting("a manifest", manifest, REMEDY):
            self.form: str = settings["format"]
            self._read = _READERS[self.form]
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
        self.path = folder / part_name(part, self.form)
        if not self.path.exists():
            raise FileNotFoundError(f"the manifest in {folder} lists {self.path.name}, which does not exist")

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

    def _frames(self) -> Iterator[_Frame]:
        with expecting(f"structures in the format {self.form}", self.path, REMEDY):
            yield from self._read(self)

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


def _read_xyz(part: PreparedPart) -> Iterator[_Frame]:
    for atoms in ase.io.iread(part.path, format="extxyz"):
        found = found_in(atoms)
        yield (
            plain_structure(atoms),
            {quantity.name: np.asarray(found[quantity.key], dtype=np.float64) for quantity in part.quantities()},
        )


def _read_zip(part: PreparedPart) -> Iterator[_Frame]:
    for sample in DiskDataset(part.path):
        targets = dict(zip(sample._fields, sample, strict=True))
        system = targets["system"]
        cell, positions = system.cell.double().numpy(), system.positions.double().numpy()
        values = {}
        for quantity in part.quantities():
            block: TensorBlock = targets[quantity.gradient_of or quantity.name].block()
            factor = 1.0
            if quantity.gradient_parameter == "positions":
                block, factor = block.gradient("positions"), -1.0
            elif quantity.gradient_parameter == "strain":
                volume = abs(float(np.linalg.det(cell)))
                block, factor = block.gradient("strain"), 1 / volume if volume else math.nan
            values[quantity.name] = factor * block.values.double().numpy()
        yield Atoms(system.types.numpy(), positions=positions, cell=cell, pbc=system.pbc.numpy()), values


def _read_memmap(part: PreparedPart) -> Iterator[_Frame]:
    """Read the layout of metatrain's ``MemmapDataset``; open directions have no cell vector."""
    ends = np.load(part.path / "na.npy")
    count, num_atoms = len(ends) - 1, int(ends[-1])

    def array(name: str, *shape: int, kind: str = "float32") -> Any:
        return np.memmap(part.path / f"{name}.bin", kind, "r", shape=shape)

    numbers, positions, cells = array("a", num_atoms, kind="int32"), array("x", num_atoms, 3), array("c", count, 3, 3)
    arrays = {}
    for quantity in part.quantities():
        name = f"{quantity.gradient_of}_{quantity.name}" if quantity.gradient_of else quantity.name
        shape = quantity.array_shape(num_atoms, (part.axis.grid.size,))
        arrays[quantity] = array(name, *(shape if quantity.per == "atom" else (count, *shape)))

    def copied(values: Any) -> NDArray[np.float64]:
        return np.array(values, dtype=np.float64)

    for index in range(count):
        own = slice(int(ends[index]), int(ends[index + 1]))
        cell = copied(cells[index])
        yield (
            Atoms(numbers[own], positions=copied(positions[own]), cell=cell, pbc=cell.any(axis=1)),
            {
                quantity.name: copied(values[own if quantity.per == "atom" else index])
                for quantity, values in arrays.items()
            },
        )


_READERS = {"xyz": _read_xyz, "zip": _read_zip, "memmap": _read_memmap}
