"""Writing files and folders atomically: they are complete or do not exist."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class WriteError(OSError):
    """Something that cannot be written, named in the message."""


@contextmanager
def naming(name: object, temporary: Path | None = None) -> Iterator[None]:
    """Name what cannot be written in the error: that of a full disk names nothing, others the temporary file.

    :param name: the file, for the message.
    :param temporary: file or folder that is written in its place.
    :raises WriteError: instead of an ``OSError`` without a file, or with the temporary one.
    """
    try:
        yield
    except (WriteError, BrokenPipeError):
        raise
    except OSError as error:
        is_own = str(error.filename) == str(name)
        is_temporary = temporary is not None and str(error.filename).startswith(str(temporary))
        # numpy raises a bare OSError for a full disk; those of this package say what is wrong
        is_nameless = error.filename is None and (error.errno is not None or type(error) is OSError)
        if not (is_nameless or is_own or is_temporary):
            raise
        named = WriteError(f"cannot write {name}: {error.strerror or error}")
        named.errno = error.errno
        raise named from error


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """Provide a temporary path to write to, and move the result to ``path`` at the end.

    After an error, ``path`` is as it was before. A folder can only replace an empty one. The leftovers of a killed
    process are overwritten by the next process with the same process id.

    :param path: a file or folder, written by one process at a time.
    :raises WriteError: if the disk is full; the message names ``path``.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    remove(unfinished)
    with naming(path, unfinished):
        try:
            yield unfinished
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                remove(unfinished)
            raise


def remove_unfinished(folder: Path) -> None:
    """Remove what :func:`atomically` has left of killed processes in a folder and below it."""
    for path in list(folder.rglob(".*.unfinished")):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Provide a temporary file with the same suffix as ``path`` that replaces it, unless there is an error.

    For files named by the user: unlike :func:`atomically`, it gives readable errors and leaves nothing behind.

    :raises OSError: if the folder does not exist or is not writable, if the disk is full, or if ``path`` is a folder.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    with naming(path, temporary):
        if path.is_dir():
            raise IsADirectoryError(f"cannot write {path}: it is a folder")
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
