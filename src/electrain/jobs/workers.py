"""Many independent tasks, one after the other or in parallel on Dask."""

import importlib.util
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from electrain import __version__

# Waiting tasks per worker, in addition to the running one: enough to keep all workers busy, and few enough that the
# scheduler never has to hold a million.
_WAITING = 2


def run_tasks(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    done: Callable[[int], object],
    *,
    client: Any | None,
) -> None:
    """Call a function with the arguments of each task.

    :param function: must be importable, so that it can be sent to other processes.
    :param tasks: arguments, small enough to be sent.
    :param done: called with the index of every finished task, in any order.
    :param client: Dask client, see :func:`dask_client`; ``None`` runs everything in this process.
    """
    if client is None:
        for index, task in enumerate(tasks):
            function(*task)
            done(index)
        return
    from distributed import as_completed

    remaining = iter(enumerate(tasks))
    indices: dict[Any, int] = {}

    def submit() -> Any | None:
        index, task = next(remaining, (None, ()))
        if index is None:
            return None
        # Tasks write files, so the result of an earlier call must not be reused for a task with the same arguments.
        future = client.submit(function, *task, pure=False)
        indices[future.key] = index
        return future

    num_threads = max(1, sum(client.nthreads().values()))
    first = [future for _ in range((1 + _WAITING) * num_threads) if (future := submit()) is not None]
    running = as_completed(first)
    for future in running:
        future.result()  # raises what the task raised
        done(indices.pop(future.key))
        if (following := submit()) is not None:
            running.add(following)


def check_workers(workers: int, address: str | None) -> None:
    """Check the arguments of :func:`dask_client` before any work is done.

    :raises ValueError: for fewer than one worker.
    :raises ModuleNotFoundError: if Dask is needed and missing.
    """
    if workers < 1:
        raise ValueError(f"expected at least one worker, got {workers}")
    if (workers > 1 or address is not None) and importlib.util.find_spec("distributed") is None:
        raise ModuleNotFoundError(
            "several workers need Dask, which is not installed: pip install 'electrain[dask]'", name="distributed"
        )


@contextmanager
def dask_client(workers: int, address: str | None) -> Iterator[Any | None]:
    """Connect to a Dask scheduler, or start one on this machine if there is more than one worker.

    :param workers: number of processes on this machine; with one and no address, nothing is started and ``None`` is
        returned.
    :param address: address of a scheduler, e.g. ``"tcp://10.0.0.1:8786"``; its workers must share this machine's files.
    :raises ValueError: for workers with another version of this package, or a scheduler without workers.
    :raises OSError: if the scheduler cannot be reached.
    """
    if address is None and workers == 1:
        yield None
        return
    import dask
    from distributed import Client, LocalCluster

    if address is not None:
        with Client(address) as client:
            _check_versions(client)
            yield client
        return
    # Any free port, because a fixed one may be in use. Without dashboard.
    with (
        _temporary_folder() as folder,
        dask.config.set({"temporary-directory": folder}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _temporary_folder() -> Iterator[str]:
    """A folder for temporary files of all processes that are started: killed ones cannot remove their own."""
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield folder
        finally:
            del os.environ["TMPDIR"]
            if before is not None:
                os.environ["TMPDIR"] = before


def _check_versions(client: Any) -> None:
    versions = client.run(_version)
    if not versions:
        raise ValueError("expected a Dask scheduler with workers, got one without")
    for worker, version in versions.items():
        if version != __version__:
            raise ValueError(f"expected electrain {__version__} on every Dask worker, got {version} on {worker}")


def _version() -> str:
    return __version__
