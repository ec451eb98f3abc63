"""Errors of all architectures on spectra on a fixed axis, with equal budget (tables 1 and 5 of DOSTransformer's paper).

    OMP_NUM_THREADS=1 python benchmarks/compare_spectra.py DATASET -o FOLDER [--epochs 30] [--seeds 0 1 2]
        [--networks "DOSTransformer" "PET-MAD"]

DATASET is a folder that `electrain prepare --spectra` wrote. Each network sees every training structure `--epochs`
times, with AdamW, batches of 8, a learning rate that decreases along a cosine, and the RMSE as loss; the epoch with the
smallest error on the validation structures is kept. What is in FOLDER already is not repeated, so a comparison can be
continued and extended. Writes FOLDER/table.md: means over seeds of the errors on the test set, and how they scatter.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from commands import run
from spectra_networks import networks
from tqdm import tqdm

from electrain.evaluation.summary import ALL
from electrain.interface.manifests import MANIFEST


def options_of(dataset: Path, architecture: str, hypers: dict[str, Any], epochs: int) -> dict[str, Any]:
    """The options file of a training."""
    options: dict[str, Any] = yaml.safe_load((dataset / "options.yaml").read_text())
    axes = options["architecture"]["model"]["fixed_axes"]
    training = {
        "num_epochs": epochs,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "warmup_epochs": min(2, epochs // 2),
        "learning_rate_schedule": "cosine",
        "weight_decay": 0.01,
        "num_workers": 0,
        "loss": dict.fromkeys(axes, "rmse"),
    }
    options["architecture"] = {"name": architecture, "model": {"fixed_axes": axes, **hypers}, "training": training}
    for part in ("training_set", "validation_set", "test_set"):
        read = options[part]["systems"]
        read["read_from"] = str(dataset / read["read_from"])
    return options


def trained(
    dataset: Path, folder: Path, name: str, seed: int, epochs: int, network: tuple[str, dict[str, Any]]
) -> Path:
    """Train a network, unless it has been."""
    model = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{epochs}-{seed}.pt"
    if not model.exists():
        options = options_of(dataset, *network, epochs)
        model.with_suffix(".yaml").write_text(yaml.safe_dump(options))
        run("mtt", "train", model.with_suffix(".yaml").name, "-r", f"seed={seed}", "-o", model.name, folder=folder)
    return model


class Errors(NamedTuple):
    """Errors of models and of trivial predictions on the test set."""

    columns: dict[str, str]  # key -> name with unit
    of_models: dict[str, list[dict[str, float]]]  # name of a network -> one for each seed


def evaluated(dataset: Path, folder: Path, models: dict[Path, str]) -> Errors:
    """Evaluate all models together."""
    flags = [word for model in models for word in ("-m", model)]
    run("electrain", "evaluate", dataset, *flags, "-o", folder / "report", folder=folder)
    report = json.loads((folder / "report" / "summary.json").read_text())
    names = {str(model): name for model, name in models.items()}
    found: dict[str, list[dict[str, float]]] = {}
    for entry in report["models"]:
        found.setdefault(names[entry["model"]], []).append(entry["subsets"][ALL])
    found |= {name: [subsets[ALL]] for name, subsets in report["baselines"].items()}
    return Errors(report["labels"], found)


def table(errors: Errors) -> str:
    """A row for each network: means over seeds, and standard deviations in brackets."""
    lines = [f"| network | seeds | {' | '.join(errors.columns.values())} |", "|---" * (len(errors.columns) + 2) + "|"]
    for name, rows in errors.of_models.items():
        cells = []
        for column in errors.columns:
            values = [row[column] for row in rows]
            scatter = f" ({np.std(values, ddof=1):.2g})" if len(values) > 1 and column != "structures" else ""
            cells.append(f"{np.mean(values):.4g}{scatter}")
        lines.append(f"| {name} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, evaluate, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--networks", nargs="+", help="some of them; default: all")
    args = parser.parse_args()
    dataset, folder = args.dataset.resolve(), args.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    known = networks(json.loads((dataset / MANIFEST).read_text())["split"]["number"]["train"])
    chosen = {name: known[name] for name in args.networks or known}
    models = {}
    jobs = [(seed, name) for seed in args.seeds for name in chosen]
    for seed, name in tqdm(jobs, unit="training"):
        models[trained(dataset, folder, name, seed, args.epochs, chosen[name])] = name
    text = table(evaluated(dataset, folder, models))
    (folder / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
