"""Predictions on disk: chunks of structures that are complete or do not exist, so that an evaluation can continue."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from electrain import __version__
from electrain.data.reading import Entry, PreparedPart
from electrain.data.work_folder import MANIFEST
from electrain.files.own_files import expecting, read_arrays
from electrain.files.replacing import atomically
from electrain.jobs.folder import JobFolder, make_chunks, open_job

from .evaluated_model import EvaluatedModel
from .structure_errors import Compared, StructureErrors, compare_structures

FOLDER = "predictions"
# Number of structures in a chunk: in memory at one time, and lost when a process is killed.
CHUNK_SIZE = 64
_REMEDY = "delete it and run the same command to predict its structures again"


class Chunk(NamedTuple):
    """Results for consecutive structures of a part.

    :param errors: shape ``(num_structures, num_numbers)``, the columns of :class:`StructureErrors`; NaN for structures
        that were left out, except the number of atoms.
    :param reasons: why a structure was left out, ``""`` if it was not; shape ``(num_structures,)``.
    :param predicted: aligned densities of states, shape ``(num_structures, num_channels)``, in states/eV.
    :param target: target densities of states, of the same shape and unit.
    :param forces: pairs of calculated and predicted components of all structures in turn, shape
        ``(num_components, 2)``, in eV/A; each has as many as its ``num_forces``.
    :param stresses: the same for the stress, in eV/A^3.
    """

    errors: NDArray[np.float64]
    reasons: NDArray[np.str_]
    predicted: NDArray[np.float32]
    target: NDArray[np.float32]
    forces: NDArray[np.float32]
    stresses: NDArray[np.float32]


@contextmanager
def open_folder(report: Path, part: PreparedPart, num_rotated: int, *, overwrite: bool) -> Iterator[JobFolder]:
    """Create the folder for predictions, or open that of an unfinished evaluation of the same data set.

    :return: the folder, locked against other processes.
    :raises BlockingIOError: if another process is working in the folder.
    :raises FileExistsError: if the report's folder contains other files.
    """
    content = {"content": [*Chunk._fields, *StructureErrors._fields], "num_rotated": num_rotated}
    rotated = f"{num_rotated} rotated structures in each subset"
    with open_predictions(report, part.folder, part.part, content, rotated, overwrite=overwrite) as job:
        yield job


@contextmanager
def open_predictions(
    report: Path, folder: Path, part: str, content: Mapping[str, Any], settings: str, *, overwrite: bool
) -> Iterator[JobFolder]:
    """Create the folder for predictions of any kind, or open that of an unfinished evaluation.

    :param report: folder of the report.
    :param folder: folder of the data set.
    :param part: name of its part.
    :param content: what predictions contain, and the settings that they depend on.
    :param settings: these settings for the message, ``""`` if there are none.
    :param overwrite: replace another evaluation.
    :return: see :func:`open_folder`, also for the errors.
    """
    manifest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    fingerprint = {"version": __version__, "manifest": manifest, "part": part, **content}
    with open_job(report / FOLDER) as job:
        is_new = job.is_empty and all(path.name == FOLDER for path in report.iterdir())
        if not (job.begun == fingerprint or is_new or overwrite):
            what = f"{part}, {settings}" if settings else part
            found = "another evaluation" if job.begun else "other files"
            raise FileExistsError(
                f"expected a new or empty folder, or an evaluation of {folder} ({what}) "
                f"to continue, but {report} contains {found}; --overwrite replaces the evaluation"
            )
        job.begin(fingerprint)
        yield job


def check_inputs(inputs: Sequence[Path], report: Path) -> None:
    """Raise a ``ValueError`` if a report would replace what it is made from.

    :param inputs: the data set and the models.
    :param report: folder of the report.
    """
    predictions = (report / FOLDER).resolve()
    for path in inputs:
        place = path.resolve()
        if place == report.resolve() or predictions in (place, *place.parents):
            raise ValueError(f"expected another folder for the report than {report}, because it would replace {path}")


def chosen_for_rotation(entries: Sequence[Entry], count: int) -> list[bool]:
    """Choose up to ``count`` structures of each subset, evenly spaced in the order of the file."""
    members: dict[str, list[int]] = {}
    for index, entry in enumerate(entries):
        members.setdefault(entry.subset, []).append(index)
    chosen: set[int] = set()
    for indices in members.values():
        number = min(count, len(indices))
        chosen.update(indices[place * len(indices) // number] for place in range(number))
    return [index in chosen for index in range(len(entries))]


def evaluate_part(
    model: EvaluatedModel, name: str, paths: Sequence[Path], part: PreparedPart, job: JobFolder, rotate: Sequence[bool]
) -> list[Path]:
    """Predict all structures of a part that have not been predicted before.

    :param model: the model.
    :param name: its name, for the progress bar.
    :param paths: its file, or those of all members of an ensemble, whose contents identify the predictions.
    :param part: part of a data set.
    :param job: job folder for predictions of this part.
    :param rotate: for each structure, whether to compute the rotational discrepancy.
    :return: the files of all chunks, in order.
    """
    own = content_hash(paths)
    firsts = range(0, len(part), CHUNK_SIZE)
    files = [job.chunk(own, first, ".npz") for first in firsts]
    sizes = [min(CHUNK_SIZE, len(part) - first) for first in firsts]
    structures = part.structures()
    tasks = (
        (model, list(islice(structures, CHUNK_SIZE)), part, rotate[first : first + CHUNK_SIZE]) for first in firsts
    )
    make_chunks(_evaluate_chunk, tasks, files, sizes, what=name)
    return files


def content_hash(paths: Sequence[Path]) -> str:
    """Identify a model, or an ensemble, by the content of its files."""
    digests = []
    for path in paths:
        with path.open("rb") as content:
            digests.append(hashlib.file_digest(content, "sha256").hexdigest())
    return (digests[0] if len(paths) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest())[:16]


def _evaluate_chunk(
    model: EvaluatedModel, structures: list[Any], part: PreparedPart, rotate: Sequence[bool], file: Path
) -> None:
    reasons = []
    for labelled in structures:
        try:
            model.check(labelled.atoms)
            reasons.append("")
        except ValueError as error:
            reasons.append(str(error).partition(";")[0])  # without the list of all known elements
    usable = [index for index, reason in enumerate(reasons) if not reason]
    compared = compare_structures(
        [structures[index] for index in usable], model, part.axis, [rotate[index] for index in usable]
    )
    num_atoms = [len(labelled.atoms) for labelled in structures]
    chunk = _gathered(compared, usable, reasons, num_atoms, part.axis.target_grid.size)
    with atomically(file) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **chunk._asdict())


def _gathered(
    compared: list[Compared], usable: list[int], reasons: list[str], num_atoms: list[int], num_channels: int
) -> Chunk:
    errors = np.full((len(reasons), len(StructureErrors._fields)), np.nan)
    errors[:, StructureErrors._fields.index("num_atoms")] = num_atoms
    predicted, target = np.full((2, len(reasons), num_channels), np.nan, dtype=np.float32)
    for index, item in zip(usable, compared, strict=True):
        errors[index], predicted[index], target[index] = item.errors, item.predicted, item.target
    nothing = np.empty((0, 2), dtype=np.float32)
    forces = np.concatenate([nothing, *(item.forces for item in compared)])
    stresses = np.concatenate([nothing, *(item.stresses for item in compared)])
    return Chunk(errors, np.array(reasons, dtype=np.str_), predicted, target, forces, stresses)


def read_chunks(files: Sequence[Path]) -> Iterator[Chunk]:
    """Read chunks, one at a time.

    :raises DamagedFileError: for a file that is not as it was written.
    """
    for file in files:
        with expecting("predictions", file, _REMEDY):
            chunk = Chunk(**read_arrays(file, Chunk._fields, _REMEDY))
            number = len(chunk.reasons)
            if chunk.errors.shape != (number, len(StructureErrors._fields)):
                raise ValueError
            if chunk.predicted.shape != chunk.target.shape or len(chunk.target) != number:
                raise ValueError
        yield chunk


def read_spectra(files: Sequence[Path], index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the aligned prediction and the target of one structure, shape ``(num_channels,)`` each, in states/eV."""
    arrays, row = read_arrays(files[index // CHUNK_SIZE], ("predicted", "target"), _REMEDY), index % CHUNK_SIZE
    return arrays["predicted"][row].astype(np.float64), arrays["target"][row].astype(np.float64)


def read_components(files: Sequence[Path], name: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read all components of the forces or stresses.

    :param files: files of the chunks.
    :param name: ``"forces"`` or ``"stresses"``.
    :return: index of the structure of each component, shape ``(num_components,)``, and pairs of calculated and
        predicted values, shape ``(num_components, 2)``, in eV/A or eV/A^3.
    """
    counts, pairs = [], []
    for chunk in read_chunks(files):
        counts.append(np.nan_to_num(chunk.errors[:, StructureErrors._fields.index(f"num_{name}")]))
        pairs.append(getattr(chunk, name))
    numbers = np.concatenate(counts).astype(np.int64)
    return np.repeat(np.arange(len(numbers)), numbers), np.concatenate(pairs)
