"""Predictions of one or several models on disk, and their mean."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from electrain.data.at_once.reading import PartOfDataSet
from electrain.files.own_files import expecting, read_arrays
from electrain.files.replacing import atomically
from electrain.jobs.folder import JobFolder, make_chunks
from electrain.pretrained import Located, locate

from ..chunk_files import CHUNK_SIZE, check_inputs, content_hash, open_predictions
from ..evaluated_ensemble import check_ensemble
from ..tables import short_names

_REMEDY = "delete it and run the same command to predict its structures again"


class Predictions(NamedTuple):
    """Predictions for structures.

    :param predicted: NaN for a structure without prediction, shape ``(num_structures, ...)``.
    :param reasons: why a structure has none, ``""`` if it has one; shape ``(num_structures,)``.
    """

    predicted: NDArray[np.float64]
    reasons: NDArray[np.str_]


class ComparedModel(NamedTuple):
    """A model, as predictions need it.

    :param located: its file, whose content identifies the predictions.
    :param check: raises a ``ValueError`` for a structure that it cannot compute.
    :param predict: computes structures that passed the check, one result for each.
    :param shape: shape of a result.
    """

    located: Located
    check: Callable[[Any], None]
    predict: Callable[[list[Any]], Iterable[NDArray[np.float64]]]
    shape: tuple[int, ...]


class AllPredictions(NamedTuple):
    """Predictions of all models for a part of a data set.

    :param job: the folder in which they are stored.
    :param sources: for the name of each model in tables and figures, its file or name, or those of all members of an
        ensemble.
    :param found: predictions by name of the model.
    """

    job: JobFolder
    sources: dict[str, str]
    found: dict[str, Predictions]


class _HasReasons(Protocol):
    @property
    def reasons(self) -> Sequence[str] | NDArray[np.str_]: ...


@contextmanager
def predict_with_all(
    models: Sequence[str | Path],
    part: PartOfDataSet,
    structures: Sequence[Any],
    report: Path,
    *,
    what: str,
    open_model: Callable[[Located], ComparedModel],
    ensemble: bool,
    overwrite: bool,
) -> Iterator[AllPredictions]:
    """Predict all structures with all models, those that have not been predicted before, and lock the folder.

    :param models: exported ``.pt`` files, or names of models.
    :param part: part of a data set.
    :param structures: its structures, as models check and predict them.
    :param report: folder for the report; new or empty, or with an evaluation of the same data set.
    :param what: what is predicted.
    :param open_model: opens a model.
    :param ensemble: whether the mean of all models is the first one.
    :param overwrite: replace the evaluation of another data set.
    :raises ValueError: for an ensemble of one, if a model does not match the data set, or if the report would replace
        the data set or a model.
    :raises BlockingIOError: if another process is working in the folder.
    :raises FileExistsError: if the folder contains other files.
    """
    if ensemble:
        check_ensemble(models, [])
    located = [locate(model) for model in models]
    check_inputs([part.folder, *(model.path for model in located)], report)
    opened = [open_model(model) for model in located]
    compared = dict(zip(short_names([model.name for model in located]), opened, strict=True))
    content = {"content": [what, *Predictions._fields]}
    with open_predictions(report, part.folder, part.part, content, "", overwrite=overwrite) as job:
        found = {name: _predict(name, model, structures, job) for name, model in compared.items()}
        sources = {name: model.located.name for name, model in compared.items()}
        if ensemble:
            name = f"ensemble of {len(compared)}"
            sources = {name: ", ".join(sources.values()), **sources}
            found = {name: mean_of(list(found.values())), **found}
        yield AllPredictions(job, sources, found)


def mean_of(members: Sequence[Predictions]) -> Predictions:
    """Average the predictions of several models; a structure needs those of all of them."""
    reasons = [next(filter(None, of_structure), "") for of_structure in zip(*(m.reasons for m in members), strict=True)]
    return Predictions(np.mean([member.predicted for member in members], axis=0), np.array(reasons, dtype=np.str_))


def has_prediction(model: _HasReasons) -> NDArray[np.bool_]:
    """Whether a structure has a prediction, shape ``(num_structures,)``."""
    return np.array([not reason for reason in model.reasons])


def in_all(models: Mapping[str, _HasReasons], sources: Mapping[str, str], path: Path) -> NDArray[np.bool_]:
    """Which structures have a prediction of every model, shape ``(num_structures,)``.

    :param models: by name.
    :param sources: file or name of each model, for messages.
    :param path: file of the structures, for messages.
    :raises ValueError: if a model has none, or no structure has all.
    """
    for name, model in models.items():
        if not has_prediction(model).any():
            raise ValueError(f"{sources[name]} can compute none of the structures in {path}: {model.reasons[0]}")
    common: NDArray[np.bool_] = np.logical_and.reduce([has_prediction(model) for model in models.values()])
    if not common.any():
        raise ValueError(f"expected structures that all models can compute, but {path} has none")
    return common


def _predict(name: str, model: ComparedModel, structures: Sequence[Any], job: JobFolder) -> Predictions:
    own = content_hash([model.located.path])
    firsts = range(0, len(structures), CHUNK_SIZE)
    files = [job.chunk(own, first, ".npz") for first in firsts]
    chunks = [structures[first : first + CHUNK_SIZE] for first in firsts]
    make_chunks(
        _predict_chunk, ((model, chunk) for chunk in chunks), files, [len(chunk) for chunk in chunks], what=name
    )
    found = [_read_chunk(file, (len(chunk), *model.shape)) for file, chunk in zip(files, chunks, strict=True)]
    return Predictions(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def _predict_chunk(model: ComparedModel, structures: Sequence[Any], file: Path) -> None:
    reasons = []
    for structure in structures:
        try:
            model.check(structure)
            reasons.append("")
        except ValueError as error:
            reasons.append(str(error).partition(";")[0])  # without the list of all known elements
    usable = [index for index, reason in enumerate(reasons) if not reason]
    predicted = np.full((len(structures), *model.shape), np.nan)
    results = model.predict([structures[index] for index in usable])
    for index, result in zip(usable, results, strict=True):
        predicted[index] = result
    chunk = Predictions(predicted, np.array(reasons, dtype=np.str_))
    with atomically(file) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **chunk._asdict())


def _read_chunk(file: Path, shape: tuple[int, ...]) -> Predictions:
    with expecting("predictions", file, _REMEDY):
        chunk = Predictions(**read_arrays(file, Predictions._fields, _REMEDY))
        if chunk.predicted.shape != shape or chunk.reasons.shape != shape[:1]:
            raise ValueError
    return chunk
