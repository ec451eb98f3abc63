"""Files and folders that are there completely or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """Give a place to write to, and move what was written there to ``path`` at the end.

    After an error nothing is at ``path``, or what was there before. A folder can only replace an empty one.

    :param path: of a file or folder, written by one process at a time.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    remove(unfinished)
    yield unfinished
    os.replace(unfinished, path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
