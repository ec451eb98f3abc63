"""A model of a data set of bands."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from electrain.bands import KPath
from electrain.calculators import BandModel
from electrain.calculators.batches import in_batches
from electrain.data.bands.reading import BandsPart
from electrain.pretrained import Located

from ..side_by_side.predictions import ComparedModel


def open_band_model(
    located: Located,
    part: BandsPart,
    device: str | None,
    *,
    batch_size: int,
    matmul_precision: str,
    extensions_directory: Path | None,
) -> ComparedModel:
    """Open a model that predicts the bands of a data set; parameters are those of :class:`BandModel`.

    It predicts bands along the paths of the data set (:func:`paths_of`), in ascending order at each k-point.

    :param batch_size: maximum number of atoms per batch.
    :raises FileNotFoundError: if the file does not exist.
    :raises ModelFileError: if it is not an exported model of bands.
    :raises ValueError: for a model of other numbers of bands or k-points.
    """
    model = BandModel(
        located.name, device, matmul_precision=matmul_precision, extensions_directory=extensions_directory
    )
    if model.shape != part.shape:
        own, theirs = model.shape, part.shape
        raise ValueError(
            f"expected a model of {theirs.num_bands} bands at {theirs.num_k_points} k-points, as in {part.folder}, but "
            f"{located.name} predicts {own.num_bands} bands at {own.num_k_points}; prepare the data set again with "
            f"`electrain prepare --bands ... --num-bands {own.num_bands} --num-k-points {own.num_k_points}`"
        )

    def predict(paths: list[KPath]) -> Iterator[NDArray[np.float64]]:
        remaining = iter(paths)
        for batch in in_batches([path.atoms for path in paths], batch_size):
            for bands in model.along([next(remaining) for _ in batch]):
                yield bands.energies[0].T

    return ComparedModel(located, lambda path: model.check(path.atoms), predict, tuple(model.shape))


def paths_of(part: BandsPart) -> list[KPath]:
    """Return the structures with their k-points, as the data set has them; no point has a name."""
    return [KPath(atoms, k_points, ()) for atoms, k_points in zip(part.structures, part.k_points, strict=True)]
