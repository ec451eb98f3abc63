"""The first pass: a chunk of calculations is read and checked, and what is needed of it goes into one file."""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from electrain.files.replacing import atomically

from .calculation import Rejected
from .sources import Piece, read_piece, sha256_of
from .table import Dropped, Row, make_row, row_from_list
from .targets import Sample, TrustedSpectrum, make_sample


class ChunkTable(NamedTuple):
    """What a chunk's file says of its calculations.

    :param rows: of those that can be used.
    :param dropped: the others.
    :param num_frames: of every source in the chunk, and its SHA-256 if the whole source is in it.
    """

    rows: list[Row]
    dropped: list[Dropped]
    num_frames: dict[int, tuple[int, str | None]]


def read_chunk(pieces: Sequence[Piece], names: Sequence[str], step: float, smearing: float, path: str) -> None:
    """Read pieces of sources and write their table and samples into a file, unless it exists.

    :param pieces: what to read.
    :param names: of their sources.
    :param step: distance between two channels, in eV.
    :param smearing: standard deviation of the Gaussians, in eV.
    :param path: of the file.
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
            for frame in read_piece(piece, name, Path(folder)):
                index = piece.first_frame + number
                number += 1
                if isinstance(frame, Rejected):
                    dropped.append(Dropped(piece.source, index, frame.reason))
                    continue
                try:
                    sample = make_sample(frame, step=step, smearing=smearing)
                except ValueError as error:
                    dropped.append(Dropped(piece.source, index, str(error).removeprefix(f"{frame.source}: ")))
                    continue
                rows.append(make_row(piece.source, index, frame, sample))
                samples.append(sample)
            before, _ = num_frames.get(piece.source, (0, None))
            sha256 = sha256_of(Path(piece.path)) if piece.begin is None else None
            num_frames[piece.source] = (before + number, sha256)
    table = {"rows": rows, "dropped": dropped, "num_frames": list(num_frames.items())}
    _save(Path(path), table, samples)


def read_table(path: Path) -> ChunkTable:
    """Read the table of a chunk's file."""
    with np.load(path) as file:
        table = json.loads(file["table"].tobytes())
    rows = [row_from_list(values) for values in table["rows"]]
    dropped = [Dropped(*values) for values in table["dropped"]]
    return ChunkTable(rows, dropped, {source: tuple(values) for source, values in table["num_frames"]})


def read_samples(path: Path, rows: Sequence[Row]) -> Iterator[Sample]:
    """Read the samples of a chunk's file, in the order of its rows."""
    with np.load(path) as file:
        data = {name: file[name] for name in file.files if name != "table"}
    atom_ends, channel_ends = np.cumsum(data["num_atoms"]), np.cumsum(data["num_channels"])
    for index, row in enumerate(rows):
        atoms = slice(atom_ends[index] - data["num_atoms"][index], atom_ends[index])
        channels = slice(channel_ends[index] - data["num_channels"][index], channel_ends[index])
        structure = Atoms(
            data["numbers"][atoms],
            positions=data["positions"][atoms],
            cell=data["cells"][index],
            pbc=data["periodic"][index],
        )
        spectrum = TrustedSpectrum(
            int(data["first_channels"][index]), data["spectra"][channels], row.lowest, row.highest
        )
        yield Sample(
            atoms=structure,
            spectrum=spectrum,
            band_gap=row.band_gap,
            energy=float(data["energies"][index]),
            forces=data["forces"][atoms],
            stress=data["stresses"][index],
        )


def _save(path: Path, table: dict[str, Any], samples: Sequence[Sample]) -> None:
    def joined(arrays: list[np.ndarray], shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
        return np.concatenate([np.zeros(shape, dtype), *(array.astype(dtype) for array in arrays)])

    with atomically(path) as unfinished, unfinished.open("wb") as file:
        np.savez(
            file,
            table=np.frombuffer(json.dumps(table).encode(), dtype=np.uint8),
            num_atoms=np.array([len(sample.atoms) for sample in samples], dtype=np.int64),
            numbers=joined([sample.atoms.numbers for sample in samples], (0,), np.int64),
            positions=joined([sample.atoms.positions for sample in samples], (0, 3)),
            cells=joined([sample.atoms.cell[:][None] for sample in samples], (0, 3, 3)),
            periodic=joined([sample.atoms.pbc[None] for sample in samples], (0, 3), np.bool_),
            num_channels=np.array([len(sample.spectrum.values) for sample in samples], dtype=np.int64),
            first_channels=np.array([sample.spectrum.first_channel for sample in samples], dtype=np.int64),
            spectra=joined([sample.spectrum.values for sample in samples], (0,)),
            energies=np.array([sample.energy for sample in samples], dtype=np.float64),
            forces=joined([sample.forces for sample in samples], (0, 3)),
            stresses=joined([sample.stress[None] for sample in samples], (0, 3, 3)),
        )
