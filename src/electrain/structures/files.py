"""Read structures from any file that ASE can read, one at a time, with the name of each."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import ase.io
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, parse_filename


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
    frames = ase.io.iread(path, index=index, do_not_split_by_at_sign=True)
    waiting: Atoms | None = None
    count = 0
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # formats warn about details that do not matter here
                atoms = next(frames, None)
        except Exception as error:  # ASE's readers raise all kinds of errors
            if waiting is not None:
                yield _frame_name(source, path, index, count - 1), waiting
            name = source if count == 0 else _frame_name(source, path, index, count)
            yield Unreadable(name, _reason(error))
            return
        if waiting is not None:
            is_alone = atoms is None and count == 1 and "@" not in source
            yield (path if is_alone else _frame_name(source, path, index, count - 1)), waiting
        if atoms is None:
            break
        waiting = atoms
        count += 1
    if count == 0:
        yield Unreadable(source, "expected at least one structure, found none")


def _split(source: str) -> tuple[str, slice, str]:
    """Path, selected frames, and what is wrong with them."""
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


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnknownFileTypeError):
        return f"not in a format that ASE knows ({error})" if str(error) else "not in a format that ASE knows"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    text = str(error).strip().partition("\n")[0]
    return f"cannot be read by ASE: {type(error).__name__}" + (f": {text}" if text else "")
