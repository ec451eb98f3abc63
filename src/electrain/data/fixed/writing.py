"""Writing spectra in metatrain's own formats."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.utils.data.writers import DiskDatasetWriter, MemmapWriter
from numpy.typing import NDArray

from electrain.interface.ase_systems import to_system
from electrain.interface.fixed_axes import fixed_axis_to_labels
from electrain.spectra.fixed_axis import FixedAxis

from .spectrum import FixedSpectrum


def key_of(target: str) -> str:
    """Return the key of a target in extended XYZ files."""
    return target.removeprefix("mtt::")


def write_part(
    path: Path,
    form: str,
    target: str,
    axis: FixedAxis,
    spectra: Sequence[FixedSpectrum],
    values: Sequence[NDArray[np.float64]],
) -> None:
    """Write one part of a data set.

    :param path: file or folder to write.
    :param form: ``"xyz"``, ``"zip"`` or ``"memmap"``.
    :param target: name of the target.
    :param axis: axis of the values, whose channels are the property labels of ``"zip"``.
    :param spectra: the structures.
    :param values: the spectrum of each.
    """
    structures = [_plain(spectrum.atoms) for spectrum in spectra]
    if form == "xyz":
        for atoms, of_structure in zip(structures, values, strict=True):
            atoms.info[key_of(target)] = of_structure
        ase.io.write(path, structures, format="extxyz")
        return
    writer: Any = DiskDatasetWriter(path) if form == "zip" else MemmapWriter(path)
    labels = fixed_axis_to_labels(axis)
    for atoms, of_structure in zip(structures, values, strict=True):
        block = TensorBlock(torch.from_numpy(of_structure).reshape(1, -1), Labels.range("system", 1), [], labels)
        writer.write([to_system(atoms)], {target: TensorMap(Labels.single(), [block])})
    writer.finish()


def _plain(atoms: Atoms) -> Atoms:
    """The structure alone with its id; metatomic accepts no cell vectors in open directions."""
    plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[:] * atoms.pbc[:, None], pbc=atoms.pbc)
    plain.info = {key: atoms.info[key] for key in ("id",) if key in atoms.info}
    return plain
