"""Validation error against the weight of the cumulative loss (beta), the scan behind its default.

    python benchmarks/cumulative_weight_scan.py DATASET -o RESULTS.csv [--epochs 30] [--weights 0 0.002 ...]

DATASET is a folder written by `electrain prepare`. Trains one small model per weight, all with the same seed, and
appends a line to RESULTS.csv after each; weights that are in the file already are skipped, so the scan can be
stopped and started again.
"""

import argparse
import csv
import re
import subprocess
import tempfile
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


def train(dataset: Path, weight: float, epochs: int, seed: int) -> list[dict[str, str]]:
    """Train one model; return its log, one row an epoch."""
    overrides = {f"architecture.{name}": value for name, value in SMALL_MODEL.items()}
    overrides["architecture.training.num_epochs"] = epochs
    overrides["architecture.training.halving_epochs"] = epochs // 3
    overrides["architecture.training.loss"] = f"{{mtt::dos: {{cumulative_weight: {weight}}}}}"
    overrides["seed"] = seed
    with tempfile.TemporaryDirectory() as folder:
        text = (dataset / "options.yaml").read_text()
        text = re.sub(r"(read_from: )(\S+)", lambda match: f"{match[1]}{dataset.resolve() / match[2]}", text)
        (Path(folder) / "options.yaml").write_text(text + "\nfinal_eval: false\n" * ("final_eval" not in text))
        command = ["mtt", "train", "options.yaml"]
        for name, value in overrides.items():
            command += ["-r", f"{name}={value}"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        log = next(Path(folder).glob("outputs/*/*/train.csv"))
        rows = list(csv.DictReader(log.open()))
        return rows[1:] if not rows[0]["Epoch"].strip().isdigit() else rows  # the first line may hold the units


def main() -> None:
    """Run the scan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 2e-4, 2e-3, 2e-2, 0.2, 2.0])
    arguments = parser.parse_args()
    header = ["cumulative_weight", "seed", "epochs", *COLUMNS]
    done = set()
    if arguments.output.exists():
        done = {(row["cumulative_weight"], row["seed"]) for row in csv.DictReader(arguments.output.open())}
    else:
        arguments.output.write_text(",".join(f'"{name}"' for name in header) + "\n")
    for weight in arguments.weights:
        if (str(weight), str(arguments.seed)) in done:
            continue
        rows = train(arguments.dataset, weight, arguments.epochs, arguments.seed)[-LAST_EPOCHS:]
        means = [sum(float(row[name]) for row in rows) / len(rows) for name in COLUMNS]
        with arguments.output.open("a") as file:
            csv.writer(file).writerow([weight, arguments.seed, arguments.epochs, *[f"{mean:.5g}" for mean in means]])
        print(f"beta = {weight:g}: " + ", ".join(f"{mean:.4g}" for mean in means), flush=True)


if __name__ == "__main__":
    main()
