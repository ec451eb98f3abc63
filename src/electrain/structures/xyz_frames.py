"""Frames of extended XYZ files, one at a time and each within bounds, so that no file can exhaust memory or time."""

import io
import re
from typing import IO, Any

import ase.io
from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict

from .packed import TooLargeError

# The eigenvalues of a calculation stand in one line: some 10 bytes for each k-point and band.
LONGEST_LINE = 2**26
LARGEST_FRAME = 2**28
MOST_ATOMS = 1_000_000
MOST_KEYS = 10_000  # each takes ASE 0.1 ms
MOST_COLUMNS = 100_000  # a spectrum of every atom is some thousands

_MIB = 2**20
# A number of atoms, possibly after a byte order mark. Longer numbers are not valid, and too long for Python to convert.
_COUNT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(\d{1,18})\s*")
# What ASE takes for one word: escaped characters, and whatever is between quotes or brackets or follows an open one.
_DELIMITERS = (('"', '"'), ("'", "'"), ("{", "}"), (r"\[", r"\]"))
_QUOTED = re.compile(
    "|".join([r"\\.", *(rf"{begin}[^{end}\\]*(?:\\.[^{end}\\]*)*(?:{end}|$)" for begin, end in _DELIMITERS)]),
    re.DOTALL,
)


class FrameError(ValueError):
    """Text that is not a frame; where the next one begins is unknown. The message says what was expected."""


def next_frame(file: IO[bytes]) -> bytes | None:
    """Read the lines of the next frame; ``None`` at the end of the file.

    :param file: file at the end of a frame.
    :raises FrameError: if no number of atoms comes next, or the file ends too early.
    :raises TooLargeError: for more than a million atoms, lines of more than 64 MiB, or more than 256 MiB in all.
    """
    while (line := _line(file)) and not line.strip():
        pass
    if not line:
        return None
    found = _COUNT.fullmatch(line)
    if found is None:
        raise FrameError(f"expected a number of atoms, got {as_text(line[:200])[:40].strip()!r}; the rest is not read")
    number = int(found[1])
    if number > MOST_ATOMS:
        raise TooLargeError(f"expected at most {MOST_ATOMS:,} atoms in a frame, got {number:,}")
    lines, size = [line], 0
    for _ in range(number + 1):
        line = _line(file)
        if not line:
            raise FrameError(f"expected {number} atoms, but the file ends before the last of them")
        size += len(line)
        if size > LARGEST_FRAME:
            raise TooLargeError(f"expected frames of at most {LARGEST_FRAME // _MIB} MiB, got a larger one")
        lines.append(line)
    return b"".join(lines)


def _line(file: IO[bytes]) -> bytes:
    line = file.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise TooLargeError(f"expected lines of at most {LONGEST_LINE // _MIB} MiB, got a longer one")
    return line


def as_text(frame: bytes) -> str:
    """Decode a frame; names in another encoding are no reason to discard it."""
    return frame.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")


def parse_frame(text: str) -> Atoms:
    """Parse a frame with ASE.

    :raises TooLargeError: for more than 10,000 keys or 100,000 columns.
    :raises Exception: whatever ASE raises for malformed text.
    """
    atoms = ase.io.read(io.StringIO(text), format="extxyz", properties_parser=parse_keys)
    assert isinstance(atoms, Atoms)
    return atoms


def parse_keys(line: str) -> dict[str, Any]:
    """Parse a comment line, as ASE's ``properties_parser``.

    :raises TooLargeError: for more than 10,000 keys or 100,000 columns.
    """
    if len(line) > 2 * MOST_KEYS and (number := len(_QUOTED.sub("x", line).split())) > MOST_KEYS:
        raise TooLargeError(f"expected at most {MOST_KEYS:,} keys in a comment line, got {number:,}")
    keys: dict[str, Any] = key_val_str_to_dict(line)
    columns = str(keys.get("Properties", "")).split(":")[2::3]
    if (number := sum(map(int, columns))) > MOST_COLUMNS:
        raise TooLargeError(f"expected at most {MOST_COLUMNS:,} columns in 'Properties', got {number:,}")
    return keys
