"""Open files that may be compressed, without unpacking more than a real file can contain."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
# What the standard library raises for damaged compressed files; for bzip2 it is OSError.
DAMAGED = (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error)

# Output of DFT codes shrinks to a twentieth (gzip) or a fiftieth (xz) at most; a file of zeros to a thousandth and
# less. A small file may always be unpacked.
_LARGEST_RATIO = 200
_ALWAYS_ALLOWED = 2**27
_MIB = 2**20


class TooLargeError(Exception):
    """A file, a line or a number that is larger than in any real file; the message says what was expected."""


def is_packed(path: Path) -> bool:
    """Whether :func:`open_packed` decompresses a file."""
    return path.suffix.lower() in _OPENERS


def open_packed(path: Path, at_most: int | None = None) -> IO[bytes]:
    """Open a file that may be compressed, as indicated by its suffix.

    :param path: the file.
    :param at_most: largest size of the content in bytes, for those who keep all of it in memory.
    :raises OSError: if it cannot be opened.
    :raises TooLargeError: if it contains more; if it is compressed, as soon as more has been read. A compressed file
        may contain 200 times its own size, or 128 MiB if that is more.
    """
    size = os.stat(path).st_size
    if not is_packed(path):
        if at_most is not None and size > at_most:
            raise TooLargeError(f"expected a file of at most {at_most // _MIB:,} MiB, got {size // _MIB:,} MiB")
        return open(path, "rb")
    ratio = max(_ALWAYS_ALLOWED, _LARGEST_RATIO * size)
    if at_most is not None and at_most < ratio:
        limit, why = at_most, ""
    else:
        limit, why = ratio, f" ({_LARGEST_RATIO} times its compressed size, or {_ALWAYS_ALLOWED // _MIB} MiB)"
    message = f"expected a file of at most {limit // _MIB:,} MiB when unpacked{why}, got more"
    return io.BufferedReader(_Bounded(_OPENERS[path.suffix.lower()](path, "rb"), limit, message))


class _Bounded(io.RawIOBase):
    """A stream that may contain so many bytes and no more."""

    def __init__(self, file: IO[bytes], limit: int, message: str) -> None:
        self._file, self._left, self._message = file, limit, message

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            raise TooLargeError(self._message)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()
