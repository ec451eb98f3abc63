"""Writing structures and what belongs to each of them in metatrain's own formats."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.utils.data.writers import DiskDatasetWriter, MemmapWriter
from numpy.typing import NDArray

from electrain.interface.ase_systems import to_system


class SystemData(NamedTuple):
    """A quantity of whole structures.

    :param name: of the target or the extra data.
    :param key: in extended XYZ files.
    :param properties: of the values of one structure; those of ``"zip"``.
    :param values: of each structure: shape ``(len(properties),)``, or ``()`` for a number.
    """

    name: str
    key: str
    properties: Labels
    values: Sequence[NDArray[Any]]


def key_of(name: str) -> str:
    """Return the key of a target or extra data in extended XYZ files."""
    return name.removeprefix("mtt::")


def write_part(path: Path, form: str, structures: Sequence[Atoms], data: Sequence[SystemData]) -> None:
    """Write one part of a data set.

    :param path: file or folder to write.
    :param form: ``"xyz"``, ``"zip"`` or ``"memmap"``.
    :param structures: the structures.
    :param data: what belongs to them, in the order of the keys.
    """
    plain = [_plain(atoms) for atoms in structures]
    if form == "xyz":
        for index, atoms in enumerate(plain):
            atoms.info |= {
                one.key: one.values[index] if one.values[index].ndim else one.values[index].item() for one in data
            }
        ase.io.write(path, plain, format="extxyz")
        return
    writer: Any = DiskDatasetWriter(path) if form == "zip" else MemmapWriter(path)
    for index, atoms in enumerate(plain):
        writer.write([to_system(atoms)], {one.name: _of_system(one.values[index], one.properties) for one in data})
    writer.finish()


def _of_system(values: NDArray[Any], properties: Labels) -> TensorMap:
    row = torch.from_numpy(np.asarray(values, dtype=np.float64)).reshape(1, -1)
    return TensorMap(Labels.single(), [TensorBlock(row, Labels.range("system", 1), [], properties)])


def _plain(atoms: Atoms) -> Atoms:
    """The structure alone with its id; metatomic accepts no cell vectors in open directions."""
    plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[:] * atoms.pbc[:, None], pbc=atoms.pbc)
    plain.info = {key: atoms.info[key] for key in ("id",) if key in atoms.info}
    return plain
