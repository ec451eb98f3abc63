"""The baselines of `electrain evaluate` on one data set: constants, and the two-layer network with several seeds.

    OMP_NUM_THREADS=1 python benchmarks/two_layer.py DATASET -o benchmarks/results/two_layer.md [--seeds 0 1 2]

DATASET is a folder written by `electrain prepare` with all three parts. A minute per seed on one core for 1,700
structures.
"""

import argparse
import datetime
import importlib.metadata
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from electrain.data.reading import PreparedPart
from electrain.evaluation.baselines import Baseline, TrainingSet
from electrain.evaluation.network_baseline import NetworkBaseline, TrainingStructures
from electrain.evaluation.structure_errors import compare_structure
from electrain.evaluation.summary import ALL, ErrorTable, summarise

PARTS = ("validation", "test")
COLUMNS = {
    "dos_rmse_per_electron": "DOS, RMSE of eq. 10 (eV^-1/2)",
    "gap_head_mae": "gap, MAE (eV)",
    "gap_head_rmse": "gap, RMSE (eV)",
    "metals": "metals told from insulators",
    "fermi_head_mae": "Fermi level, MAE (eV)",
}
METAL = 0.05  # eV; no smaller gap counts as one


def errors(baseline: Any, part: PreparedPart) -> tuple[dict[str, float], float]:
    """Errors on a part of the data set, and the time in ms per structure."""
    rows, seconds = [], 0.0
    for labelled in part.structures():
        begin = time.perf_counter()
        result, energy = baseline.predict(labelled.atoms)
        seconds += time.perf_counter() - begin
        rows.append(compare_structure(labelled, part.axis, result, energy, None).errors)
    table = ErrorTable(part.entries, np.array(rows), [""] * len(part))
    predicted, true = table.column("predicted_gap"), table.column("true_gap")
    both = np.isfinite(predicted) & np.isfinite(true)
    found = dict(summarise(table)[ALL])
    found["metals"] = float(np.mean((predicted > METAL)[both] == (true > METAL)[both]))
    return found, 1000 * seconds / len(part)


def line(name: str, cells: list[str]) -> str:
    """One row of a table."""
    return f"| {name} | {' | '.join(cells)} |".replace("|  |", "| |")


def numbers(found: dict[str, float]) -> list[str]:
    """Cells of one baseline."""
    return [f"{100 * found[key]:.0f} %" if key == "metals" else f"{found[key]:.3f}" for key in COLUMNS]


def main() -> None:
    """Train all, compare, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    train = PreparedPart(options.dataset, "train")
    parts = {name: PreparedPart(options.dataset, name) for name in PARTS}
    constants = TrainingSet.read(train, with_spectra=True)
    baselines: dict[str, Any] = {}
    for name, per_element in (("training mean", False), ("constant per element", True)):
        baselines[name] = Baseline(constants, train.axis, per_element=per_element)
    training, seconds = TrainingStructures.read(train), []
    for seed in options.seeds:
        begin = time.process_time()
        baselines[f"two-layer network, seed {seed}"] = NetworkBaseline(
            training, train.axis, seed=seed, advance=lambda _: None
        )
        seconds.append(time.process_time() - begin)
    speeds = []
    text = f"# The two-layer network as a baseline, {datetime.date.today()}\n\n"
    text += "    OMP_NUM_THREADS=1 python benchmarks/two_layer.py DATASET -o benchmarks/results/two_layer.md\n\n"
    sizes = ", ".join(f"{len(part)} {name}" for name, part in {"training": train, **parts}.items())
    text += f"DATASET: {sizes} structures, {train.axis.grid.size} channels of {train.axis.grid.step:g} eV.\n"
    for name, part in parts.items():
        rows = {}
        for baseline, predictor in baselines.items():
            rows[baseline], speed = errors(predictor, part)
            speeds += [speed] if isinstance(predictor, NetworkBaseline) else []
        text += f"\n## {name.capitalize()}, {len(part)} structures\n\n"
        text += "\n".join([line("", list(COLUMNS.values())), "|---" * (len(COLUMNS) + 1) + "|"])
        text += "\n" + "\n".join(line(baseline, numbers(found)) for baseline, found in rows.items()) + "\n"
    text += f"\nTraining: {np.mean(seconds):.0f} s of CPU; prediction: {np.mean(speeds):.1f} ms per structure. "
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in ("electrain", "torch"))
    text += f"{versions}; {platform.machine()}, one core.\n"
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
