"""Predictions on disk: chunks of structures that are complete or not there, so that an evaluation can go on."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from electrain import __version__
from electrain.data.reading import PreparedPart
from electrain.data.work_folder import MANIFEST
from electrain.files.replacing import atomically, remove

from .structure_errors import Compared, StructureErrors, compare_structures
from .tested_model import TestedModel

FOLDER = "predictions"
# Structures in a chunk: what is in memory at one time, and what is lost when a process is killed.
CHUNK_SIZE = 64


class Chunk(NamedTuple):
    """What is known of consecutive structures of a part.

    :param errors: shape ``(num_structures, num_numbers)``, the columns of :class:`StructureErrors`; NaN if left out,
        but for the number of atoms.
    :param reasons: why a structure was left out, ``""`` if it was not; shape ``(num_structures,)``.
    :param predicted: aligned densities of states, shape ``(num_structures, num_channels)``, in states/eV.
    :param target: likewise.
    """

    errors: NDArray[np.float64]
    reasons: NDArray[np.str_]
    predicted: NDArray[np.float32]
    target: NDArray[np.float32]


def open_folder(report: Path, part: PreparedPart, num_rotated: int, *, overwrite: bool) -> Path:
    """Make the folder for predictions, or find the one of an evaluation of the same data set to go on with.

    :return: the folder.
    :raises FileExistsError: if there are files of something else in the report's folder.
    """
    folder = report / FOLDER
    manifest = hashlib.sha256((part.folder / MANIFEST).read_bytes()).hexdigest()
    job = {"version": __version__, "manifest": manifest, "part": part.part, "num_rotated": num_rotated}
    marker = folder / "job.json"
    begun = json.loads(marker.read_text()) if marker.is_file() else None
    if begun == job:
        return folder
    if report.is_dir() and any(report.iterdir()) and not overwrite:
        raise FileExistsError(
            f"expected a new or empty folder, or an evaluation of {part.folder} ({part.part}, {num_rotated} rotated "
            f"structures in each subset) to continue, but {report} has other files; --overwrite replaces the evaluation"
        )
    remove(folder)
    folder.mkdir(parents=True)
    with atomically(marker) as unfinished:
        unfinished.write_text(json.dumps(job))
    return folder


def evaluate_part(
    model: TestedModel, path: Path, part: PreparedPart, folder: Path, rotate: Sequence[bool]
) -> list[Path]:
    """Predict all structures of a part that were not predicted before.

    :param model: the model.
    :param path: its file, by whose content predictions are found again.
    :param part: of a data set.
    :param folder: for predictions of this part.
    :param rotate: for which structures to compute the rotational discrepancy.
    :return: the files of all chunks, in order.
    """
    with path.open("rb") as content:
        own = folder / hashlib.file_digest(content, "sha256").hexdigest()[:16]
    own.mkdir(exist_ok=True)
    files = [own / f"{first:08d}.npz" for first in range(0, len(part), CHUNK_SIZE)]
    structures = part.structures()
    # disable=None: no bar where nobody is watching
    with tqdm(total=len(part), unit=" structures", desc=path.name, disable=None) as bar:
        for index, file in enumerate(files):
            begin = index * CHUNK_SIZE
            chunk = list(islice(structures, CHUNK_SIZE)) if not _all_exist(files[index:]) else []
            if not file.exists():
                _save(file, _evaluate_chunk(model, chunk, part, rotate[begin : begin + CHUNK_SIZE]))
            bar.update(min(CHUNK_SIZE, len(part) - begin))
    return files


def _all_exist(files: Sequence[Path]) -> bool:
    return all(file.exists() for file in files)


def _evaluate_chunk(model: TestedModel, structures: list[Any], part: PreparedPart, rotate: Sequence[bool]) -> Chunk:
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
    return _gathered(compared, usable, reasons, num_atoms, part.axis.target_grid.size)


def _gathered(
    compared: list[Compared], usable: list[int], reasons: list[str], num_atoms: list[int], num_channels: int
) -> Chunk:
    errors = np.full((len(reasons), len(StructureErrors._fields)), np.nan)
    errors[:, StructureErrors._fields.index("num_atoms")] = num_atoms
    predicted, target = np.full((2, len(reasons), num_channels), np.nan, dtype=np.float32)
    for index, item in zip(usable, compared, strict=True):
        errors[index], predicted[index], target[index] = item.errors, item.predicted, item.target
    return Chunk(errors, np.array(reasons, dtype=np.str_), predicted, target)


def _save(file: Path, chunk: Chunk) -> None:
    with atomically(file) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **chunk._asdict())


def read_chunks(files: Sequence[Path]) -> Iterator[Chunk]:
    """Read chunks, one at a time."""
    for file in files:
        with np.load(file) as arrays:
            yield Chunk(*(arrays[name] for name in Chunk._fields))


def read_spectra(files: Sequence[Path], index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Aligned prediction and target of one structure, shape ``(num_channels,)`` each, in states/eV."""
    with np.load(files[index // CHUNK_SIZE]) as arrays:
        row = index % CHUNK_SIZE
        return arrays["predicted"][row].astype(np.float64), arrays["target"][row].astype(np.float64)
