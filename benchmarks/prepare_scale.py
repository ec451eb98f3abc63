"""Time, memory and restarts of `electrain prepare` on many made-up calculations.

    python benchmarks/prepare_scale.py FOLDER [--structures 20000] [--workers 2] [--format zip]

Writes extended XYZ files of calculations with 100 k-points and 40 bands, and ten broken files, into FOLDER (0.7 GB for
20,000, more for the results). Prepares them once without interruption, and once killed half-way and continued; compares
the bytes. Prints a table.
"""

import argparse
import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import psutil
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

NUM_K, NUM_BANDS, NUM_FILLED = 100, 40, 12
PER_FILE = 1000
NUM_BROKEN = 10


def make_sources(folder: Path, number: int) -> None:
    """Rattled copies of random binary compounds, ten of each."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    numbers = [*range(3, 10), *range(11, 18), *range(19, 36)]
    for begin in range(0, number, PER_FILE):
        frames = []
        for index in range(begin, min(number, begin + PER_FILE)):
            parent = index // 10
            of_parent = np.random.default_rng(parent + 1)
            pair = of_parent.choice(numbers, 2, replace=False)
            count = of_parent.integers(1, 5)
            spacing = 1.1 * covalent_radii[pair].sum()
            positions = np.indices((2, 2, 2)).reshape(3, -1).T[: 2 * count] * spacing
            atoms = Atoms(np.repeat(pair, count), positions=positions, cell=np.full(3, 2 * spacing), pbc=True)
            atoms.positions += generator.normal(scale=0.05, size=positions.shape)
            filled = of_parent.uniform(-12, -0.3, NUM_FILLED)
            empty = of_parent.uniform(0.3, 15, NUM_BANDS - NUM_FILLED)
            centers = np.concatenate([filled, empty])
            bands = np.sort(centers + generator.uniform(-0.25, 0.25, (NUM_K, NUM_BANDS)), axis=1)
            atoms.info = {
                "id": f"made-up-{index}",
                "parent": f"{chemical_symbols[pair[0]]}-{parent}",
                "subset": "bulk" if index % 10 == 0 else "rattled",
                "eigenvalues": bands.round(4),
                "kweights": np.full(NUM_K, 2.0 / NUM_K),
                "n_electrons": 2 * NUM_FILLED,
                "energy": float(generator.normal()),
            }
            frames.append(atoms)
        ase.io.write(folder / f"part-{begin // PER_FILE:03d}.xyz", frames, format="extxyz")
    whole = (folder / "part-000.xyz").read_text().splitlines(keepends=True)
    for index in range(NUM_BROKEN):
        (folder / f"broken-{index}.xyz").write_text("".join(whole[:2])[: 10_000 + index])


def prepare(sources: Path, output: Path, options: list[str], *, kill_at: int | None = None) -> tuple[float, float, int]:
    """Run the command.

    :param kill_at: kill all of its processes when so many chunks are read.
    :return: wall time in seconds, peak of the memory of all processes in GiB, and the exit status.
    """
    command = [sys.executable, "-m", "electrain", "prepare", str(sources), "-o", str(output), *options]
    begin, peak = time.monotonic(), 0
    with (output.parent / f"{output.name}.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            if kill_at is not None and len(list(output.glob(".unfinished/read/*.npz"))) >= kill_at:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.2)
    return time.monotonic() - begin, peak / 2**30, process.returncode


def cpu_time() -> float:
    """CPU time of all children and their children that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory(pid: int) -> int:
    """Resident memory of a process and its descendants, in bytes."""
    total = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a data set."""
    result = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                result[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return result


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--structures", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--format", default="zip", choices=["xyz", "zip", "memmap"])
    arguments = parser.parse_args()
    sources = arguments.folder / f"sources-{arguments.structures}"
    if not sources.exists():
        make_sources(sources, arguments.structures)
    name = f"{arguments.structures}-{arguments.format}-{arguments.workers}"
    whole, killed = arguments.folder / f"whole-{name}", arguments.folder / f"killed-{name}"
    options = ["--workers", str(arguments.workers), "--format", arguments.format]
    what = f"{arguments.structures} structures, {arguments.workers} workers, {arguments.format}"
    print(f"{what}; load of the machine before {os.getloadavg()[0]:.1f}\n")
    print("| run | wall time (s) | CPU time (s) | peak memory (GiB) | exit status |\n|---|---|---|---|---|")
    runs = {
        "uninterrupted": (whole, None),
        "killed half-way": (killed, arguments.structures // 200),
        "continued": (killed, None),
    }
    for what, (output, kill_at) in runs.items():
        before = cpu_time()
        seconds, gibibytes, status = prepare(sources, output, options, kill_at=kill_at)
        used = f"{cpu_time() - before:.0f}" if kill_at is None else ""  # nobody counts what was killed
        print(f"| {what} | {seconds:.0f} | {used} | {gibibytes:.2f} | {status} |", flush=True)
    same = digests(whole) == digests(killed)
    found = "equal" if same else "DIFFERENT"
    print(f"\nbytes of {len(digests(whole))} files: {found}; load of the machine after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
