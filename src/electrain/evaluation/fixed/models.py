"""A model of a data set of spectra on a fixed axis."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.calculators import SpectrumModel
from electrain.data.fixed.reading import SpectraPart
from electrain.pretrained import Located

from ..side_by_side.predictions import ComparedModel


def open_spectrum_model(
    located: Located,
    part: SpectraPart,
    device: str | None,
    *,
    batch_size: int,
    matmul_precision: str,
    extensions_directory: Path | None,
) -> ComparedModel:
    """Open a model that predicts the spectra of a data set; parameters are those of :class:`SpectrumModel`.

    :param batch_size: maximum number of atoms per batch.
    :raises FileNotFoundError: if the file does not exist.
    :raises ModelFileError: if it is not an exported model of spectra.
    :raises ValueError: for a model of another spectrum, or on another axis.
    """
    model = SpectrumModel(
        located.name,
        device,
        target=part.target,
        matmul_precision=matmul_precision,
        extensions_directory=extensions_directory,
    )
    theirs = part.axis
    if not model.axis.is_close(theirs):
        raise ValueError(
            f"expected a model of {part.target} on the axis of {part.folder}, {theirs}, but {located.name} predicts it "
            f"at {model.axis}; prepare the data set again with `electrain prepare --spectra ... --grid "
            f"{model.axis.start:g} {model.axis.stop:g} --step {model.axis.step:g} --unit {model.axis.unit}`"
        )

    def predict(structures: list[Atoms]) -> Iterator[NDArray[np.float64]]:
        return (result.values for result in model.predict_checked(structures, batch_size=batch_size))

    return ComparedModel(located, model.check, predict, (model.axis.size,))
