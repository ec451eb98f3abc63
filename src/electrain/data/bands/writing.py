"""Writing bands and k-points in metatrain's own formats."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from metatensor.torch import Labels

from electrain.interface.band_labels import BandsShape, bands_to_labels
from electrain.interface.quantities import BANDS
from electrain.interface.states import K_POINTS

from ..at_once.writing import SystemData, key_of, write_part
from .settings import LearnedBands

# Finer than any calculation, and half as long in extended XYZ files as all digits.
_DECIMALS_OF_ENERGIES = 6  # eV
_DECIMALS_OF_K_POINTS = 8


def write_bands(path: Path, form: str, shape: BandsShape, learned: Sequence[LearnedBands]) -> None:
    """Write one part of a data set.

    Energies are written band after band, coordinates k-point after k-point.

    :param path: file or folder to write.
    :param form: ``"xyz"``, ``"zip"`` or ``"memmap"``.
    :param shape: numbers of bands and k-points.
    :param learned: the structures.
    """
    energies = [np.round(one.targets.energies.ravel(), _DECIMALS_OF_ENERGIES) for one in learned]
    k_points = [np.round(one.targets.k_points.ravel(), _DECIMALS_OF_K_POINTS) for one in learned]
    axes = Labels(
        ["k_point", "axis"], torch.cartesian_prod(torch.arange(shape.num_k_points), torch.arange(3)).to(torch.int32)
    )
    data = [
        SystemData(K_POINTS, key_of(K_POINTS), axes, k_points),
        SystemData(BANDS, key_of(BANDS), bands_to_labels(shape), energies),
    ]
    write_part(path, form, [one.atoms for one in learned], data)
