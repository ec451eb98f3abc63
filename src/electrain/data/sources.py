"""DFT output files: finding them, and cutting them into chunks of work."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from electrain.files.replacing import WriteError, atomically, naming
from electrain.structures.packed import DAMAGED, TooLargeError, is_packed, open_packed
from electrain.structures.xyz_frames import FrameError, next_frame

from .calculation import Rejected
from .readers import Frame, is_source, read_calculations
from .sampled_spectrum import DosGrid

_XYZ = (".xyz", ".extxyz")
# Bytes kept of a file whose frames can no longer be told apart; enough to report what is wrong.
_BROKEN_BYTES = 2**20
_BLOCK = 2**20
_Found = TypeVar("_Found")


class Source(NamedTuple):
    """A file that contains calculations.

    :param path: absolute path.
    :param name: path relative to the common folder of all sources, for messages and tables.
    """

    path: str
    name: str


class Piece(NamedTuple):
    """Some frames of a file.

    :param source: index of the source.
    :param path: path of the source, or of its unpacked copy.
    :param begin: first byte, or ``None`` for the whole file.
    :param end: byte after the last one.
    :param first_frame: index of the first frame in the source.
    :param num_frames: number of frames; always 1 for a whole file, whatever it contains.
    """

    source: int
    path: str
    begin: int | None
    end: int
    first_frame: int
    num_frames: int


class Damage(NamedTuple):
    """A frame that cannot be read because its file is damaged, and why."""

    source: int
    frame: int
    reason: str


def find_sources(
    paths: Sequence[Path],
    output: Path | None = None,
    *,
    accepts: Callable[[Path], bool] = is_source,
    what: str = "DFT output files",
) -> list[Source]:
    """List files without repetition; those in folders are sorted by name.

    :param paths: files, or folders that are searched recursively, except for hidden files and links to folders.
    :param output: folder to leave out of the search.
    :param accepts: whether a file in a folder can be read.
    :param what: what is looked for, for messages.
    :raises FileNotFoundError: if a path does not exist.
    :raises ValueError: if a folder contains no file that can be read, or is the output folder.
    """
    files: dict[str, None] = {}
    for path in paths:
        if path.is_dir():
            if output is not None and output.resolve() == path.resolve():
                raise ValueError(f"expected an output folder other than {path}, which is searched for calculations")
            found = [os.path.abspath(path / name) for name in _visible_files(path, output) if accepts(path / name)]
            if not found:
                raise ValueError(f"expected {what} in the folder {path}, got none that can be read")
            files.update(dict.fromkeys(found))
        elif path.exists():
            files[os.path.abspath(path)] = None
        else:
            raise FileNotFoundError(f"expected a DFT output file or a folder of them, but {path} does not exist")
    common = os.path.commonpath([os.path.dirname(file) for file in files])
    return [Source(file, _printable(os.path.relpath(file, common))) for file in files]


def _visible_files(folder: Path, output: Path | None) -> Iterator[Path]:
    """Files below a folder, relative to it, without hidden files and those in hidden folders."""
    unwanted = None
    if output is not None and folder.resolve() in output.resolve().parents:
        unwanted = folder / output.resolve().relative_to(folder.resolve())
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if unwanted in path.parents or any(part.startswith(".") for part in name.parts):
            continue
        if path.is_file():
            yield name


def _printable(name: str) -> str:
    """Make a file name printable: it may contain bytes that are not text."""
    return os.fsencode(name).decode(errors="replace")


def has_frames(path: Path) -> bool:
    """Whether a file is an extended XYZ file, which can be cut into chunks."""
    name = path.with_suffix("") if is_packed(path) else path
    return name.suffix.lower() in _XYZ


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, empty if it cannot be read; its reader reports why."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def cut_into_pieces(index: int, source: Source, unpacked: Path, size: int) -> tuple[list[Piece], list[Damage]]:
    """Cut one extended XYZ file into pieces of several frames.

    :param index: index of the source.
    :param source: the file.
    :param unpacked: path for the unpacked content of a compressed file.
    :param size: number of frames in a piece.
    :return: the pieces, and what is wrong with the file.
    """
    path, reason = Path(source.path), None
    try:
        path.open("rb").close()
    except OSError as error:
        return [], [Damage(index, 0, f"cannot be opened ({error.strerror})")]
    if is_packed(path):
        try:
            reason = _unpack(path, unpacked)
        except TooLargeError as error:
            return [], [Damage(index, 0, str(error))]
        path = unpacked
    offsets, complete, too_large = _frame_offsets(path)
    ends = [*offsets[size::size], complete]
    pieces = []
    for number, (begin, end) in enumerate(zip(offsets[::size], ends, strict=False)):
        first = number * size
        pieces.append(Piece(index, str(path), begin, end, first, min(size, len(offsets) - first)))
    reason = reason or too_large
    if reason is not None:
        return pieces, [Damage(index, len(offsets), reason)]
    end = path.stat().st_size
    if complete < end or not offsets:
        # The reader reports what is wrong with the rest.
        broken = Piece(index, str(path), complete, min(end, complete + _BROKEN_BYTES), len(offsets), 1)
        pieces.append(broken)
    return pieces, []


def _unpack(path: Path, target: Path) -> str | None:
    """Unpack a file as far as possible; return what is wrong with the rest."""
    with open_packed(path) as file, atomically(target) as unfinished, unfinished.open("wb") as copy:
        while True:
            try:
                block = file.read(_BLOCK)
            except (*DAMAGED, OSError) as error:
                return f"expected text, but the file is damaged or has another format ({error})"
            if not block:
                return None
            copy.write(block)


def _frame_offsets(path: Path) -> tuple[list[int], int, str | None]:
    """Offset in bytes of every complete frame, the end of the last one, and what in the rest is too large."""
    offsets: list[int] = []
    complete = 0
    with path.open("rb") as file:
        try:
            while (frame := next_frame(file)) is not None:
                complete = file.tell()
                offsets.append(complete - len(frame))
        except FrameError:
            return offsets, complete, None
        except TooLargeError as error:
            return offsets, complete, str(error)
        return offsets, file.tell(), None


def each_readable(found: Iterator[_Found], name: str) -> Iterator[_Found | Rejected]:
    """Pass on what is read from a source; an error while it is read is returned as :class:`Rejected`.

    :param found: what a reader finds, one by one.
    :param name: name of the source.
    :raises ImportError: if the package that parses the format is missing.
    :raises WriteError: if there is no room for a temporary file.
    """
    try:
        yield from found
    except (ImportError, WriteError):  # not the file's fault: all others would be left out, too
        raise
    except Exception as error:  # one broken file in a million must not stop the others
        yield Rejected(name, f"not readable ({type(error).__name__}: {error})")


def read_piece(piece: Piece, name: str, folder: Path, *, dos_grid: DosGrid | None = None) -> Iterator[Frame]:
    """Read the calculations of a piece; at least one is returned.

    A file that its reader cannot read is returned as :class:`Rejected`.

    :param piece: the piece to read.
    :param name: name of the source.
    :param folder: folder for a temporary file.
    :param dos_grid: energies of densities of states in extended XYZ files, which do not contain them.
    :raises ImportError: if the package that parses the format is missing.
    :raises WriteError: if there is no room for the temporary file.
    """
    path = Path(piece.path)
    if piece.begin is not None:
        path = folder / "frames.xyz"
        with open(piece.path, "rb") as file, naming(path), path.open("wb") as copy:
            file.seek(piece.begin)
            left = piece.end - piece.begin
            while left > 0 and (block := file.read(min(left, _BLOCK))):
                copy.write(block)
                left -= len(block)
    number = 0
    for frame in each_readable(read_calculations(path, dos_grid=dos_grid), name):
        yield frame
        number += 1
    if number == 0:
        yield Rejected(name, "expected at least one calculation, got none")
    for _ in range(max(number, 1), piece.num_frames):
        yield Rejected(name, "not read: the text before it is damaged")
