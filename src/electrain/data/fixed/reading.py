"""Reading the parts of a data set of spectra on a fixed axis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain.interface.manifests import fixed_axes_from_manifest
from electrain.interface.quantities import quantity_of
from electrain.spectra.fixed_axis import FixedAxis

from ..at_once.reading import PartOfDataSet, manifest_has
from ..at_once.writing import key_of
from .documents import FERMI_ENERGY


def has_fixed_axis(folder: Path) -> bool:
    """Whether a folder is a data set of spectra on a fixed axis; another one may be of something else, or no data set.

    :raises DamagedFileError: if there is a manifest that cannot be read.
    """
    return manifest_has(folder, "fixed_axes")


class SpectraPart(PartOfDataSet):
    """One part of a data set of spectra, whose values are in memory.

    :param folder: folder written by ``electrain prepare --spectra``, see :func:`has_fixed_axis`.
    :param part: ``"train"``, ``"validation"`` or ``"test"``.
    :raises FileNotFoundError: if a file is missing.
    :raises DamagedFileError: if a file is damaged.
    :raises ValueError: for another part, a part without structures, or numbers of structures and channels that do not
        agree with table and manifest.
    """

    target: str
    axis: FixedAxis

    def __init__(self, folder: Path, part: str) -> None:
        super().__init__(folder, part, "a manifest of spectra on a fixed axis")
        size = self.axis.size
        quantity = replace(quantity_of(self.target), key=key_of(self.target), shape=(size,))
        #: Their spectra in the unit of the target, NaN where unknown, shape ``(num_structures, axis.size)``.
        self.spectra: NDArray[np.float64]
        (self.spectra,) = self._read_values({quantity: f"a {quantity.label} on {size} channels"})

    def _read_settings(self, settings: Mapping[str, Any]) -> None:
        ((self.target, self.axis),) = fixed_axes_from_manifest(settings).items()

    def _read_columns(self, rows: Sequence[Mapping[str, str]]) -> None:
        #: Fermi energies of the calculations in eV, NaN where unknown, shape ``(num_structures,)``.
        self.fermi_energies = np.array([float(row.get(FERMI_ENERGY) or math.nan) for row in rows])
