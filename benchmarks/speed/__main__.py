"""Speed and memory of ``pet_mad`` beside ``metatrain.pet``: the same weights, the same machine, the same run.

python benchmarks/speed                           # everything: benchmarks/results/speed.md, .json and .png
python benchmarks/speed --quick                   # a smoke test with a tiny network, written nowhere
python benchmarks/speed --tasks dos-64 train-dos  # measure these again, keep the other results
python benchmarks/speed --device cuda --seconds 3 # on a GPU: benchmarks/results/speed_gpu.md, ...
"""

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import report
import scaling
import torch
from memory import probe, probe_apart
from models import OURS, PEER, SIDES
from tasks import TASKS, both_jobs, find_task
from timing import compare, count_launches, matrix_product_rate
from torch.utils.flop_counter import FlopCounterMode

from electrain.nn.precision import MatmulPrecision

WITH_REDUCED_PRECISION = ("dos-64", "dos-108", "dos-mixed", "train-dos", "md-crystal-only", "train-energy")
WITH_REDUCED_PRECISION_ON_GPU = ("dos-mixed", "dos-1000", "train-dos", "train-dos-96", "train-energy")


def measure(name: str, arguments: argparse.Namespace, rate: float) -> dict[str, Any]:
    """Everything about one task."""
    jobs = both_jobs(TASKS[name], arguments.quick, arguments.device)
    expected, found = jobs[PEER](), jobs[OURS]()
    difference = float((expected - found).abs().max() / expected.abs().max())
    if not difference < 1e-3:
        raise ArithmeticError(
            f"{name}: predictions differ by {difference:.1e} of the largest value, expected round-off"
        )
    times = compare(jobs[PEER], jobs[OURS], device=arguments.device, seconds=arguments.seconds)
    seconds = {PEER: float(np.median(times.peer)), OURS: float(np.median(times.ours))}
    with FlopCounterMode(display=False) as counter:
        jobs[OURS]()
    if arguments.on_gpu:  # its allocator counts exactly
        memory = {side: probe(jobs[side], arguments.device).mebibytes for side in SIDES}
    else:
        memory = {side: probe_apart(name, side, _options(arguments)).mebibytes for side in SIDES}
    return {
        "seconds": seconds,
        "ratio": times.ratio,
        "quartiles": times.quartiles,
        "pairs": len(times.peer),
        "difference": difference,
        "mebibytes": memory,
        "fraction": counter.get_total_flops() / rate / seconds[OURS],
        "launches": {side: count_launches(jobs[side]) for side in SIDES} if arguments.on_gpu else None,
    }


def measure_precision(name: str, precision: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """How much faster our own model is with fewer digits."""
    full, reduced = (TASKS[name].make(OURS, arguments.quick, arguments.device) for _ in range(2))
    assert reduced.model is not None
    setting = MatmulPrecision(precision, reduced.model)

    def fast() -> torch.Tensor:
        with setting.in_use():
            return reduced()

    times = compare(full, fast, device=arguments.device, seconds=arguments.seconds)
    return {"ratio": times.ratio, "quartiles": times.quartiles, "pairs": len(times.peer)}


def _options(arguments: argparse.Namespace) -> list[str]:
    return ["--device", arguments.device, *(["--quick"] if arguments.quick else [])]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help=f"some of {', '.join(TASKS)}, precision, scaling")
    parser.add_argument("--quick", action="store_true", help="a tiny network and few runs: does it work at all?")
    parser.add_argument("--device", default="cpu", help="cpu (one thread) or cuda")
    parser.add_argument("--seconds", type=float, default=20.0, help="processor time for each comparison")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results", metavar="FOLDER")
    parser.add_argument("--probe", nargs=2, metavar=("TASK", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.on_gpu = arguments.device.startswith("cuda")
    unknown = set(arguments.tasks or []) - {*TASKS, "precision", "scaling"}
    if unknown:
        parser.error(
            f"unknown task(s) {', '.join(sorted(unknown))}; expected some of {', '.join(TASKS)}, precision, scaling"
        )
    return arguments


def main() -> None:
    """Run all, or one job in a process of its own."""
    # deprecation of TorchScript; how ASE and metatomic name their outputs
    warnings.filterwarnings("ignore")
    arguments = _arguments()
    torch.set_num_threads(1)
    if arguments.probe:
        job = find_task(arguments.probe[0]).make(arguments.probe[1], arguments.quick, arguments.device)
        print(json.dumps(probe(job, arguments.device)))
        return
    if arguments.quick:
        arguments.seconds, arguments.output = 0.0, Path(tempfile.mkdtemp())
    results = report.load(arguments.output, arguments.on_gpu)
    results["environment"] = report.environment(arguments.device)
    results["matrix_product_rate"] = matrix_product_rate(arguments.device)
    everything = [name for name, task in TASKS.items() if arguments.on_gpu or not task.only_on_gpu]
    for name in arguments.tasks or [*everything, "precision", "scaling"]:
        if name == "scaling":
            results["scaling"] = []
            for row in scaling.measure(arguments.device, _options(arguments), arguments.quick):
                results["scaling"].append(row)
                print(row, flush=True)
                report.write(results, arguments.output)
            continue
        if name == "precision":
            for task in WITH_REDUCED_PRECISION_ON_GPU if arguments.on_gpu else WITH_REDUCED_PRECISION:
                for precision in ("high", "medium") if arguments.on_gpu else ("medium",):
                    found = measure_precision(task, precision, arguments)
                    results["precision"].setdefault(precision, {})[task] = found
                    print(f"{TASKS[task].title:48} {found['ratio']:6.2f} times faster with {precision}", flush=True)
                    report.write(results, arguments.output)
            continue
        found = measure(name, arguments, results["matrix_product_rate"])
        results["tasks"][name] = found
        low, high = found["quartiles"]
        megabytes = " / ".join(f"{found['mebibytes'][side]:.0f}" for side in SIDES)
        print(
            f"{TASKS[name].title:48} {found['ratio']:6.2f} times faster ({low:.2f}-{high:.2f}), "
            f"{1e3 * found['seconds'][OURS]:.1f} ms, memory {megabytes} MiB",
            flush=True,
        )
        report.write(results, arguments.output)


main()
