"""A model of a data set of spectra, or the mean of several, and its predictions on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.calculators import SpectrumModel
from electrain.data.fixed.reading import SpectraPart
from electrain.files.own_files import expecting, read_arrays
from electrain.files.replacing import atomically
from electrain.jobs.folder import JobFolder, make_chunks
from electrain.pretrained import Located

from ..chunk_files import CHUNK_SIZE, content_hash

_REMEDY = "delete it and run the same command to predict its structures again"


class Predictions(NamedTuple):
    """Predicted spectra of structures.

    :param predicted: in the unit of the target, NaN for a structure without prediction, shape
        ``(num_structures, num_channels)``.
    :param reasons: why a structure has none, ``""`` if it has one; shape ``(num_structures,)``.
    """

    predicted: NDArray[np.float64]
    reasons: NDArray[np.str_]


def open_spectrum_model(
    located: Located,
    part: SpectraPart,
    device: str | None,
    *,
    matmul_precision: str,
    extensions_directory: Path | None,
) -> SpectrumModel:
    """Open a model that predicts the spectra of a data set; parameters are those of :class:`SpectrumModel`.

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
    return model


def predict_part(
    model: SpectrumModel, located: Located, name: str, part: SpectraPart, job: JobFolder, batch_size: int
) -> Predictions:
    """Predict all structures of a part, those that have not been predicted before.

    :param model: the model.
    :param located: its file, whose content identifies the predictions.
    :param name: its name, for the progress bar.
    :param part: part of a data set.
    :param job: job folder for predictions of this part.
    :param batch_size: maximum number of atoms per batch.
    """
    own = content_hash([located.path])
    firsts = range(0, len(part), CHUNK_SIZE)
    files = [job.chunk(own, first, ".npz") for first in firsts]
    chunks = [part.structures[first : first + CHUNK_SIZE] for first in firsts]
    tasks = ((model, structures, batch_size) for structures in chunks)
    make_chunks(_predict_chunk, tasks, files, [len(structures) for structures in chunks], what=name)
    found = [
        _read_chunk(file, (len(structures), part.axis.size)) for file, structures in zip(files, chunks, strict=True)
    ]
    return Predictions(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def mean_of(members: Sequence[Predictions]) -> Predictions:
    """Average the predictions of several models; a structure needs those of all of them."""
    reasons = [next(filter(None, of_structure), "") for of_structure in zip(*(m.reasons for m in members), strict=True)]
    return Predictions(np.mean([member.predicted for member in members], axis=0), np.array(reasons, dtype=np.str_))


def _predict_chunk(model: SpectrumModel, structures: list[Atoms], batch_size: int, file: Path) -> None:
    reasons = []
    for atoms in structures:
        try:
            model.check(atoms)
            reasons.append("")
        except ValueError as error:
            reasons.append(str(error).partition(";")[0])  # without the list of all known elements
    usable = [index for index, reason in enumerate(reasons) if not reason]
    predicted = np.full((len(structures), model.axis.size), np.nan)
    results = model.predict_checked([structures[index] for index in usable], batch_size=batch_size)
    for index, result in zip(usable, results, strict=True):
        predicted[index] = result.values
    chunk = Predictions(predicted, np.array(reasons, dtype=np.str_))
    with atomically(file) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **chunk._asdict())


def _read_chunk(file: Path, shape: tuple[int, int]) -> Predictions:
    with expecting("predictions", file, _REMEDY):
        chunk = Predictions(**read_arrays(file, Predictions._fields, _REMEDY))
        if chunk.predicted.shape != shape or chunk.reasons.shape != shape[:1]:
            raise ValueError
    return chunk
