"""The folder for long work, so that a killed job can continue where it stopped."""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from electrain.files.own_files import read_json
from electrain.files.replacing import atomically, naming, remove, remove_unfinished

from .progress import progress_bar
from .workers import run_tasks

_MARKER = "job.json"
# The holder is not written into the lock file, because the library may empty that file or keep its own records there.
_LOCK, _HOLDER = ".lock", ".lock.holder"


@contextlib.contextmanager
def open_job(path: Path) -> Iterator["JobFolder"]:
    """Open the folder of a job, and lock it against other processes meanwhile.

    The operating system releases the lock when the process ends, however it ends.

    :param path: the folder, created if it does not exist. At the end it is removed if it is empty, together with the
        parent folders that were created for it.
    :raises BlockingIOError: if another process is working in it.
    :raises NotADirectoryError: if the path, or one of its parents, is a file.
    """
    for file in (path, *path.parents):
        if file.exists() and not file.is_dir():
            raise NotADirectoryError(f"expected a folder to write to, but {file} is a file")
    made = [folder for folder in path.parents if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    holder, lock = path / _HOLDER, FileLock(path / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        text = holder.read_text(errors="replace") if holder.exists() else ""
        raise BlockingIOError(f"{path} is being worked on by {text or 'another process'}") from None
    try:
        with naming(holder):
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield JobFolder(path)
    finally:
        holder.unlink(missing_ok=True)
        # Before the lock is released, because afterwards the file may belong to another process.
        (path / _LOCK).unlink(missing_ok=True)
        lock.release()
        with contextlib.suppress(OSError):
            for folder in (path, *made):
                folder.rmdir()


class JobFolder:
    """A locked folder with ``job.json``, which identifies the job, and chunks of results.

    :param path: the folder, see :func:`open_job`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def begun(self) -> Any | None:
        """Fingerprint of the job in the folder; ``None`` if there is none.

        :raises DamagedFileError: for a record that cannot be read.
        """
        marker = self.path / _MARKER
        remedy = f"delete the folder {self.path} to start again"
        return read_json("the record of a job", marker, remedy) if marker.is_file() else None

    @property
    def is_empty(self) -> bool:
        """Whether the folder is empty, apart from the lock."""
        return not self._content()

    def begin(self, fingerprint: Any) -> None:
        """Continue a job, or remove everything in the folder and start the job.

        :param fingerprint: everything that determines the result, in types that JSON preserves.
        """
        if self.begun == fingerprint:
            remove_unfinished(self.path)
            return
        self.clear()
        with atomically(self.path / _MARKER) as unfinished:
            unfinished.write_text(json.dumps(fingerprint))

    def chunk(self, kind: str, number: int, ending: str) -> Path:
        """Return the path of one chunk of results, a file or folder that is complete if it exists.

        :param kind: kind of results; chunks of one kind are in a folder of this name.
        :param number: index of the chunk, or of the first structure in it.
        :param ending: ending of the name.
        """
        return self.path / kind / f"{number:08d}{ending}"

    def clear(self) -> None:
        """Remove everything but the lock, the marker first: a half removed job must not look like one to continue."""
        remove(self.path / _MARKER)
        for path in self._content():
            remove(path)

    def _content(self) -> list[Path]:
        return [path for path in self.path.iterdir() if path.name not in (_LOCK, _HOLDER)]


def make_chunks(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    paths: Sequence[Path],
    sizes: Sequence[int],
    *,
    what: str,
    client: Any | None = None,
    progress: bool = True,
) -> None:
    """Make the chunks that do not exist yet, and show a progress bar.

    :param function: takes the arguments of a task and the path of its chunk, which it writes with
        :func:`~electrain.files.replacing.atomically`; must be importable if there is a client.
    :param tasks: arguments for each chunk; those after the last missing chunk are not requested.
    :param paths: paths of all chunks.
    :param sizes: number of structures in each chunk.
    :param what: label of the progress bar.
    :param client: Dask client, see :func:`~electrain.jobs.workers.dask_client`; ``None`` runs everything in this
        process.
    :param progress: whether to show the bar.
    """
    missing = [index for index, path in enumerate(paths) if not path.exists()]
    for folder in {path.parent for path in paths}:
        folder.mkdir(exist_ok=True)
    with progress_bar(what, sum(sizes), shown=progress) as advance:
        advance(sum(sizes) - sum(sizes[index] for index in missing))
        run_tasks(
            function,
            _with_paths(missing, tasks, paths),
            lambda number: advance(sizes[missing[number]]),
            client=client,
        )


def _with_paths(
    missing: Sequence[int], tasks: Iterable[tuple[Any, ...]], paths: Sequence[Path]
) -> Iterator[tuple[Any, ...]]:
    remaining, position = iter(tasks), 0
    for index in missing:
        (task,) = islice(remaining, index - position, index - position + 1)
        yield (*task, paths[index])
        position = index + 1
