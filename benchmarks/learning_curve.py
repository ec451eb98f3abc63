"""Error against the number of training structures, and against the time of a prediction.

    OMP_NUM_THREADS=1 python benchmarks/learning_curve.py STRUCTURES.xyz -o FOLDER [--pretrained MODEL.ckpt]
        [--shares 0.125 0.25 0.5 1] [--epochs 16] [--seeds 0 1 2] [--peer]

STRUCTURES.xyz is from `datasets/assemble.py`. For each share of its training structures (drawn in one order, so that
smaller sets are parts of larger ones), `pet_mad` learns densities of states and band gaps with the options that
`electrain prepare` writes for all of them, from scratch and, if there is one, from the pre-trained checkpoint. It sees
each structure `--epochs` times, or more often if the set is less than half of all. With several seeds, errors are means
over them. Beside it are the constant per element and the two-layer network of `electrain evaluate`, and with `--peer`
`metatrain.pet` of the same width, which learns the same densities of states and gaps point by point from all training
structures. Nothing is selected on the test part, which every model predicts once.

Writes FOLDER/learning_curve.csv and .png. What is in FOLDER already is not repeated.
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import ase.io
import matplotlib.pyplot as plt
import numpy as np
import yaml
from commands import run
from side_by_side import prepared as sets_of
from side_by_side import test, train

from electrain.calculators import ElectronicStructureModel
from electrain.data.reading import PreparedPart
from electrain.evaluation.network_baseline import NetworkBaseline, TrainingStructures
from electrain.evaluation.summary import ALL
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES
from electrain.plots.style import LINE, PREDICTED, REFERENCE, SERIES, save_figure

GRID = ("-81.85", "34.7")  # eV, as in embedded/electrain-small/train.sh
CONSTANT, TWO_LAYER, SCRATCH, PRETRAINED, PEER = (
    "constant per element",
    "two-layer network",
    "pet_mad",
    "pet_mad, pre-trained",
    "metatrain.pet",
)
COLORS = {CONSTANT: REFERENCE, TWO_LAYER: SERIES[2], SCRATCH: LINE, PRETRAINED: PREDICTED, PEER: "#7b5ea7"}
PARTS = ("validation", "test")
LABELS = {"dos_rmse_per_electron": r"DOS, RMSE of eq. 10 (eV$^{-1/2}$)", "gap_head_mae": "gap, MAE (eV)"}


def prepared(structures: Path, share: float, folder: Path) -> Path:
    """Prepare a share of the training structures with the other parts whole."""
    output = folder / f"data-{share:g}"
    if not output.exists():
        frames = ase.io.read(structures, ":")
        train = [i for i, atoms in enumerate(frames) if atoms.info["split"] == "train"]
        drawn = np.random.default_rng(0).permutation(train)[: round(share * len(train))]
        kept = set(drawn.tolist()) | (set(range(len(frames))) - set(train))
        part = folder / f"structures-{share:g}.xyz"
        ase.io.write(part, [atoms for i, atoms in enumerate(frames) if i in kept], format="extxyz")
        run("electrain", "prepare", part.name, "-o", output.name, "--split", "given", "--grid", *GRID, folder=folder)
    return output


def trained(data: Path, share: float, pretrained: Path | None, network: dict[str, Any], epochs: int, seed: int) -> Path:
    """Train `pet_mad` on densities of states and gaps."""
    name = f"{'scratch' if pretrained is None else 'pretrained'}-{seed}"
    model = data / f"{name}.pt"
    if not model.exists():
        options = yaml.safe_load((data / "options.yaml").read_text())
        options["architecture"]["model"] = network
        training = options["architecture"]["training"]
        training["num_epochs"] = max(epochs, round(epochs * 0.5 / share))
        training["num_workers"] = 0
        training["loss"] = {name: training["loss"][name] for name in (DENSITY_OF_STATES, BAND_GAP)}
        if pretrained is not None:
            training["finetune"] = {"read_from": str(pretrained)}
        for part in ("training_set", "validation_set", "test_set"):
            targets = options[part]["targets"]
            options[part]["targets"] = {name: targets[name] for name in (DENSITY_OF_STATES, BAND_GAP)}
        (data / f"{name}.yaml").write_text(yaml.safe_dump(options))
        run("mtt", "train", f"{name}.yaml", "-r", f"seed={seed}", "-o", model.name, folder=data)
    return model


def evaluated(data: Path, models: list[Path], part: str) -> dict[str, dict[str, float]]:
    """Errors of the models and of the baselines."""
    output = data / f"report-{part}"
    if not (output / "summary.json").exists():
        flags = [word for model in models for word in ("-m", model.name)]
        command = ["electrain", "evaluate", ".", "--part", part, *flags, "--network-baseline", "--rotations", 0]
        run(*command, "-o", output.name, folder=data)
    report = json.loads((output / "summary.json").read_text())
    found = {name: report["baselines"][name][ALL] for name in report["baselines"]}
    return found | {model["model"]: model["subsets"][ALL] for model in report["models"]}


def peer_errors(data: Path, part: str, epochs: int, seed: int) -> dict[str, float]:
    """Errors of `metatrain.pet`, which is trained first unless it has been."""
    folder = data / f"peer-{seed}"
    sets = sets_of(data, energies=False)
    train(folder, "pet", sets, epochs, seed)
    found = folder / f"{part}.json"
    if not found.exists():
        found.write_text(json.dumps(test(folder, sets, [f"{part}_set"])))
    errors = json.loads(found.read_text())
    return dict(zip(LABELS, (errors["DOS RMSE"], errors["gap MAE"] / 1000), strict=True))


def milliseconds_per_atom(predict: Any, structures: list[Any]) -> float:
    """Time of a prediction, neighbor lists included, one structure after the other."""
    for atoms in structures[:3]:
        predict(atoms)
    begin = time.process_time()
    for atoms in structures:
        predict(atoms)
    return 1000 * (time.process_time() - begin) / sum(len(atoms) for atoms in structures)


def times(data: Path) -> dict[str, float]:
    """Time per atom of each kind of model on the validation structures."""
    part = PreparedPart(data, "validation")
    structures = [labelled.atoms for labelled in part.structures()]
    model = ElectronicStructureModel(next(data.glob("scratch-*.pt")), device="cpu")
    network = NetworkBaseline(
        TrainingStructures.read(PreparedPart(data, "train")), part.axis, seed=0, advance=lambda _: None
    )
    found = {TWO_LAYER: milliseconds_per_atom(network.predict, structures)}
    # the second kind differs in its weights only
    found[SCRATCH] = found[PRETRAINED] = milliseconds_per_atom(model.predict, structures)
    return found


def curve(rows: list[dict[str, Any]], kind: str, part: str, error: str) -> list[tuple[int, float]]:
    """Numbers of structures and mean errors over seeds."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if (row["model"], row["part"]) == (kind, part):
            found.setdefault(row["structures"], []).append(row[error])
    return [(number, float(np.mean(errors))) for number, errors in sorted(found.items())]


def plot(rows: list[dict[str, Any]], costs: dict[str, float], path: Path) -> None:
    """Learning curves of both errors, and the Pareto plot."""
    figure, axes = plt.subplots(1, 3, figsize=(11.0, 3.8), layout="constrained")
    for axis, error in zip(axes, LABELS, strict=False):
        for kind, color in COLORS.items():
            for part, style in zip(PARTS, ("--", "-"), strict=True):
                points = curve(rows, kind, part, error)
                if not points:
                    continue
                label = kind if part == "test" else None
                filled = color if part == "test" else "white"
                line = axis.plot(*zip(*points, strict=True), style, marker="o", ms=5, color=color, label=label)[0]
                line.set_markerfacecolor(filled)
        axis.set_xscale("log")
        axis.set_xlabel("training structures")
        axis.set_ylabel(LABELS[error])
        axis.set_ylim(bottom=0)
    axes[0].set_title("filled: test, open: validation", fontsize=9, loc="left")
    for kind, cost in costs.items():
        if points := curve(rows, kind, "test", "dos_rmse_per_electron"):
            axes[2].plot(cost, points[-1][1], "o", color=COLORS[kind])
    axes[2].set_xlabel("time (ms per atom)")
    axes[2].set_ylabel("test, " + LABELS["dos_rmse_per_electron"])
    axes[2].margins(0.25)
    axes[2].set_xlim(left=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    save_figure(figure, path)


def add_rows(
    rows: list[dict[str, Any]], structures: int, part: str, of_kinds: list[tuple[str, dict[str, float]]]
) -> None:
    """Add and print a row for each model that is in the figure."""
    for kind, errors in of_kinds:
        if kind in COLORS:
            row = {"structures": structures, "model": kind, "part": part}
            rows.append(row | {error: round(errors[error], 4) for error in LABELS})
            print(*rows[-1].values(), flush=True)


def main() -> None:
    """Train, evaluate, and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--pretrained", type=Path, help="checkpoint of pretraining/")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    folder = args.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    everything = prepared(args.structures.resolve(), 1.0, folder)
    network = yaml.safe_load((everything / "options.yaml").read_text())["architecture"]["model"]
    starts = {SCRATCH: None} | ({PRETRAINED: args.pretrained.resolve()} if args.pretrained else {})
    rows: list[dict[str, Any]] = []
    for share in args.shares:
        data = prepared(args.structures.resolve(), share, folder)
        names = {}
        for kind, start in starts.items():
            for seed in args.seeds:
                names[trained(data, share, start, network, args.epochs, seed)] = kind
        for part in PARTS:
            found = evaluated(data, list(names), part)
            kinds = {model.name: kind for model, kind in names.items()}
            of_kinds = [(kinds.get(name, name), errors) for name, errors in found.items()]
            if args.peer and share == 1.0:
                of_kinds += [(PEER, peer_errors(data, part, args.epochs, seed)) for seed in args.seeds]
            add_rows(rows, len(PreparedPart(data, "train")), part, of_kinds)
    with (folder / "learning_curve.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    costs = times(everything)
    print({kind: f"{cost:.2f} ms/atom" for kind, cost in costs.items()})
    plot(rows, costs, folder / "learning_curve.png")


if __name__ == "__main__":
    main()
