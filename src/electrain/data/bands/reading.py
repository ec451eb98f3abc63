"""Reading the parts of a data set of bands."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain.interface.band_labels import BandsShape
from electrain.interface.manifests import bands_from_manifest
from electrain.interface.quantities import BANDS, Quantity, quantity_of
from electrain.interface.states import K_POINTS

from ..at_once.reading import PartOfDataSet, manifest_has
from ..at_once.writing import key_of
from .settings import MESH


def has_bands(folder: Path) -> bool:
    """Whether a folder is a data set of bands; another one may be of something else, or no data set.

    :raises DamagedFileError: if there is a manifest that cannot be read.
    """
    return manifest_has(folder, "bands")


class BandsPart(PartOfDataSet):
    """One part of a data set of bands along paths, whose values are in memory.

    Bands on meshes, which are there for training only, are left out.

    :param folder: folder written by ``electrain prepare --bands``, see :func:`has_bands`.
    :param part: ``"train"``, ``"validation"`` or ``"test"``.
    :raises FileNotFoundError: if a file is missing.
    :raises DamagedFileError: if a file is damaged.
    :raises ValueError: for another part, a part without structures, or numbers of structures, bands and k-points that
        do not agree with table and manifest.
    """

    target = BANDS
    shape: BandsShape

    def __init__(self, folder: Path, part: str) -> None:
        super().__init__(folder, part, "a manifest of bands along paths")
        num_bands, num_k_points = self.shape
        size, num_coordinates = num_bands * num_k_points, 3 * num_k_points
        quantities = {
            replace(quantity_of(BANDS), key=key_of(BANDS), shape=(size,)): (
                f"{num_bands} bands at {num_k_points} k-points, which are {size} energies"
            ),
            Quantity(K_POINTS, "k-points", key=key_of(K_POINTS), shape=(num_coordinates,)): (
                f"{num_k_points} k-points, which are {num_coordinates} coordinates"
            ),
        }
        energies, k_points = (values[self._is_path] for values in self._read_values(quantities))
        self.entries, self.structures = (
            list(compress(items, self._is_path)) for items in (self.entries, self.structures)
        )
        #: In eV from the middle of the gap or the Fermi level, ascending; NaN for bands that are not known; shape
        #: ``(num_structures, num_bands, num_k_points)``.
        self.energies: NDArray[np.float64] = energies.reshape(len(self), num_bands, num_k_points)
        #: Fractional coordinates, shape ``(num_structures, num_k_points, 3)``.
        self.k_points: NDArray[np.float64] = k_points.reshape(len(self), num_k_points, 3)

    def _read_columns(self, rows: Sequence[Mapping[str, str]]) -> None:
        self._is_path = np.array([row.get("k-points of") != MESH for row in rows], dtype=bool)

    def _read_settings(self, settings: Mapping[str, Any]) -> None:
        shape = bands_from_manifest(settings)
        if shape is None:
            raise ValueError
        self.shape = shape
