"""The first pass: read and check a chunk of calculations, and write the data needed later into one file."""

import json
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from electrain.files.own_files import expecting, read_arrays
from electrain.files.replacing import atomically
from electrain.interface.quantities import DENSITY_OF_STATES, in_data_sets
from electrain.spectra.grid import EnergyGrid

from .axis import AxisSettings
from .calculation import Rejected
from .sources import Piece, read_piece, sha256_of
from .table import Dropped, Row, make_row, row_from_list
from .targets import Sample, TrustedSpectrum, make_sample

_REMEDY = "delete it and run the same command to read its calculations again"


class ChunkTable(NamedTuple):
    """Table of calculations in a chunk's file.

    :param rows: rows of the usable calculations.
    :param dropped: all other calculations.
    :param num_frames: number of frames of every source in the chunk, and its SHA-256 if the chunk contains all of it.
    """

    rows: list[Row]
    dropped: list[Dropped]
    num_frames: dict[int, tuple[int, str | None]]


def read_chunk(pieces: Sequence[Piece], names: Sequence[str], axis: AxisSettings, path: str) -> None:
    """Read pieces of sources and write their table and samples to a file, unless it exists.

    :param pieces: what to read.
    :param names: names of their sources.
    :param axis: channels and smearing.
    :param path: the file.
    """
    if os.path.exists(path):
        return
    rows: list[Row] = []
    dropped: list[Dropped] = []
    samples: list[Sample] = []
    num_frames: dict[int, tuple[int, str | None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for piece, name in zip(pieces, names, strict=True):
            number = 0
            for frame in read_piece(piece, name, Path(folder), dos_grid=axis.dos_grid):
                index = piece.first_frame + number
                number += 1
                if isinstance(frame, Rejected):
                    dropped.append(Dropped(piece.source, index, frame.reason))
                    continue
                try:
                    sample = make_sample(frame, step=axis.step, smearing=axis.smearing, origin=axis.origin)
                except ValueError as error:
                    dropped.append(Dropped(piece.source, index, str(error).removeprefix(f"{frame.source}: ")))
                    continue
                rows.append(make_row(piece.source, index, frame, sample))
                samples.append(sample)
            before, _ = num_frames.get(piece.source, (0, None))
            sha256 = sha256_of(Path(piece.path)) if piece.begin is None else None
            num_frames[piece.source] = (before + number, sha256)
    table = {"rows": rows, "dropped": dropped, "num_frames": list(num_frames.items())}
    _save(Path(path), table, samples, axis.step)


def read_table(path: Path) -> ChunkTable:
    """Read the table of a chunk's file.

    :raises DamagedFileError: if it is not as it was written.
    """
    with expecting("a table of calculations", path, _REMEDY):
        table = json.loads(read_arrays(path, ["table"], _REMEDY)["table"].tobytes())
        rows = [row_from_list(values) for values in table["rows"]]
        dropped = [Dropped(*values) for values in table["dropped"]]
        return ChunkTable(rows, dropped, {source: tuple(values) for source, values in table["num_frames"]})


def read_samples(path: Path, rows: Sequence[Row]) -> Iterator[Sample]:
    """Read the samples of a chunk's file, in the order of its rows.

    :raises DamagedFileError: if it is not as it was written.
    """
    with expecting("samples of calculations", path, _REMEDY):
        yield from _samples(read_arrays(path, None, _REMEDY), rows)


def _samples(data: Mapping[str, np.ndarray], rows: Sequence[Row]) -> Iterator[Sample]:
    step = float(data["step"])
    ends = dict.fromkeys(data, 0)

    def following(name: str, shape: tuple[int, ...]) -> np.ndarray:
        begin = ends[name]
        ends[name] += math.prod(shape)
        return data[name][begin : ends[name]].reshape(shape)

    for index, row in enumerate(rows):
        num_atoms = int(data["num_atoms"][index])
        grid = EnergyGrid(float(data["start"][index]), step, int(data["num_channels"][index]))
        structure = Atoms(
            following("numbers", (num_atoms,)),
            positions=following("positions", (num_atoms, 3)),
            cell=following("cell", (3, 3)),
            pbc=following("pbc", (3,)),
        )
        spectrum = TrustedSpectrum(grid, following(DENSITY_OF_STATES, (grid.size,)), row.lowest, row.highest)
        values = {
            quantity.name: following(quantity.name, quantity.array_shape(num_atoms, (grid.size,)))
            for quantity in in_data_sets()
            if quantity.name != DENSITY_OF_STATES
        }
        yield Sample(structure, spectrum, values)


def _save(path: Path, table: dict[str, Any], samples: Sequence[Sample], step: float) -> None:
    arrays: dict[str, list[Any]] = defaultdict(list)
    for sample in samples:
        spectrum = sample.spectrum
        arrays["num_atoms"].append(len(sample.atoms))
        arrays["num_channels"].append(spectrum.grid.size)
        arrays["start"].append(spectrum.grid.start)
        for name in ("numbers", "positions", "cell", "pbc"):
            arrays[name].append(getattr(sample.atoms, name))
        for name, values in {DENSITY_OF_STATES: spectrum.values, **sample.values}.items():
            arrays[name].append(values)
    flat: dict[str, Any] = {
        name: np.concatenate([np.ravel(values) for values in of_samples]) for name, of_samples in arrays.items()
    }
    with atomically(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, table=np.frombuffer(json.dumps(table).encode(), dtype=np.uint8), step=step, **flat)
