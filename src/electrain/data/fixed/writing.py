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
from electrain.interface.states import CRYSTAL_SYSTEM
from electrain.spectra.fixed_axis import FixedAxis
from electrain.structures.crystal_systems import KEY, crystal_system_number

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
    """Write one part of a data set, with the number of the crystal system of each structure.

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
            atoms.info[KEY] = crystal_system_number(atoms)
            atoms.info[key_of(target)] = of_structure
        ase.io.write(path, structures, format="extxyz")
        return
    writer: Any = DiskDatasetWriter(path) if form == "zip" else MemmapWriter(path)
    labels = fixed_axis_to_labels(axis)
    for atoms, of_structure in zip(structures, values, strict=True):
        spectrum = _of_system(torch.from_numpy(of_structure).reshape(1, -1), labels)
        number = torch.tensor([[crystal_system_number(atoms)]], dtype=torch.float64)
        system = _of_system(number, Labels.range(CRYSTAL_SYSTEM.removeprefix("mtt::"), 1))
        writer.write([to_system(atoms)], {target: spectrum, CRYSTAL_SYSTEM: system})
    writer.finish()


def _of_system(values: torch.Tensor, properties: Labels) -> TensorMap:
    return TensorMap(Labels.single(), [TensorBlock(values, Labels.range("system", 1), [], properties)])


def _plain(atoms: Atoms) -> Atoms:
    """The structure alone with its id; metatomic accepts no cell vectors in open directions."""
    plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[:] * atoms.pbc[:, None], pbc=atoms.pbc)
    plain.info = {key: atoms.info[key] for key in ("id",) if key in atoms.info}
    return plain
