"""Bands along a path of k-points as metatensor properties, in predictions and in data sets of TensorMaps.

A value for each band at each k-point, band after band: number ``n * num_k + k`` is band n at k-point k. Data sets may
leave it to metatrain to number the values; only how many there are is compared then.
"""

from typing import NamedTuple

import torch
from metatensor.torch import Labels

_NAMES = ["band", "k_point"]


class BandsShape(NamedTuple):
    """How many energies a structure has."""

    num_bands: int
    num_k_points: int


def bands_to_labels(shape: BandsShape) -> Labels:
    """Return the property labels of bands, with the columns ``band`` and ``k_point``, both counted from 0."""
    ranges = [torch.arange(size, dtype=torch.int32) for size in shape]
    return Labels(_NAMES, torch.cartesian_prod(*ranges))


def labels_to_bands(labels: Labels) -> BandsShape:
    """Return what :func:`bands_to_labels` was given."""
    last = labels.values[-1].tolist()
    return BandsShape(last[0] + 1, last[1] + 1)


def check_bands(name: str, labels: Labels, shape: BandsShape) -> None:
    """Check the bands of a data set.

    :param name: name of the target.
    :param labels: its properties.
    :param shape: what the options of the model say.
    :raises ValueError: for another number of bands or k-points, or another order.
    """
    expected = (
        f"target {name!r} with `num_bands` times `num_k_points` values, as in `architecture.model`: "
        f"{shape.num_bands} x {shape.num_k_points} = {shape.num_bands * shape.num_k_points}"
    )
    if len(labels) != shape.num_bands * shape.num_k_points:
        raise ValueError(f"expected {expected}, got {len(labels)} in the dataset")
    if labels.names == _NAMES and labels != bands_to_labels(shape):
        found = labels_to_bands(labels)
        raise ValueError(
            f"expected {expected}, band after band, got labels of {found.num_bands} bands at {found.num_k_points} "
            "k-points in the dataset"
        )
