"""Bands that are taken from the training set as they are."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from electrain.data.bands.reading import BandsPart

from .prototypes import Nearest, nearest_compounds

MEAN_BANDS, NEAREST_COMPOUND = "mean of training set", "nearest training compound"


class BaselineBands(NamedTuple):
    """Predictions of the baselines.

    :param predicted: in eV by name of the baseline, shape ``(num_structures, num_bands, num_k_points)``; NaN for bands
        that are not known of any training structure.
    :param nearest: the training structure that each structure's bands are taken from.
    """

    predicted: dict[str, NDArray[np.float64]]
    nearest: Nearest


def baseline_bands(train: BandsPart, part: BandsPart) -> BaselineBands:
    """Predict the bands of a part from those of the training set, as they are.

    The mean of the training set is that of each band at each place of the path, over the structures in which the band
    is known. The nearest training compound (:func:`~.prototypes.nearest_compounds`) has bands of its own; if one is not
    known, that of the mean takes its place. Both are taken index by index along the path, where k-points correspond
    only within one Bravais lattice.

    :param train: the training set. If it is the evaluated part itself, the nearest compound of a structure is another
        one, and the mean includes it.
    :param part: the evaluated part.
    """
    known = np.isfinite(train.energies)
    number = known.sum(axis=0)
    total = np.where(known, train.energies, 0.0).sum(axis=0)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    nearest = nearest_compounds(train.structures, part.structures, leave_out_own=train is part)
    own = np.where((nearest.indices >= 0)[:, None, None], train.energies[nearest.indices], np.nan)
    everything = {
        MEAN_BANDS: np.repeat(mean[None], len(part), axis=0),
        NEAREST_COMPOUND: np.where(np.isfinite(own), own, mean),
    }
    return BaselineBands({name: _ascending(energies) for name, energies in everything.items()}, nearest)


def _ascending(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sort the bands at each k-point, those that are known among themselves, as predictions of models are."""
    result = energies.copy()
    for own in result:
        known = np.isfinite(own).all(axis=1)
        own[known] = np.sort(own[known], axis=0)
    return result
