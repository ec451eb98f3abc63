"""Read structures from any file that ASE can read, one at a time, with the name of each."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype, ioformats, parse_filename

from .packed import TooLargeError, is_packed, open_packed
from .xyz_frames import MOST_ATOMS, FrameError, next_frame, parse_keys

_LARGEST_SINGLE = 2**30  # bytes of a file of one structure or a CIF file, all of which ASE keeps in memory
_BLOCK = 2**20
# Numbers of atoms that are declared at the beginning of a file.
_COUNTS = {
    "vasp": re.compile(rb"\A(?:[^\n]*\n){5}(?:[^\n]*[A-Za-z][^\n]*\n)?([\d ]{1,1000})"),
    "lammps-data": re.compile(rb"\n\s*(\d{1,18})\s+atoms\b"),
    "lammps-dump-text": re.compile(rb"ITEM: NUMBER OF ATOMS\s+(\d{1,18})"),
}


@dataclass(frozen=True)
class Unreadable:
    """A file, or the rest of a file, that cannot be read.

    :param name: the file, and the frame if earlier frames could be read.
    :param reason: what is wrong.
    """

    name: str
    reason: str


def read_structures(source: str) -> Iterator[tuple[str, Atoms] | Unreadable]:
    """Read all structures of a file, or those selected with ASE's index syntax (``"md.xyz@0:100:10"``).

    :param source: a file, optionally followed by ``@`` and a number or a slice.
    :return: name and structure. The name is the file; for a file with several structures, it includes the frame,
        counted from 0: ``"md.xyz, frame 10"``.
    """
    path, index, problem = _split(source)
    if problem:
        yield Unreadable(source, problem)
        return
    try:
        options = _check_size(path, index)
    except Exception as error:  # ASE raises all kinds of errors
        yield Unreadable(source, _reason(error, path))
        return
    frames = ase.io.iread(path, index=index, do_not_split_by_at_sign=True, **options)
    waiting: Atoms | None = None
    number = 0
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # formats warn about details that do not matter here
                atoms = next(frames, None)
        except Exception as error:  # ASE's readers raise all kinds of errors
            if waiting is not None:
                yield _frame_name(source, path, index, number - 1), waiting
            name = source if number == 0 else _frame_name(source, path, index, number)
            yield Unreadable(name, _reason(error, path))
            return
        if waiting is not None:
            is_alone = atoms is None and number == 1 and source == path
            yield (path if is_alone else _frame_name(source, path, index, number - 1)), waiting
        if atoms is None:
            break
        waiting = atoms
        number += 1
    if number == 0:
        yield Unreadable(source, "expected at least one structure, found none")


def path_of(source: str) -> str:
    """Return the file of a source such as ``"md.xyz@0:100:10"``."""
    return _split(source)[0]


def _check_size(path: str, index: slice) -> dict[str, Any]:
    """Refuse files that would exhaust memory or time, and return what ASE needs to know in addition.

    :param index: the frames that are read; those after the last one are not looked at, as in ASE.
    :raises TooLargeError: if a compressed file, a file of one structure or a frame is too large.
    """
    name = filetype(path)
    if name not in ioformats:  # the ending of a file without a known one
        raise UnknownFileTypeError(name)
    form = ioformats[name]
    if not os.path.isfile(path):
        return {}
    if form.name == "extxyz":
        ends_early = index.stop is not None and min(index.start or 0, index.stop) >= 0
        with open_packed(Path(path)) as file, suppress(FrameError):  # about which ASE complains
            for _ in range(index.stop + 1) if ends_early else count():  # ASE looks for the end of one frame more
                if next_frame(file) is None:
                    break
        return {"properties_parser": parse_keys}
    limit = _LARGEST_SINGLE if form.single or form.name == "cif" else None
    with open_packed(Path(path), limit) as file:
        while is_packed(Path(path)) and file.read(_BLOCK):
            pass
    _check_count(path, form.name)
    return {}


def _check_count(path: str, form: str) -> None:
    """ASE makes room for as many atoms as are declared, whether they follow or not."""
    with open_packed(Path(path)) as file:
        found = _COUNTS[form].search(file.read(_BLOCK)) if form in _COUNTS else None
    number = 0 if found is None else sum(map(int, found[1].split()))
    if number > MOST_ATOMS:
        raise TooLargeError(f"expected at most {MOST_ATOMS:,} atoms, got {number:,}")


def _split(source: str) -> tuple[str, slice, str]:
    """Path, selected frames, and what is wrong with them."""
    if os.path.exists(source):
        return source, slice(None), ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ASE warns about a wrong index; the message below is clearer
        path, index = parse_filename(source)
    if index is None:
        return path, slice(None), ""
    if isinstance(index, int):
        return path, slice(index, index + 1 or None), ""
    if isinstance(index, slice):
        return path, index, ""
    return path, slice(None), f"expected a number or start:stop:step after the @, got {index!r}"


def _frame_name(source: str, path: str, index: slice, count: int) -> str:
    start, step = index.start or 0, index.step or 1
    if start >= 0 and step > 0:
        return f"{path}, frame {start + count * step}"
    return f"{source}, selected frame {count}"  # counted from the end of a file of unknown length


def _reason(error: Exception, path: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if Path(path).is_dir():
        return "a folder that ASE cannot read; expected a file"
    if isinstance(error, TooLargeError):
        return str(error)
    if isinstance(error, UnknownFileTypeError):
        return f"not in a format that ASE knows ({error})" if str(error) else "not in a format that ASE knows"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    text = str(error).strip().partition("\n")[0]
    detail = type(error).__name__ + (f": {text}" if text else "")
    with suppress(Exception):  # the content may be what has no known type
        form = ioformats[filetype(path)].description
        return f"cannot be read by ASE: expected the format {form!r}, got a damaged file or another format ({detail})"
    return f"cannot be read by ASE: {detail}"
