"""The complete workflow on data that come with the package: prepare, train, export, predict, compare."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

from electrain.calculators import ElectronicStructureModel
from electrain.data import PreparedDataset, prepare_dataset
from electrain.files.replacing import naming, replacing
from electrain.interface.quantities import ENERGY
from electrain.plots.spectra import plot_comparison
from electrain.plots.style import save_figure

from .data import SEMICONDUCTORS_AND_MOLECULES
from .held_out import Comparison, aligned_errors, best_composition_baseline, compare

# A model that trains in a minute or two: narrow, with a learning rate and batches for a hundred structures.
SETTINGS = {
    "seed": 0,
    "base_precision": 32,
    "architecture": {
        "model": {
            "edge_width": 64,
            "node_width": 64,
            "head_width": 128,
            "feedforward_width": 128,
        },
        "training": {
            "num_epochs": 45,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "warmup_epochs": 3,
            "halving_epochs": 12,
            "num_workers": 0,
        },
    },
}
_PANELS = 6
_EPOCH = re.compile(r"epoch +(\d+)/\d+ .* DOS +([0-9.]+) eV\^-1/2")


def run_demo(folder: Path, say: Callable[[str], None]) -> list[Comparison]:
    """Train a small model on DFT data that come with the package and compare it with held-out calculations.

    The data set, `model.pt`, the training log and `held_out.png` are written to a folder.

    :param folder: a new or empty folder.
    :param say: function that shows a line to the user.
    :return: one comparison for each structure of the test set.
    """
    say("1/4  Preparing the DFT calculations that come with the package (GPAW, PBEsol)")
    prepared = prepare_dataset([SEMICONDUCTORS_AND_MOLECULES], folder / "data", form="zip")
    say(
        f"     {len(prepared.parts['train'])} structures for training, {len(prepared.parts['validation'])} to choose "
        f"the best epoch, {len(prepared.parts['test'])} for testing; no formula is in two of these sets"
    )
    _train(folder, say)
    say("3/4  mtt export model.ckpt -> model.pt")
    _run(["mtt", "export", "model.ckpt", "-o", "model.pt"], folder)
    say("4/4  Predicting structures that the model was not trained on")
    comparisons = _predict(folder / "model.pt", prepared)
    _show(comparisons, prepared, say)
    _plot(comparisons, folder / "held_out.png")
    say(f"\nPrediction and DFT:     {folder / 'held_out.png'}")
    say(f"Try it yourself:        electrain dos your_structure.cif -m {folder / 'model.pt'} --plot dos.png")
    return comparisons


def _train(folder: Path, say: Callable[[str], None]) -> None:
    options: Any = OmegaConf.merge(OmegaConf.load(folder / "data" / "options.yaml"), SETTINGS)
    for part in ("training_set", "validation_set", "test_set"):
        options[part].systems.read_from = str(Path("data") / options[part].systems.read_from)
        options[part].targets.pop(ENERGY, None)  # with forces, the training would take three times as long
    OmegaConf.save(options, folder / "options.yaml")
    epochs = options.architecture.training.num_epochs
    say(f"2/4  mtt train options.yaml: {epochs} epochs of a small model, one to three minutes")

    def show_epoch(line: str) -> None:
        match = _EPOCH.search(line)
        if match and int(match[1]) % 5 == 0:
            error = f"validation DOS error {float(match[2]):.2f} eV^-1/2 per electron"
            say(f"     epoch {int(match[1]):3d}/{epochs}: {error}")

    _run(["mtt", "train", "options.yaml", "-o", "model.pt"], folder, show_epoch)


def _run(command: list[str], folder: Path, show: Callable[[str], None] | None = None) -> None:
    """Run one of metatrain's commands and write its output to a log file.

    :raises RuntimeError: with the end of the log, if the command fails.
    """
    log = folder / f"{command[1]}.log"
    with naming(log), log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "metatrain", *command[1:]],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                if show is not None:
                    show(line)
        except BaseException:
            process.terminate()
            raise
        finally:
            process.stdout.close()
            process.wait()
    if process.returncode != 0:
        end = "".join(log.read_text().splitlines(keepends=True)[-15:])
        raise RuntimeError(f"`{' '.join(command)}` failed; the end of {log}:\n{end}")


def _predict(model_file: Path, prepared: PreparedDataset) -> list[Comparison]:
    model = ElectronicStructureModel(model_file)
    calculations = list(prepared.calculations("test"))
    results = model.predict_many([calculation.atoms for calculation in calculations])
    return [
        compare(calculation, result, prepared.axis) for calculation, result in zip(calculations, results, strict=True)
    ]


def _show(comparisons: list[Comparison], prepared: PreparedDataset, say: Callable[[str], None]) -> None:
    say(f"\n     {'':22}{'band gap (eV)':>18}{'Fermi level (eV)':>20}{'DOS error':>14}")
    say(f"     {'structure':22}{'DFT':>9}{'model':>9}{'model - DFT':>20}{'(eV^-1/2)':>14}")
    for item in comparisons:
        say(
            f"     {item.calculation.name:22}{item.dft_band_gap:9.2f}{item.result.band_gap:9.2f}"
            f"{item.fermi_level_error:20.2f}{item.error:14.2f}"
        )
    gaps = np.array([item.band_gap_error for item in comparisons], dtype=float)
    levels = np.array([item.fermi_level_error for item in comparisons], dtype=float)
    predictions = [torch.from_numpy(np.asarray(item.result.density_of_states)).double() for item in comparisons]
    test = [item.calculation for item in comparisons]
    model = aligned_errors(predictions, test, prepared.axis)
    baseline = best_composition_baseline(list(prepared.calculations("train")), test, prepared.axis)
    say(f"\n     band gap    mean absolute error {np.nanmean(np.abs(gaps)):.2f} eV")
    say(f"     Fermi level mean absolute error {np.nanmean(np.abs(levels)):.2f} eV")
    say("     DOS         RMSE per electron (eV^-1/2), per atom (states eV^-1/2)")
    say(f"                 {model.per_electron:.2f}, {model.per_atom:.2f}   this model")
    say(f"                 {baseline.per_electron:.2f}, {baseline.per_atom:.2f}   best constant DOS per element")


def _plot(comparisons: list[Comparison], path: Path) -> None:
    from matplotlib.figure import Figure

    # Crystals first, then the other held-out structures, each from best to worst.
    shown = sorted(comparisons, key=lambda item: (not item.calculation.atoms.pbc.all(), item.error))[:_PANELS]
    figure = Figure(figsize=(9.6, 2.4 * ((len(shown) + 1) // 2)), layout="constrained")
    panels = figure.subplots((len(shown) + 1) // 2, 2, squeeze=False).ravel()
    for panel, item in zip(panels, shown, strict=False):
        title = f"{item.calculation.name}   error {item.error:.2f} eV$^{{-1/2}}$"
        plot_comparison(item.energies, item.predicted, item.target, panel, title=title)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    with replacing(path) as temporary:
        save_figure(figure, temporary)
