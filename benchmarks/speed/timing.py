"""Two ways of doing one thing, timed in turn (A B A B ...), so that what else the machine does meets both."""

import gc
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

Job = Callable[[], object]


class Clock:
    """Seconds: of the processor on a CPU (waiting for other processes does not count), of the wall on a GPU."""

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")

    def __call__(self) -> float:
        """Now; waits for the GPU."""
        if self.cuda:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()


class Comparison(NamedTuple):
    """Times of both, run by run."""

    peer: list[float]  # s
    ours: list[float]  # s

    @property
    def ratio(self) -> float:
        """Of the medians: how many times faster ours is."""
        return float(np.median(self.peer) / np.median(self.ours))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Of the ratios of single pairs."""
        low, high = np.percentile(np.array(self.peer) / np.array(self.ours), [25, 75])
        return float(low), float(high)


def once(job: Job, clock: Clock) -> float:
    """Time of one run, in seconds."""
    start = clock()
    job()
    return clock() - start


def compare(
    peer: Job, ours: Job, *, device: str, seconds: float, max_pairs: int = 60, min_pairs: int = 5
) -> Comparison:
    """Run both in turn for about ``seconds`` after three runs to warm up (TorchScript compiles in the first ones)."""
    clock = Clock(device)
    for _ in range(3):
        pair = once(peer, clock) + once(ours, clock)
    pairs = int(np.clip(seconds / max(pair, 1e-9), min_pairs, max_pairs))
    peer_times, our_times = [], []
    gc.disable()
    for _ in range(pairs):
        peer_times.append(once(peer, clock))
        our_times.append(once(ours, clock))
        gc.collect()
    gc.enable()
    return Comparison(peer_times, our_times)


def count_launches(job: Job) -> int:
    """How many kernels and copies one run starts on a GPU."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        job()
        torch.cuda.synchronize()
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profile.events())


def matrix_product_rate(device: str, dtype: torch.dtype = torch.float32, repetitions: int = 15) -> float:
    """Floating-point operations per second of (4096, 512) @ (512, 512), shapes like the network's."""
    clock = Clock(device)
    left = torch.randn(4096, 512, dtype=dtype, device=device)
    right = torch.randn(512, 512, dtype=dtype, device=device)
    times = [once(lambda: left @ right, clock) for _ in range(repetitions + 3)][3:]
    return 2 * 4096 * 512 * 512 / float(np.median(times))
