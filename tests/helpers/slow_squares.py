"""A job in a process of its own: squares of four numbers; before the end of each it waits for a line from its input."""

import sys
from pathlib import Path

from electrain.files.replacing import atomically
from electrain.jobs.folder import make_chunks, open_job
from electrain.jobs.workers import dask_client

NUMBERS = range(4)


def square(number, path):
    with atomically(path) as unfinished, unfinished.open("w") as file:
        file.write("the square of ")
        file.flush()
        print(number, flush=True)
        sys.stdin.readline()
        file.write(f"{number} is {number**2}")


def make_squares(folder):
    with open_job(Path(folder)) as job:
        job.begin({"numbers": list(NUMBERS)})
        paths = [job.chunk("squares", number, ".txt") for number in NUMBERS]
        make_chunks(square, [(number,) for number in NUMBERS], paths, [1] * len(paths), what="squares")


def wait_with_workers(folder):
    with open_job(Path(folder)), dask_client(2, None):
        print("waiting", flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    {"squares": make_squares, "workers": wait_with_workers}[sys.argv[1]](sys.argv[2])
