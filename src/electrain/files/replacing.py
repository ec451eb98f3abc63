"""Writing files and folders atomically: they are complete or do not exist."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """Provide a temporary path to write to, and move the result to ``path`` at the end.

    After an error, ``path`` is as it was before. A folder can only replace an empty one. The leftovers of an
    interrupted process are overwritten by the next process with the same process id.

    :param path: a file or folder, written by one process at a time.
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
    """Remove a file, or a folder with all its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Provide a temporary file with the same suffix as ``path`` that replaces it, unless there is an error.

    For files named by the user: unlike :func:`atomically`, it gives readable errors and leaves nothing behind.

    :raises OSError: if the folder does not exist or is not writable, or if ``path`` is a folder.
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
