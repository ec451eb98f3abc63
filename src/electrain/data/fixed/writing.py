"""Writing spectra in metatrain's own formats."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from metatensor.torch import Labels
from numpy.typing import NDArray

from electrain.interface.fixed_axes import fixed_axis_to_labels
from electrain.interface.states import CRYSTAL_SYSTEM
from electrain.spectra.fixed_axis import FixedAxis
from electrain.structures.crystal_systems import KEY, crystal_system_number

from ..at_once.writing import SystemData, key_of, write_part
from .spectrum import FixedSpectrum


def write_spectra(
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
    structures = [spectrum.atoms for spectrum in spectra]
    systems = [np.array(crystal_system_number(atoms)) for atoms in structures]
    numbers = SystemData(CRYSTAL_SYSTEM, KEY, Labels.range(CRYSTAL_SYSTEM.removeprefix("mtt::"), 1), systems)
    write_part(
        path, form, structures, [numbers, SystemData(target, key_of(target), fixed_axis_to_labels(axis), values)]
    )
