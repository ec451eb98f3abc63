"""Files and folders that are there completely or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """Give a place to write to, and move what was written there to ``path`` at the end.

    After an error nothing is at ``path``, or what was there before. A folder can only replace an empty one. What an
    interrupted process has left is overwritten by the next one with its number.

    :param path: of a file or folder, written by one process at a time.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    remove(unfinished)
    yield unfinished
    os.replace(unfinished, path)


def remove_unfinished(folder: Path) -> None:
    """Remove what :func:`atomically` has left of interrupted processes in a folder and below it."""
    for path in list(folder.rglob(".*.unfinished")):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary file with the ending of ``path`` that replaces it, unless there was an error.

    For files that a user named: unlike :func:`atomically`, with errors to be read, and nothing left behind.

    :raises OSError: if the folder is missing or cannot be written to, or ``path`` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}") from None
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # temporary files are private, results are not
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
