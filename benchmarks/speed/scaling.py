"""Time and memory against the size of a crystal and the size of a batch."""

from collections.abc import Iterator
from typing import Any

from memory import probe, probe_apart
from models import SIDES
from tasks import find_task

SIZES = {"atoms": (100, 300, 1000, 3000, 10000), "batch": (1, 4, 16, 64)}
TITLES = {"atoms": "DOS of a GaAs crystal", "batch": "DOS of a mixed batch"}
MAX_MEBIBYTES = {"cpu": 6000, "cuda": 60000}


def measure(device: str, options: list[str], quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one row after the other; a side stops before it would need more than ``MAX_MEBIBYTES``."""
    for kind, sizes in SIZES.items():
        for side in SIDES:
            per_size = 0.0
            for size in sizes[:2] if quick else sizes:
                if size * per_size > MAX_MEBIBYTES[device.partition(":")[0]]:
                    break
                name = f"scaling-{kind}-{size}"
                if device.startswith("cuda"):
                    found = probe(find_task(name).make(side, quick, device), device)
                else:
                    found = probe_apart(name, side, options)
                per_size = max(per_size, found.mebibytes / size)
                yield {"kind": kind, "size": size, "side": side, **found._asdict()}
