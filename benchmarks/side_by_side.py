"""`pet_mad` and `metatrain.pet` trained side by side: the same hyperparameters, seed, splits and epochs.

    python benchmarks/side_by_side.py STRUCTURES.xyz -o FOLDER [--forces force] [--epochs 100] [--seeds 0 1 2]
    python benchmarks/side_by_side.py PREPARED_FOLDER -o FOLDER [--epochs 60]

Trains both architectures with plain `mtt train`, evaluates the models of the last epoch (where the learning rate has
fallen to zero) and prints their errors on the validation and the test structures together: nothing is selected by
either. Of an extended XYZ file, energies and forces are learned (60 % of the structures to train on, 20 % to validate,
20 % to test). Of a folder that `electrain prepare` wrote,
energies, forces, densities of states, band gaps and (not the peer) Fermi levels at once, with its own split; the peer
has no aligned loss and learns spectra point by point. Runs that are in FOLDER already are not repeated.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
import yaml
from metatrain.utils.data import get_dataset
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.io import model_from_checkpoint
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from omegaconf import OmegaConf

from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.spectra.metrics import AlignedRMSE

# ours -> the peer's name; the values are those of both
NETWORK = {
    "cutoff": ("cutoff", 4.5),
    "cutoff_width": ("cutoff_width", 0.5),
    "cutoff_function": ("cutoff_function", "Cosine"),
    "featurizer": ("featurizer_type", "residual"),
    "num_message_passing_layers": ("num_gnn_layers", 2),
    "num_attention_layers": ("num_attention_layers", 2),
    "edge_width": ("d_pet", 64),
    "node_width": ("d_node", 64),
    "feedforward_width": ("d_feedforward", 128),
    "head_width": ("d_head", 64),
    "num_heads": ("num_heads", 4),
    "normalization": ("normalization", "LayerNorm"),
    "activation": ("activation", "SiLU"),
    "transformer_type": ("transformer_type", "PostLN"),
}
WARMUP = 0.05  # of all epochs
PARTS = ("training_set", "validation_set", "test_set")
UNITS = {"energy": "meV/atom", "forces": "meV/A", "gap": "meV", "DOS": "eV^-1/2"}


def options(architecture: str, sets: dict[str, Any], epochs: int, seed: int) -> dict[str, Any]:
    """The options file of one training."""
    ours = architecture == "pet_mad"
    loss: dict[str, Any] = {}
    if "energy" in sets[PARTS[0]]["targets"]:
        loss["energy"] = {"type": "mse", "weight": 0.1, "forces": {"type": "mse", "weight": 1.0}}
    training = {
        "num_epochs": epochs,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "best_model_metric": "rmse_prod",
        "num_workers": 0,
        "loss": loss,
    }
    model = {name if ours else theirs: value for name, (theirs, value) in NETWORK.items()}
    if ours:
        training |= {"learning_rate_schedule": "cosine", "warmup_epochs": WARMUP * epochs}
        if "energy_grid" in sets:
            # as the peer does it, but for the mean over atoms instead of the sum
            model |= {"energy_grid": sets["energy_grid"], "band_gap_from": "atoms"}
            # in (states/eV)^2 eV per atom, about 20 at first, where the scaled energies and forces begin with 1
            loss[DENSITY_OF_STATES] = {"weight": 0.05}
    else:
        training |= {"warmup_fraction": WARMUP}
        if "energy_grid" in sets:
            # its fit turns one NaN into NaN for all elements
            training["atomic_baseline"] = {DENSITY_OF_STATES: 0.0, BAND_GAP: 0.0}
            for part in PARTS:  # 0 in all calculations: a scale of zero, and NaN
                sets[part]["targets"].pop(FERMI_LEVEL, None)
    return {
        "seed": seed,
        "base_precision": 32,
        "architecture": {"name": architecture, "model": model, "training": training},
        "final_eval": False,
        **{part: sets[part] for part in PARTS},
    }


def split(path: Path, folder: Path, seed: int, forces: str) -> dict[str, Any]:
    """Write the three parts of a file; the same ones for the same seed."""
    frames = ase.io.read(path, ":")
    order = np.random.default_rng(seed).permutation(len(frames))
    first, second = int(0.6 * len(frames)), int(0.8 * len(frames))
    sets = {}
    for part, indices in zip(PARTS, (order[:first], order[first:second], order[second:]), strict=True):
        file = (folder / f"{part}-{seed}.xyz").resolve()
        ase.io.write(file, [frames[index] for index in indices])
        target = {"quantity": "energy", "unit": "eV", "key": "energy", "forces": {"key": forces}, "stress": False}
        sets[part] = {"systems": {"read_from": str(file), "length_unit": "angstrom"}, "targets": {"energy": target}}
    return sets


def prepared(folder: Path, *, energies: bool = True) -> dict[str, Any]:
    """The sets of a prepared folder, with or without energies and forces in addition to the electronic structure."""
    written = yaml.safe_load((folder / "options.yaml").read_text())
    sets = {"energy_grid": written["architecture"]["model"]["energy_grid"]}
    for part in PARTS:
        sets[part] = written[part]
        sets[part]["systems"]["read_from"] = str((folder / sets[part]["systems"]["read_from"]).resolve())
        energy = {"quantity": "energy", "unit": "eV", "forces": True, "stress": False}
        sets[part]["targets"] |= {"energy": energy} if energies else {}
    return sets


def compared(architecture: str, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Train and test one model, or read what an earlier run found."""
    folder = arguments.output / f"{architecture}-{seed}"
    found = folder / "errors.json"
    if found.exists():
        return json.loads(found.read_text())
    data = arguments.structures
    sets = prepared(data) if data.is_dir() else split(data, arguments.output, seed, arguments.forces)
    train(folder, architecture, sets, arguments.epochs, seed)
    errors = test(folder, sets, PARTS[1:])
    found.write_text(json.dumps(errors))
    return errors


def train(folder: Path, architecture: str, sets: dict[str, Any], epochs: int, seed: int) -> None:
    """Train a model in a folder, unless it has been trained."""
    if not (folder / "model.ckpt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "options.yaml").write_text(yaml.safe_dump(options(architecture, sets, epochs, seed)))
        with (folder / "train.log").open("w") as log:
            command = [sys.executable, "-m", "metatrain", "train", "options.yaml"]
            subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=subprocess.STDOUT)


def test(folder: Path, sets: dict[str, Any], parts: Sequence[str]) -> dict[str, float]:
    """Errors of the last epoch's model on some parts of the data; NaN targets do not count."""
    # metatrain fills in the details of targets when it reads the options of a training
    expanded = next(folder.glob("outputs/*/*/options_restart.yaml"))
    written = OmegaConf.load(expanded)
    datasets = [get_dataset(written[part][0]) for part in parts]
    infos = datasets[0][1]
    checkpoint = torch.load(folder / "model.ckpt", map_location="cpu", weights_only=False)
    model = model_from_checkpoint(checkpoint, "restart").export()
    names = [name for name in ("energy", BAND_GAP, DENSITY_OF_STATES) if name in infos]
    known = set(model.capabilities().atomic_types)
    differences: dict[str, list[torch.Tensor]] = {"energy": [], "forces": [], "gap": []}
    grid = sets.get("energy_grid")
    spectra = AlignedRMSE(grid["step"], torch.device("cpu")) if grid else None
    for sample in chain.from_iterable(dataset for dataset, _, _ in datasets):
        if not set(sample["system"].types.tolist()) <= known:
            continue  # as `electrain evaluate` does
        lists = model.requested_neighbor_lists()
        system = get_system_with_neighbor_lists(sample["system"], lists).to(torch.float32)
        predicted = evaluate_model(model, [system], {name: infos[name] for name in names}, is_training=False)
        if "energy" in names:
            block, true = predicted["energy"].block(), sample["energy"].block()
            differences["energy"].append((block.values.double() - true.values).ravel() / len(system))
            gradients = [item.gradient("positions").values.double() for item in (block, true)]
            differences["forces"].append((gradients[0] - gradients[1]).ravel())
        if BAND_GAP in names:
            gap = predicted[BAND_GAP].block().values.double() - sample[BAND_GAP].block().values
            differences["gap"].append(gap.ravel())
        if spectra is not None and grid is not None:
            target = sample[DENSITY_OF_STATES].block().values[:, grid["max_shift"] :]
            trusted = ~torch.isnan(target)
            values = predicted[DENSITY_OF_STATES].block().values.double()
            spectra.update(values, target.double(), trusted, torch.tensor([len(system)]))
    errors = {}
    for name, parts in differences.items():
        if parts:
            values = torch.cat(parts)
            values = 1000.0 * values[~torch.isnan(values)].detach()
            errors[f"{name} MAE"] = float(values.abs().mean())
            errors[f"{name} RMSE"] = float(values.square().mean().sqrt())
    if spectra is not None:
        errors["DOS RMSE"] = spectra.compute().per_electron
    return errors


def main() -> None:
    """Train, test, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--forces", default="force")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[list[float]]] = {"metatrain.pet": [], "pet_mad": []}
    for seed in arguments.seeds:
        for name, architecture in (("metatrain.pet", "pet"), ("pet_mad", "pet_mad")):
            errors = compared(architecture, seed, arguments)
            if not any(results.values()):
                print(f"{'':20}" + "".join(f"{key:>14}" for key in errors))
                print(f"{'':20}" + "".join(f"{UNITS[key.split()[0]]:>14}" for key in errors))
            results[name].append(list(errors.values()))
            row = "".join(f"{value:14.2f}" for value in errors.values())
            print(f"{name + f', seed {seed}':20}{row}", flush=True)
    for name, rows in results.items():
        print(f"{name + ', mean':20}" + "".join(f"{value:14.2f}" for value in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
