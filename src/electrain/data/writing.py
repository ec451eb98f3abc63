"""The second pass: write targets on the common axis, in metatrain's own formats.

Every chunk is written to a folder of its own, in parallel; then the pieces of a part are joined in the order of the
chunks, so that the result does not depend on which process wrote what and when.
"""

import io
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from metatrain.utils.data.writers import DiskDatasetWriter, MemmapWriter

from electrain.files.own_files import expecting
from electrain.files.replacing import atomically
from electrain.interface.ase_systems import to_system
from electrain.interface.quantities import gradients_of, in_data_sets
from electrain.spectra.axis import EnergyAxis

from .chunks import read_samples, read_table
from .table import Row
from .targets import ELECTRONIC, Sample, make_targets

FORMATS = ("xyz", "zip", "memmap")
SUFFIXES = {"xyz": ".xyz", "zip": ".zip", "memmap": ""}
# metatrain reads a whole extended XYZ file into memory, once for every target, and the list of contents of a zip file.
_MAX_IN_XYZ = 1_000
_MAX_IN_ZIP = 100_000
_ATOM_COUNTS = "metadata/atom_counts.npy"


class Place(NamedTuple):
    """Where a structure goes: row of a chunk, part of the split, and index in that part."""

    row: int
    part: str
    number: int


def format_for(num_structures: int) -> str:
    """Return the format for a set of this size."""
    if num_structures <= _MAX_IN_XYZ:
        return "xyz"
    return "zip" if num_structures <= _MAX_IN_ZIP else "memmap"


def write_chunk(
    chunk: str, places: Sequence[Place], axis: EnergyAxis, contents: Sequence[str], form: str, folder: str
) -> None:
    """Write the structures of a chunk into a new folder, one file (or folder) for each part.

    :param chunk: file written by :func:`electrain.data.chunks.read_chunk`.
    :param places: which of its structures to write, ascending in row and number.
    :param axis: the energy axis of the data set.
    :param contents: names of the quantities to write in addition to the electronic ones.
    :param form: one of ``FORMATS``.
    :param folder: folder to write; nothing is done if it exists.
    """
    if Path(folder).exists():
        return
    rows = read_table(Path(chunk)).rows
    place_of = {place.row: place for place in places}
    writers: dict[str, Any] = {}
    with atomically(Path(folder)) as unfinished:
        unfinished.mkdir()
        for index, sample in enumerate(read_samples(Path(chunk), rows)):
            place = place_of.get(index)
            if place is None:
                continue
            if place.part not in writers:
                path = unfinished / part_name(place.part, form)
                writers[place.part] = _WRITERS[form](path, place.number)
            writers[place.part].write(sample, rows[index], axis, contents)
        for writer in writers.values():
            writer.finish()


def join_chunks(folders: Sequence[Path], part: str, form: str, target: Path) -> None:
    """Join the pieces of one part.

    :param folders: folders of all chunks, in order.
    :param part: name of the part, e.g. ``"train"``.
    :param form: one of ``FORMATS``.
    :param target: file or folder to write.
    """
    name = part_name(part, form)
    pieces = [folder / name for folder in folders if (folder / name).exists()]
    with atomically(target) as unfinished:
        _JOINERS[form](pieces, unfinished)


class _XYZWriter:
    def __init__(self, path: Path, first: int) -> None:
        self._path = path

    def write(self, sample: Sample, row: Row, axis: EnergyAxis, contents: Sequence[str]) -> None:
        # metatomic accepts no cell vectors in open directions
        cell = sample.atoms.cell[:] * sample.atoms.pbc[:, None]
        atoms = Atoms(sample.atoms.numbers, positions=sample.atoms.positions, cell=cell, pbc=sample.atoms.pbc)
        relatives = {"id": row.identity.name, "subset": row.identity.subset, "parent": row.identity.parent}
        atoms.info = {key: value for key, value in relatives.items() if value is not None}
        values, results = sample.on(axis), {}
        for quantity in sorted(
            in_data_sets(), key=lambda quantity: quantity.is_spectrum
        ):  # spectra last: they make long lines
            name, key = quantity.name, quantity.key
            if name not in (*ELECTRONIC, *contents):
                continue
            value: Any = values[name] if values[name].ndim else values[name].item()
            if quantity.gradient_of or gradients_of(name):
                results[key] = value
            elif quantity.per == "structure":
                atoms.info[key] = value
            else:
                atoms.arrays[key] = value if value.ndim == 1 else value.reshape(len(atoms), -1)
        atoms.calc = SinglePointCalculator(atoms, **results)
        with self._path.open("a", encoding="utf-8") as file:
            ase.io.write(file, atoms, format="extxyz")

    def finish(self) -> None:
        """Do nothing, because every structure is complete."""


class _MetatrainWriter:
    """Writes with one of metatrain's own writers."""

    def __init__(self, path: Path, first: int) -> None:
        self._writer: Any = DiskDatasetWriter(path) if path.suffix else MemmapWriter(path)
        self._writer.index = first

    def write(self, sample: Sample, row: Row, axis: EnergyAxis, contents: Sequence[str]) -> None:
        self._writer.write([to_system(sample.atoms)], make_targets(sample, axis, (*ELECTRONIC, *contents)))

    def finish(self) -> None:
        self._writer.finish()


def _join_xyz(pieces: Sequence[Path], target: Path) -> None:
    _concatenate(pieces, target)


def _join_zip(pieces: Sequence[Path], target: Path) -> None:
    atom_counts = [np.empty(0, dtype=np.int64)]
    with zipfile.ZipFile(target, "w") as joined:
        for path in pieces:
            for name, content in _entries(path):
                if name == _ATOM_COUNTS:
                    with _expecting_piece(path):
                        atom_counts.append(np.load(io.BytesIO(content)))
                    continue
                # A new entry carries no date, so that equal data give equal files.
                joined.writestr(zipfile.ZipInfo(name), content)
        with joined.open(zipfile.ZipInfo(_ATOM_COUNTS), "w") as file:
            np.save(file, np.concatenate(atom_counts))


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    with _expecting_piece(path), zipfile.ZipFile(path) as piece:
        for info in piece.infolist():
            yield info.filename, piece.read(info)


def _expecting_piece(path: Path) -> AbstractContextManager[None]:
    return expecting("a part of a data set", path, f"delete {path.parent} and run the same command to write it again")


def _join_memmap(pieces: Sequence[Path], target: Path) -> None:
    target.mkdir()
    for name in sorted(path.name for path in pieces[0].glob("*.bin")):
        _concatenate([piece / name for piece in pieces], target / name)
    atom_counts = []
    for piece in pieces:
        with _expecting_piece(piece):
            atom_counts.append(np.diff(np.load(piece / "na.npy")))
    counts = np.concatenate(atom_counts)
    np.save(target / "ns.npy", len(counts))
    np.save(target / "na.npy", np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))


def _concatenate(pieces: Sequence[Path], target: Path) -> None:
    with target.open("wb") as joined:
        for path in pieces:
            with path.open("rb") as piece:
                shutil.copyfileobj(piece, joined, 2**20)


_WRITERS = {"xyz": _XYZWriter, "zip": _MetatrainWriter, "memmap": _MetatrainWriter}
_JOINERS = {"xyz": _join_xyz, "zip": _join_zip, "memmap": _join_memmap}


def part_name(part: str, form: str) -> str:
    """Return the name of the file or folder that contains a part of a data set."""
    return f"{part}{SUFFIXES[form]}"
