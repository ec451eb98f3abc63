"""Peak memory of one job, in a process of its own."""

import ctypes
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from timing import Clock, Job, once


class Probe(NamedTuple):
    """What one process found."""

    seconds: float  # the fastest of the runs
    mebibytes: float  # peak during a run minus the level before


def probe(job: Job, device: str, runs: int = 2) -> Probe:
    """Time a job and see how much memory it takes beyond what it starts with (weights, inputs, optimizer)."""
    for _ in range(3):  # TorchScript compiles
        job()
    clock = Clock(device)
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        seconds = min(once(job, clock) for _ in range(runs))
        return Probe(seconds, (torch.cuda.max_memory_allocated() - before) / 2**20)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # free memory that the first run left would hide what the next one takes
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status("VmRSS")
    seconds = min(once(job, clock) for _ in range(runs))
    return Probe(seconds, (_status("VmHWM") - before) / 1024)


def _status(name: str) -> float:
    """An entry of this process's status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(name)).split()[1])


def probe_apart(task: str, side: str, options: list[str]) -> Probe:
    """:func:`probe` of a task in a fresh process."""
    command = [sys.executable, str(Path(__file__).parent), "--probe", task, side, *options]
    # Blocks of 128 KiB and more go back to the system at once, so that what is measured is what is in use.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**17)}
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return Probe(*json.loads(found.splitlines()[-1]))
