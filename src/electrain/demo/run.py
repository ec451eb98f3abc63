"""What the embedded model predicts for compounds it has not seen, and how it is fine-tuned."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from omegaconf import OmegaConf

from electrain.calculators import ElectronicStructureModel
from electrain.data import Calculation, prepare_dataset
from electrain.data.readers.extended_xyz import read_extended_xyz
from electrain.files.models import read_energy_axis
from electrain.files.replacing import naming, replacing
from electrain.interface.quantities import ENERGY
from electrain.plots.spectra import plot_comparison
from electrain.plots.style import save_figure
from electrain.pretrained import DEFAULT, locate
from electrain.spectra import EnergyAxis

from .data import HELD_OUT, SILICON
from .held_out import Comparison, compare

NUM_EPOCHS = 10
# Snapshots of one crystal differ little, so a few passes with a higher learning rate than that of the options suffice.
SETTINGS = {
    "seed": 0,
    "architecture": {
        "training": {
            "num_epochs": NUM_EPOCHS,
            "batch_size": 5,
            "learning_rate": 1e-3,
            "warmup_epochs": 1,
            "halving_epochs": 3,
            "num_workers": 0,
        },
    },
}
_PANELS = 8
_EPOCH = re.compile(r"epoch +(\d+)/\d+ .* DOS +([0-9.]+) eV\^-1/2")


def run_demo(folder: Path, say: Callable[[str], None]) -> list[Comparison]:
    """Compare the embedded model with held-out DFT calculations, then fine-tune it on snapshots of silicon.

    `held_out.png`, the data set, the fine-tuned `silicon.pt`, the training's log and `silicon.png` are written.

    :param folder: a new or empty folder.
    :param say: function that shows a line to the user.
    :return: one comparison for each held-out structure.
    """
    located = locate()
    axis = read_energy_axis(located.path)
    assert axis is not None  # of the embedded model
    model = ElectronicStructureModel()
    say(f"1/3  Predicting structures of compounds that {DEFAULT} was not trained on (DFT: GPAW, PBEsol)")
    held_out = [item for item in read_extended_xyz(HELD_OUT) if isinstance(item, Calculation)]
    comparisons = list(_compare(model, held_out, axis))
    _show(comparisons, read(HELD_OUT, ":", format="extxyz"), say)
    plot(comparisons, folder / "held_out.png")
    say(f"\n     Prediction and DFT:  {folder / 'held_out.png'}\n")
    say("2/3  Fine-tuning it on 50 snapshots of silicon at 300, 600 and 900 K")
    prepared = prepare_dataset([SILICON], folder / "data", like=DEFAULT, split=None)
    _train(folder, say)
    say("3/3  Predicting 20 other snapshots")
    snapshots = list(prepared.calculations("test"))
    before, after = (
        list(_compare(tested, snapshots, axis)) for tested in (model, ElectronicStructureModel(folder / "silicon.pt"))
    )
    _show_change(before, after, say)
    plot([before[0], after[0]], folder / "silicon.png", ("before", "after fine-tuning"))
    say(f"\nBefore and after:   {folder / 'silicon.png'}")
    say("Try it yourself:    electrain dos your_structure.cif --plot dos.png")
    return comparisons


def _compare(
    model: ElectronicStructureModel, calculations: Sequence[Calculation], axis: EnergyAxis
) -> Iterator[Comparison]:
    results = model.predict_many([calculation.atoms for calculation in calculations])
    for calculation, result in zip(calculations, results, strict=True):
        yield compare(calculation, result, axis)


def _train(folder: Path, say: Callable[[str], None]) -> None:
    options: Any = OmegaConf.merge(OmegaConf.load(folder / "data" / "options.yaml"), SETTINGS)
    for part in ("training_set", "validation_set", "test_set"):
        options[part].systems.read_from = str(Path("data") / options[part].systems.read_from)
        options[part].targets.pop(ENERGY, None)  # with forces, the training would take three times as long
        options.architecture.training.get("loss", {}).pop(ENERGY, None)
    OmegaConf.save(options, folder / "options.yaml")

    def show_epoch(line: str) -> None:
        match = _EPOCH.search(line)
        if match:
            error = f"validation DOS error {float(match[2]):.2f} eV^-1/2 per electron"
            say(f"     epoch {int(match[1]):2d}/{NUM_EPOCHS}: {error}")

    _run(["mtt", "train", "options.yaml", "-o", "silicon.pt"], folder, show_epoch)


def _run(command: list[str], folder: Path, show: Callable[[str], None]) -> None:
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


def _show(comparisons: list[Comparison], structures: Sequence[Atoms], say: Callable[[str], None]) -> None:
    """Print one line per structure; errors of the best constant per element come with the data."""
    say(f"\n     {'':32}{'band gap (eV)':>16}{'Fermi level (eV)':>18}{'DOS error (eV^-1/2)':>26}")
    say(f"     {'structure':32}{'DFT':>8}{'model':>8}{'model - DFT':>18}{'model':>11}{'per element':>15}")
    constants = [float(atoms.info["constant_per_element"]) for atoms in structures]
    for item, constant in zip(comparisons, constants, strict=True):
        say(
            f"     {item.calculation.name:32}{item.dft_band_gap:8.2f}{item.result.band_gap:8.2f}"
            f"{item.fermi_level_error:18.2f}{item.error:11.2f}{constant:15.2f}"
        )
    gap = _mean_absolute([item.band_gap_error for item in comparisons])
    level = _mean_absolute([item.fermi_level_error for item in comparisons])
    say(
        f"     {'mean absolute, root mean square':32}{gap:16.2f}{level:18.2f}"
        f"{_root_mean_square([item.error for item in comparisons]):11.2f}{_root_mean_square(constants):15.2f}"
    )
    say("     (per element: the best constant density of states of each element in the training data)")


def _show_change(before: list[Comparison], after: list[Comparison], say: Callable[[str], None]) -> None:
    say(f"\n     {'':16}{'DOS error (eV^-1/2)':>22}{'band gap (eV)':>16}")
    for name, comparisons in (("before", before), ("fine-tuned", after)):
        error = _root_mean_square([item.error for item in comparisons])
        gap = _mean_absolute([item.band_gap_error for item in comparisons])
        say(f"     {name:16}{error:22.2f}{gap:16.2f}")


def _mean_absolute(errors: Sequence[float | None]) -> float:
    return float(np.mean([abs(error) for error in errors if error is not None]))


def _root_mean_square(errors: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def plot(comparisons: Sequence[Comparison], path: Path, titles: Sequence[str] = ()) -> None:
    """Plot predictions and calculations in two columns; titles are the names of the structures or come first."""
    from matplotlib.figure import Figure

    shown = comparisons[:_PANELS]
    figure = Figure(figsize=(9.6, 2.4 * ((len(shown) + 1) // 2)), layout="constrained")
    panels = figure.subplots((len(shown) + 1) // 2, 2, squeeze=False).ravel()
    for index, (panel, item) in enumerate(zip(panels, shown, strict=False)):
        name = f"{item.calculation.name}, {titles[index]}" if titles else item.calculation.name
        title = f"{name}   error {item.error:.2f} eV$^{{-1/2}}$"
        plot_comparison(item.energies, item.predicted, item.target, panel, title=title)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    with replacing(path) as temporary:
        save_figure(figure, temporary)
