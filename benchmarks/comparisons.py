"""Networks that are trained with equal budget and evaluated together."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from commands import run
from tqdm import tqdm

from electrain.evaluation.summary import ALL

# AdamW, with a learning rate that decreases along a cosine; the best epoch of the validation structures is kept.
TRAINING: dict[str, Any] = {
    "batch_size": 8,
    "learning_rate": 1e-3,
    "learning_rate_schedule": "cosine",
    "weight_decay": 0.01,
    "num_workers": 0,
}


class Network(NamedTuple):
    """What differs between trainings."""

    architecture: str
    model: dict[str, Any]  # hyperparameters
    training: dict[str, Any]


def options_of(dataset: Path, network: Network, epochs: int) -> dict[str, Any]:
    """The options file of a training: that of the data set, with another architecture."""
    options: dict[str, Any] = yaml.safe_load((dataset / "options.yaml").read_text())
    training = {**TRAINING, "num_epochs": epochs, "warmup_epochs": min(2, epochs // 2), **network.training}
    options["architecture"] = {"name": network.architecture, "model": network.model, "training": training}
    for part in ("training_set", "validation_set", "test_set"):
        read = options[part]["systems"]
        read["read_from"] = str(dataset / read["read_from"])
    return options


def trained(dataset: Path, folder: Path, name: str, seed: int, epochs: int, network: Network) -> Path:
    """Train a network, unless it has been.

    :raises SystemExit: if it was trained with other options, whose results would be taken for those of these.
    """
    model = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{epochs}-{seed}.pt"
    file, options = model.with_suffix(".yaml"), yaml.safe_dump(options_of(dataset, network, epochs))
    if not model.exists():
        file.write_text(options)
        run("mtt", "train", file.name, "-r", f"seed={seed}", "-o", model.name, folder=folder)
    elif file.read_text() != options:
        raise SystemExit(f"{model} was trained with other options than {name!r} has now: see {file}, or move both away")
    return model


class Errors(NamedTuple):
    """Errors of models and of trivial predictions on a part of the data."""

    columns: dict[str, str]  # key -> name with unit
    of_models: dict[str, list[dict[str, float]]]  # name of a network -> one for each seed


def evaluated(dataset: Path, folder: Path, part: str, models: dict[Path, str]) -> Errors:
    """Evaluate all models together."""
    flags = [word for model in models for word in ("-m", model)]
    report = folder / f"report-{part}"
    run("electrain", "evaluate", dataset, *flags, "--part", part, "-o", report, "--overwrite", folder=folder)
    summary = json.loads((report / "summary.json").read_text())
    names = {str(model): name for model, name in models.items()}
    found: dict[str, list[dict[str, float]]] = {}
    for entry in summary["models"]:
        found.setdefault(names[entry["model"]], []).append(entry["subsets"][ALL])
    found |= {name: [subsets[ALL]] for name, subsets in summary["baselines"].items()}
    return Errors(summary["labels"], found)


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


def compare(description: str | None, known: Callable[[Path], dict[str, Network]], parts: tuple[str, ...]) -> None:
    """Read the arguments, train what is missing, evaluate, and write tables.

    :param description: of the script.
    :param known: folder of the data set -> its networks.
    :param parts: of the data set, to evaluate.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--networks", nargs="+", help="some of them; default: all")
    args = parser.parse_args()
    dataset, folder = args.dataset.resolve(), args.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    networks = known(dataset)
    chosen = {name: networks[name] for name in args.networks or networks}
    models = {}
    jobs = [(seed, name) for seed in args.seeds for name in chosen]
    for seed, name in tqdm(jobs, unit="training"):
        models[trained(dataset, folder, name, seed, args.epochs, chosen[name])] = name
    texts = [f"{part}\n\n{table(evaluated(dataset, folder, part, models))}" for part in parts]
    (folder / "table.md").write_text("\n".join(texts))
    print("\n".join(texts))
