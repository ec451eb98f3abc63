"""What fine-tuning forgets: errors on the base model's own test set before and after, and on the new data.

    python benchmarks/forgetting.py datasets/dft_mini.xyz.xz -o benchmarks/results/forgetting.md [--epochs 150 300]

A small model learns energies and forces of crystals, surfaces and clusters, then goes on with molecules by each method
of `training.finetune`; another one learns the molecules from scratch. All structures of one chemical formula are in the
same part (15 % of the formulas validation, as many test). Errors are those of the epoch that was best on the validation
set of its own training. A quarter of an hour on one core; models stay in the folder given with --work.
"""

import argparse
import datetime
import importlib.metadata
import io
import lzma
import platform
import random
import re
import subprocess
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.formula import Formula
from metatomic_ase import MetatomicCalculator
from omegaconf import OmegaConf

NETWORK = {"edge_width": 64, "node_width": 64, "head_width": 64, "feedforward_width": 128, "num_heads": 4}
NEW_SUBSET = "molecule"
METHODS = {"all parameters (`full`)": "full", "low-rank updates (`lora`)": "lora", "heads (`heads`)": "heads"}


def split(frames: list[Atoms], seed: int) -> dict[str, list[Atoms]]:
    """Training, validation and test set that share no chemical formula.

    Formulas are held out whose elements two others left for training have, too.
    """
    formulas = sorted({atoms.get_chemical_formula(empirical=True) for atoms in frames})
    random.Random(seed).shuffle(formulas)
    training, held_out = list(formulas), []
    for formula in formulas:
        others = [set(Formula(other)) for other in training if other != formula]
        if len(held_out) < 0.3 * len(formulas) and all(
            sum(element in other for other in others) >= 2 for element in Formula(formula)
        ):
            training.remove(formula)
            held_out.append(formula)
    chosen = {"train": training, "validation": held_out[::2], "test": held_out[1::2]}
    return {
        part: [atoms for atoms in frames if atoms.get_chemical_formula(empirical=True) in names]
        for part, names in chosen.items()
    }


def read(path: Path) -> list[Atoms]:
    """Structures of a compressed file, with energies (eV) and forces (eV/A) only."""
    with lzma.open(path, "rt") as file:
        frames = ase.io.read(io.StringIO(file.read()), index=":", format="extxyz")
    for atoms in frames:
        atoms.info = {"subset": atoms.info["subset"]}
    return frames


def train(folder: Path, data: str, elements: list[int], epochs: int, seed: int, **training: object) -> tuple[Path, str]:
    """Run `mtt train`; the exported model and how many parameters were trained."""
    if not (folder / "model.pt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        sets = {
            part: {
                "systems": {"read_from": str(folder.parent / f"{data}_{part}.xyz"), "length_unit": "angstrom"},
                "targets": {"energy": {"key": "energy", "unit": "eV", "forces": {"key": "forces"}}},
            }
            for part in ("train", "validation")
        }
        schedule = {"warmup_epochs": 0.02 * epochs, "learning_rate_schedule": "cosine", "num_epochs": epochs}
        options = {
            "seed": seed,
            "architecture": {
                "name": "pet_mad",
                "atomic_types": elements,
                "model": NETWORK,
                "training": {"batch_size": 8, "num_workers": 0, "log_interval": 10, **schedule, **training},
            },
            "training_set": sets["train"],
            "validation_set": sets["validation"],
        }
        OmegaConf.save(OmegaConf.create(options), folder / "options.yaml")
        result = subprocess.run(
            ["mtt", "train", "options.yaml"], cwd=folder, capture_output=True, text=True, check=False
        )
        (folder / "output.txt").write_text(result.stdout + result.stderr)
        if result.returncode != 0:
            raise SystemExit(f"`mtt train` failed, see {folder / 'output.txt'}")
    output = (folder / "output.txt").read_text()
    found = re.search(r"(\d+) of \d+ parameters are trained", output) or re.search(r"actual number: (\d+)", output)
    assert found is not None
    return folder / "model.pt", found.group(1)


def errors(model: Path, frames: list[Atoms]) -> tuple[float, float]:
    """Mean absolute errors: energies in meV per atom, forces in meV/A per component."""
    calculator = MetatomicCalculator(str(model), device="cpu")
    energies, forces = [], []
    for reference in frames:
        atoms = Atoms(
            reference.numbers, reference.positions, cell=reference.cell, pbc=reference.pbc, calculator=calculator
        )
        with np.errstate(invalid="ignore"):  # the calculator's stress of molecules
            atoms.get_forces()
        energies.append((atoms.get_potential_energy() - reference.get_potential_energy()) / len(atoms))
        forces.append((atoms.get_forces() - reference.get_forces()).ravel())
    return 1e3 * float(np.abs(energies).mean()), 1e3 * float(np.abs(np.concatenate(forces)).mean())


def measure(
    path: Path, work: Path, epochs: tuple[int, int], rates: tuple[float, float], seed: int
) -> dict[str, list[str]]:
    """Train and evaluate all models with one seed; the cells of the table by row."""
    frames = read(path)
    elements = sorted({int(number) for atoms in frames for number in atoms.numbers})
    work.mkdir(parents=True, exist_ok=True)
    test = {}
    for data, chosen in (("base", False), ("new", True)):
        parts = split([atoms for atoms in frames if (atoms.info["subset"] == NEW_SUBSET) == chosen], seed)
        test[data] = parts["test"]
        for part, structures in parts.items():
            ase.io.write(work / f"{data}_{part}.xyz", structures, format="extxyz")
        print(f"{data}: " + ", ".join(f"{len(structures)} {part}" for part, structures in parts.items()), flush=True)
    base, count = train(work / "base", "base", elements, epochs[0], seed, learning_rate=rates[0])
    models = {"base model": (base, count)}
    for name, method in METHODS.items():
        finetune = {"read_from": str(base.with_suffix(".ckpt")), "method": method}
        models[name] = train(work / method, "new", elements, epochs[1], seed, learning_rate=rates[1], finetune=finetune)
    models["new data from scratch"] = train(work / "scratch", "new", elements, epochs[1], seed, learning_rate=rates[0])
    rows = {}
    for name, (model, trained) in models.items():
        values = [value for data in ("base", "new") for value in errors(model, test[data])]
        rows[name] = [trained, *(f"{value:.0f}" for value in values)]
        print(f"seed {seed}, {name}: " + ", ".join(rows[name]), flush=True)
    return rows


def main() -> None:
    """Run the benchmark and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--work", type=Path, default=Path("forgetting"), help="folder for models (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, nargs=2, default=(150, 300), help="of the base model and of fine-tuning")
    parser.add_argument("--rates", type=float, nargs=2, default=(1e-3, 5e-4), help="learning rates of the same")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    tables = []
    for seed in arguments.seeds:
        work = arguments.work.resolve() / f"seed_{seed}"
        rows = measure(arguments.dataset, work, tuple(arguments.epochs), tuple(arguments.rates), seed)
        lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
        header = "| | trained parameters | base: energy (meV/atom) | base: forces (meV/A) | new: energy | new: forces |"
        tables.append("\n".join([f"Seed {seed}:", "", header, "|---|---|---|---|---|---|", *lines]))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("electrain", "metatrain", "torch"))
    epochs, rates = arguments.epochs, arguments.rates
    text = "\n".join(
        [
            f"# What fine-tuning forgets, {datetime.date.today()}",
            "",
            f"    python benchmarks/forgetting.py {arguments.dataset} --epochs {epochs[0]} {epochs[1]} "
            f"--rates {rates[0]:g} {rates[1]:g} --seeds {' '.join(map(str, arguments.seeds))}",
            "",
            "Mean absolute errors on the test sets. Base: crystals, surfaces and clusters; new: molecules.",
            f"{epochs[0]} epochs at a learning rate of {rates[0]:g} for the base model ({epochs[1]} from scratch),",
            f"{epochs[1]} at {rates[1]:g} for fine-tuning; cosine schedule, batches of 8, width 64;",
            f"{versions}, Python {platform.python_version()}, {platform.machine()}.",
            "",
            *tables,
        ]
    )
    arguments.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
