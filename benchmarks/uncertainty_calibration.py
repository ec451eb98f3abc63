"""Calibration of uncertainties on compounds that neither training nor calibration has seen.

    python benchmarks/uncertainty_calibration.py datasets/dft_mini.xyz.xz -o results.md

Splits the structures by compound, trains a small network on energy, density of states, band gap and Fermi level,
calibrates it with metatrain's `llpr` on the validation set, and compares predicted uncertainties with actual errors on
the test set: numbers into a table, and a figure beside it. 10 minutes on one core.
"""

import argparse
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure

from electrain.calculators import ElectronicStructureModel
from electrain.data.reading import PreparedPart
from electrain.evaluation.report import evaluate_models
from electrain.evaluation.uncertainties import SPECTRUM, Calibration, calibrations
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.plots.calibration import plot_calibration
from electrain.spectra import aligned_residuals

SPLIT = "6:2:2"
SMALL_MODEL = {"edge_width": 64, "node_width": 64, "head_width": 128, "feedforward_width": 128}
TRAINING = {"batch_size": 8, "learning_rate": 1e-3, "warmup_epochs": 3, "num_workers": 0}
MEMBERS = {"energy": 64, DENSITY_OF_STATES: 32}
NAMES = {
    "energy": "energy",
    DENSITY_OF_STATES: "density of states, each channel",
    SPECTRUM: SPECTRUM,
    BAND_GAP: "band gap",
    FERMI_LEVEL: "Fermi level",
}
PANELS = ("energy", SPECTRUM, BAND_GAP, FERMI_LEVEL)


def run(folder: Path, options: dict, name: str) -> None:
    """`mtt train` with these options; writes NAME.pt and NAME.ckpt."""
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(options, sort_keys=False))
    subprocess.run(["mtt", "train", f"{name}.yaml", "-o", f"{name}.pt"], cwd=folder, check=True, capture_output=True)


def train(dataset: Path, folder: Path, epochs: int, seed: int) -> None:
    """Prepare the data, train a model, and calibrate it."""
    command = ["electrain", "prepare", dataset, "-o", folder, "--split", SPLIT, "--format", "zip"]
    subprocess.run(command, check=True, capture_output=True)
    options = yaml.safe_load((folder / "options.yaml").read_text())
    options["seed"] = seed
    for part in ("training_set", "validation_set", "test_set"):
        options[part]["targets"]["energy"] = {"quantity": "energy", "unit": "eV", "forces": False, "stress": False}
    options["architecture"]["model"].update(SMALL_MODEL)
    options["architecture"]["training"].update(TRAINING, num_epochs=epochs, halving_epochs=max(1, 3 * epochs // 10))
    run(folder, options, "base")
    options["architecture"] = {
        "name": "llpr",
        "model": {"num_ensemble_members": MEMBERS},
        "training": {"model_checkpoint": "base.ckpt", "batch_size": 8, "calibration_method": "squared_residuals"},
    }
    run(folder, options, "llpr")


def compare(folder: Path) -> dict[str, Calibration]:
    """What `electrain evaluate` compares, and the errors of all trusted channels."""
    model, part = folder / "llpr.pt", PreparedPart(folder, "test")
    (evaluated,) = evaluate_models([model], part, folder / "report", num_rotated=0).models
    return {**calibrations(evaluated.table), DENSITY_OF_STATES: channels(ElectronicStructureModel(model), part)}


def channels(model: ElectronicStructureModel, part: PreparedPart) -> Calibration:
    """Errors and uncertainties of densities of states, channel by channel."""
    errors, uncertainties = [], []
    for labelled in part.structures():
        result = model.predict(labelled.atoms)
        spectra = (torch.from_numpy(dos)[None] for dos in (result.density_of_states, labelled.density_of_states))
        residuals = aligned_residuals(*spectra, part.axis)[0][0].numpy()
        known = np.isfinite(residuals)
        errors.append(residuals[known])
        uncertainties.append(result.uncertainty.density_of_states[known])
    return Calibration(np.concatenate(errors), np.concatenate(uncertainties), "states/eV")


def table(found: dict[str, Calibration]) -> list[str]:
    """Rows of a table in Markdown."""
    rows = ["| | samples | within 1 sigma | within 2 sigma | RMS of error / sigma | rank correlation |"]
    rows.append("|---|---|---|---|---|---|")
    rows.append("| Gaussian | | 68.3 % | 95.4 % | 1 | |")
    for quantity, name in NAMES.items():
        values = found[quantity]
        # Root mean squares are not normally distributed: no shares.
        shares = ["", ""] if quantity == SPECTRUM else [f"{100 * values.within(n):.1f} %" for n in (1, 2)]
        rows.append(
            f"| {name} ({values.unit}) | {len(values.errors)} | {shares[0]} | {shares[1]} | {values.ratio:.2f} | "
            f"{values.correlation:.2f} |"
        )
    return rows


def draw(found: dict[str, Calibration], path: Path) -> None:
    """One panel per quantity."""
    figure = Figure(figsize=(9.0, 8.0), layout="constrained")
    for axes, quantity in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        values = found[quantity]
        plot_calibration(values.uncertainties, values.errors, axes, unit=values.unit, title=NAMES[quantity])
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="table, .md; the figure gets the ending .png")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    start = time.monotonic()
    with TemporaryDirectory() as name:
        train(arguments.dataset.resolve(), Path(name) / "data", arguments.epochs, arguments.seed)
        found = compare(Path(name) / "data")
    minutes = (time.monotonic() - start) / 60
    lines = [
        "# Uncertainties of unseen compounds",
        "",
        f"    python benchmarks/uncertainty_calibration.py datasets/{arguments.dataset.name} -o results.md "
        f"--epochs {arguments.epochs} --seed {arguments.seed}",
        "",
        f"Structures of {arguments.dataset.name} split {SPLIT} by compound, {arguments.epochs} epochs, width 64; "
        f"{minutes:.0f} minutes. Results on the test set; sigma, the predicted standard deviation, was "
        "calibrated on the validation set.",
        "",
        *table(found),
    ]
    arguments.output.write_text("\n".join(lines) + "\n")
    draw(found, arguments.output.with_suffix(".png"))
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
