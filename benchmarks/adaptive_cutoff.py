"""Speed of adaptive cutoffs: DOS inference at the published size, random weights, one core, runs in turn.

OMP_NUM_THREADS=1 python benchmarks/adaptive_cutoff.py
"""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "speed"))

import jobs
import models
import structures

RUNS, WARM_UP = 9, 2
NETWORKS = {
    "cutoff 4.5": {},
    "cutoff 4.5, 16 neighbors": {"num_neighbors_adaptive": 16.0},
    "cutoff 6, 16 neighbors": {"cutoff": 6.0, "num_neighbors_adaptive": 16.0},
    "cutoff 3.5": {"cutoff": 3.5},
}


def main() -> None:
    """Print medians, and ratios to the first network."""
    loaded = {}
    published = dict(models.PUBLISHED)
    for label, changes in NETWORKS.items():
        models.PUBLISHED.update(published | changes)
        models.exported.cache_clear()
        loaded[label] = models.exported((models.DENSITY_OF_STATES,), False, models.OURS, "cpu")
    inputs = {
        "mixed batch of 16": structures.mixed_batch(),
        "Si, 64 atoms": [structures.silicon(2)],
        "Cu, 108 atoms": [structures.copper(3)],
    }
    for name, atoms in inputs.items():
        calls = {
            label: jobs.evaluation(model, atoms, models.DENSITY_OF_STATES, "cpu") for label, model in loaded.items()
        }
        times: dict[str, list[float]] = {label: [] for label in calls}
        for _ in range(RUNS):
            for label, call in calls.items():
                start = time.perf_counter()
                call()
                times[label].append(time.perf_counter() - start)
        medians = {label: statistics.median(values[WARM_UP:]) for label, values in times.items()}
        for label, median in medians.items():
            print(f"{name:18} {label:26} {1000 * median:5.0f} ms {medians['cutoff 4.5'] / median:5.2f}x", flush=True)


if __name__ == "__main__":
    main()
