"""Reading the files of a part of a data set, structure by structure, in every format."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import ase.io
import numpy as np
from ase import Atoms
from metatensor.torch import TensorBlock
from metatrain.utils.data import DiskDataset
from numpy.typing import NDArray

from electrain.files.own_files import expecting
from electrain.interface.manifests import REMEDY
from electrain.interface.quantities import Quantity
from electrain.structures.crystal_systems import KEY

from .readers.common import plain_structure
from .readers.extended_xyz import found_in
from .writing import part_name

# A structure, and the values of its quantities by name.
Frame: TypeAlias = tuple[Atoms, dict[str, NDArray[np.float64]]]


def file_of_part(folder: Path, part: str, form: str) -> Path:
    """Return the file or folder of a part of a data set.

    :raises FileNotFoundError: if it does not exist.
    """
    path = folder / part_name(part, form)
    if not path.exists():
        raise FileNotFoundError(f"the manifest in {folder} lists {path.name}, which does not exist")
    return path


def read_frames(path: Path, form: str, quantities: Sequence[Quantity], num_channels: int) -> Iterator[Frame]:
    """Read all structures of a file, one at a time.

    :param path: file or folder.
    :param form: its format, one of :data:`FORMS`.
    :param quantities: what it contains; in extended XYZ files under their keys.
    :param num_channels: number of values of a spectrum.
    :raises DamagedFileError: if it is damaged.
    """
    with expecting(f"structures in the format {form}", path, REMEDY):
        yield from _READERS[form](path, quantities, num_channels)


def _read_xyz(path: Path, quantities: Sequence[Quantity], num_channels: int) -> Iterator[Frame]:
    for atoms in ase.io.iread(path, format="extxyz"):
        found, structure = found_in(atoms), plain_structure(atoms)
        if KEY in atoms.info:  # which may be another one than that of the structure alone, if it is a snapshot
            structure.info[KEY] = atoms.info[KEY]
        yield (
            structure,
            {quantity.name: np.asarray(found[quantity.key], dtype=np.float64) for quantity in quantities},
        )


def _read_zip(path: Path, quantities: Sequence[Quantity], num_channels: int) -> Iterator[Frame]:
    for sample in DiskDataset(path):
        targets = dict(zip(sample._fields, sample, strict=True))
        system = targets["system"]
        cell, positions = system.cell.double().numpy(), system.positions.double().numpy()
        values = {}
        for quantity in quantities:
            block: TensorBlock = targets[quantity.gradient_of or quantity.name].block()
            factor = 1.0
            if quantity.gradient_parameter == "positions":
                block, factor = block.gradient("positions"), -1.0
            elif quantity.gradient_parameter == "strain":
                volume = abs(float(np.linalg.det(cell)))
                block, factor = block.gradient("strain"), 1 / volume if volume else math.nan
            values[quantity.name] = factor * block.values.double().numpy()
        yield Atoms(system.types.numpy(), positions=positions, cell=cell, pbc=system.pbc.numpy()), values


def _read_memmap(path: Path, quantities: Sequence[Quantity], num_channels: int) -> Iterator[Frame]:
    """Read the layout of metatrain's ``MemmapDataset``; open directions have no cell vector."""
    ends = np.load(path / "na.npy")
    count, num_atoms = len(ends) - 1, int(ends[-1])

    def array(name: str, *shape: int, kind: str = "float32") -> Any:
        return np.memmap(path / f"{name}.bin", kind, "r", shape=shape)

    numbers, positions, cells = array("a", num_atoms, kind="int32"), array("x", num_atoms, 3), array("c", count, 3, 3)
    arrays = {}
    for quantity in quantities:
        name = f"{quantity.gradient_of}_{quantity.name}" if quantity.gradient_of else quantity.name
        shape = quantity.array_shape(num_atoms, (num_channels,))
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
FORMS = tuple(_READERS)
