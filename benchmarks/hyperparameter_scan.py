"""Validation errors of small models against a hyperparameter.

    python benchmarks/hyperparameter_scan.py DATASET -o RESULTS.csv --variants "" model.num_neighbors_adaptive=16

DATASET is a folder written by `electrain prepare`. A variant are changes of options below `architecture`, quoted
as for a shell; "" changes nothing. Trains one model per seed and variant, and appends a line to RESULTS.csv after each,
with means over the last ten epochs; what is in the file already is skipped, so the scan can be stopped and continued.
"""

import argparse
import csv
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

SMALL_MODEL = {
    "model.edge_width": 64,
    "model.node_width": 64,
    "model.head_width": 128,
    "model.feedforward_width": 128,
    "training.learning_rate": 1e-3,
    "training.batch_size": 8,
    "training.warmup_epochs": 3,
    "training.num_workers": 0,
}
LAST_EPOCHS = 10
COLUMNS = (
    "validation mtt::dos aligned RMSE [eV^-1/2 per electron]",
    "validation mtt::dos aligned RMSE [states eV^-1/2 per atom]",
    "validation mtt::bandgap MAE",
    "validation mtt::efermi MAE",
)


def train(dataset: Path, variant: str, epochs: int, seed: int) -> list[dict[str, str]]:
    """Train one model; return its log, one row an epoch."""
    overrides = {f"architecture.{name}": value for name, value in SMALL_MODEL.items()}
    overrides["architecture.training.num_epochs"] = epochs
    overrides["architecture.training.halving_epochs"] = epochs // 3
    overrides["seed"] = seed
    changes = [f"architecture.{change}" for change in shlex.split(variant)]
    with tempfile.TemporaryDirectory() as folder:
        text = (dataset / "options.yaml").read_text()
        text = re.sub(r"(read_from: )(\S+)", lambda match: f"{match[1]}{dataset.resolve() / match[2]}", text)
        (Path(folder) / "options.yaml").write_text(text + "\nfinal_eval: false\n" * ("final_eval" not in text))
        command = ["mtt", "train", "options.yaml"]
        for change in [*(f"{name}={value}" for name, value in overrides.items()), *changes]:
            command += ["-r", change]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        log = next(Path(folder).glob("outputs/*/*/train.csv"))
        rows = list(csv.DictReader(log.open()))
        return rows[1:] if not rows[0]["Epoch"].strip().isdigit() else rows  # the first line may hold the units


def main() -> None:
    """Run the scan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    header = ["variant", "seed", "epochs", *COLUMNS, "time (s)"]
    done = set()
    if arguments.output.exists():
        done = {
            (row["variant"], int(row["seed"]), int(row["epochs"])) for row in csv.DictReader(arguments.output.open())
        }
    else:
        with arguments.output.open("w") as file:
            csv.writer(file).writerow(header)
    for seed in arguments.seeds:
        for variant in arguments.variants:
            if (variant, seed, arguments.epochs) in done:
                continue
            start = time.perf_counter()
            rows = train(arguments.dataset, variant, arguments.epochs, seed)[-LAST_EPOCHS:]
            duration = time.perf_counter() - start
            means = [sum(float(row[name]) for row in rows) / len(rows) for name in COLUMNS]
            with arguments.output.open("a") as file:
                numbers = [*(f"{mean:.5g}" for mean in means), f"{duration:.0f}"]
                csv.writer(file).writerow([variant, seed, arguments.epochs, *numbers])
            print(f"{variant or 'defaults'}, seed {seed}: " + ", ".join(f"{mean:.4g}" for mean in means), flush=True)


if __name__ == "__main__":
    main()
