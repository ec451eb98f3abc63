r"""Ensembles of models trained with different seeds: ways to align them, and whether their spread tells their error.

    python benchmarks/ensembles.py datasets/dft_mini.xyz.xz --others datasets/mad_like_part*.xyz.xz \
        -o benchmarks/results/ensembles.md

Splits the structures by compound, trains small models that differ in their seeds alone, and averages their predictions
for validation set, test set and other compounds: as they are, aligned by their Fermi levels, and by the best shift.
Every model takes 3 to 8 minutes on one core; they stay in the folder given with --work, where the same command finds
them again.
"""

import argparse
import datetime
import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import spearmanr

from electrain.calculators import ElectronicStructureModel
from electrain.data.reading import LabelledStructure, PreparedPart
from electrain.interface.quantities import DENSITY_OF_STATES
from electrain.spectra import (
    EnergyAxis,
    EnergyGrid,
    aligned_residuals,
    average_models,
    best_shift,
    electrons_in_target,
    fermi_level_after_alignment,
    moved_down,
    spectral_loss_terms,
)
from electrain.spectra.resampling import resampled

TRAINING = {"warmup_epochs": 3, "halving_epochs": 8, "num_workers": 0}
FRACTIONS = 4  # of a channel

Aligned = tuple[torch.Tensor, torch.Tensor]  # spectra of all models and their Fermi levels, on a common axis
Way = Callable[[torch.Tensor, torch.Tensor, EnergyAxis], Aligned]


def as_they_are(spectra: torch.Tensor, levels: torch.Tensor, _: EnergyAxis) -> Aligned:
    """Every model on its own axis."""
    return spectra, levels


def _moved(spectra: torch.Tensor, levels: torch.Tensor, shifts: torch.Tensor, axis: EnergyAxis) -> Aligned:
    shifts = shifts - shifts.double().mean().round().long()
    return moved_down(spectra, shifts), levels - axis.grid.step * shifts.double()


def by_fermi_level(spectra: torch.Tensor, levels: torch.Tensor, axis: EnergyAxis) -> Aligned:
    """Fermi levels at the same channel."""
    return _moved(spectra, levels, ((levels - levels[0]) / axis.grid.step).round().long(), axis)


def _shifts_onto(reference: torch.Tensor, spectra: torch.Tensor, axis: EnergyAxis) -> torch.Tensor:
    target = reference[: axis.target_grid.size].expand(len(spectra), -1)
    padded = torch.nn.functional.pad(spectra, (axis.max_shift, 0))
    return best_shift(padded, target, torch.ones_like(target, dtype=torch.bool)) - axis.max_shift


def onto_the_mean(spectra: torch.Tensor, levels: torch.Tensor, axis: EnergyAxis) -> Aligned:
    """Best shift onto the first model, then onto the mean until nothing changes."""
    shifts = _shifts_onto(spectra[0], spectra, axis)
    for _ in range(20):
        better = _shifts_onto(moved_down(spectra, shifts).mean(dim=0), spectra, axis)
        better = better - better[0]
        if torch.equal(better, shifts):
            break
        shifts = better
    return _moved(spectra, levels, shifts, axis)


def on_the_axis_of_the_first(spectra: torch.Tensor, levels: torch.Tensor, axis: EnergyAxis) -> Aligned:
    """Best shift onto the first model, which stays where it is."""
    shifts = _shifts_onto(spectra[0], spectra, axis)
    return moved_down(spectra, shifts), levels - axis.grid.step * shifts.double()


def by_best_shift(spectra: torch.Tensor, levels: torch.Tensor, axis: EnergyAxis) -> Aligned:
    """What electrain does."""
    found = average_models(spectra, axis, levels)
    assert found.fermi_levels is not None
    return found.spectra, found.fermi_levels


def by_fractions(spectra: torch.Tensor, levels: torch.Tensor, axis: EnergyAxis) -> Aligned:
    """The same on an axis with a quarter of the step."""
    grid = axis.grid
    fine = EnergyGrid(grid.start, grid.step / FRACTIONS, FRACTIONS * (grid.size - 1) + 1)
    values = torch.from_numpy(resampled(spectra.numpy(), grid, fine))
    aligned, moved = by_best_shift(values, levels, EnergyAxis(fine, FRACTIONS * axis.max_shift))
    return aligned[:, ::FRACTIONS], moved


WAYS: dict[str, Way] = {
    "mean of the models as they are": as_they_are,
    "aligned by Fermi level": by_fermi_level,
    "aligned by best shift (default)": by_best_shift,
    "... on the axis of the first model": on_the_axis_of_the_first,
    "... onto the mean, iterated": onto_the_mean,
    "... by quarters of a channel": by_fractions,
}


class Predictions(NamedTuple):
    """Predictions of all models and targets for some structures."""

    spectra: torch.Tensor  # (num_models, num_structures, num_channels) | states/eV
    levels: torch.Tensor  # (num_models, num_structures) | eV
    gaps: torch.Tensor  # (num_models, num_structures) | eV
    targets: torch.Tensor  # (num_structures, num_channels) | states/eV, NaN where not trusted
    true_gaps: torch.Tensor  # (num_structures,) | eV


def run(*command: object, cwd: Path | None = None) -> None:
    """Run a command and fail with its output."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stdout}\n{done.stderr}")


def train(data: Path, folder: Path, epochs: int, seed: int) -> Path:
    """Train a model with the options that `electrain prepare` wrote."""
    model = folder / f"run{seed}" / "model.pt"
    if not model.exists():
        model.parent.mkdir(exist_ok=True)
        changes = {"seed": seed, **{f"architecture.training.{k}": v for k, v in TRAINING.items()}}
        changes["architecture.training.num_epochs"] = epochs
        options = [part for key, value in changes.items() for part in ("-r", f"{key}={value}")]
        run("mtt", "train", "options.yaml", "-o", model, *options, cwd=data)
    return model


def predict(models: list[ElectronicStructureModel], structures: list[LabelledStructure]) -> Predictions:
    """Predict all structures with all models."""
    results = [list(model.predict_many([item.atoms for item in structures])) for model in models]

    def values(name: str) -> torch.Tensor:
        return torch.tensor(np.array([[getattr(result, name) for result in row] for row in results]))

    targets = np.array([item.values[DENSITY_OF_STATES] for item in structures])
    gaps = np.array([float(item.values["mtt::bandgap"]) for item in structures])
    return Predictions(
        values("density_of_states"),
        values("fermi_level"),
        values("band_gap"),
        torch.from_numpy(targets),
        torch.from_numpy(gaps),
    )


class Errors(NamedTuple):
    """Errors of single or averaged predictions."""

    per_electron: torch.Tensor  # (num_structures,) | eV^-1, the squares whose mean is the one of eq. 10
    levels: torch.Tensor  # (num_structures,) | eV
    gaps: torch.Tensor  # (num_structures,) | eV

    @property
    def rmse(self) -> float:
        """Eq. 10, in eV^-1/2."""
        return float(self.per_electron.nanmean().sqrt())

    @property
    def level(self) -> float:
        """Mean absolute error of the Fermi level, in eV."""
        return float(self.levels.abs().nanmean())

    @property
    def gap(self) -> float:
        """Mean absolute error of the gap, in eV."""
        return float(self.gaps.abs().nanmean())


def errors(
    spectra: torch.Tensor, levels: torch.Tensor, gaps: torch.Tensor, found: Predictions, axis: EnergyAxis
) -> Errors:
    """Errors of one prediction for each structure."""
    window, trusted = axis.window(found.targets)
    terms = spectral_loss_terms(spectra, window, trusted, axis.grid.step)
    electrons = electrons_in_target(window, trusted, axis.grid.step)
    true_levels = fermi_level_after_alignment(terms.shift, found.targets, axis)
    return Errors(
        torch.where(electrons > 0, terms.alignment / electrons, torch.nan),
        levels - true_levels,
        gaps - found.true_gaps,
    )


def rows(found: Predictions, axis: EnergyAxis) -> list[str]:
    """Rows of the table for one set of structures."""
    singles = [errors(*each, found, axis) for each in zip(found.spectra, found.levels, found.gaps, strict=True)]
    means = [float(np.mean([getattr(item, name) for item in singles])) for name in ("rmse", "level", "gap")]
    lines = [f"| single models, mean | {means[0]:.3f} | {means[1]:.2f} | {means[2]:.2f} | | | | |"]
    best: Errors | None = None
    mean_gaps = found.gaps.mean(dim=0)
    pairs = list(zip(found.spectra.unbind(1), found.levels.unbind(1), strict=True))
    computed = {}
    for name, way in WAYS.items():
        start = time.perf_counter()
        aligned = [way(*pair, axis) for pair in pairs]
        milliseconds = 1000 * (time.perf_counter() - start) / len(found.targets)
        spectra = torch.stack([values.mean(dim=0) for values, _ in aligned])
        spreads = torch.stack([values.std(dim=0) for values, _ in aligned])
        levels = torch.stack([values.mean() for _, values in aligned])
        error = errors(spectra, levels, mean_gaps, found, axis)
        computed[name] = error
        best = error if way is by_best_shift else best
        lines.append(
            f"| {name} | {error.rmse:.3f} | {error.level:.2f} | {error.gap:.2f} | "
            f"{' | '.join(calibration(spectra, spreads, found, axis))} | {milliseconds:.1f} |"
        )
    assert best is not None
    level_spreads = torch.stack([by_best_shift(*pair, axis)[1].std() for pair in pairs])
    ratios = ratio(best.gaps, found.gaps.std(dim=0)), ratio(best.levels, level_spreads)
    differences = [f"{name}: {difference(error, best)}" for name, error in computed.items() if error is not best]
    return [
        *lines,
        "",
        f"Ratio of errors and spreads of the default: {ratios[0]:.2f} for gaps, {ratios[1]:.2f} for Fermi levels.",
        "",
        "Error minus that of the default, with its standard deviation (bootstrap over structures): "
        + "; ".join(differences)
        + ".",
    ]


def calibration(spectra: torch.Tensor, spreads: torch.Tensor, found: Predictions, axis: EnergyAxis) -> list[str]:
    """Share of channels within one spread, ratio of the root mean squares, rank correlation over structures."""
    residuals = aligned_residuals(spectra, found.targets, axis)[0]
    known = torch.isfinite(residuals)
    within = float((residuals[known].abs() <= spreads[known]).double().mean())

    def over_channels(values: torch.Tensor) -> torch.Tensor:
        return (torch.where(known, values, 0.0).square().sum(dim=1) / known.sum(dim=1)).sqrt()[known.any(dim=1)]

    error, spread = over_channels(residuals), over_channels(spreads)
    return [f"{100 * within:.0f} %", f"{ratio(error, spread):.2f}", f"{spearmanr(error, spread).statistic:.2f}"]


def ratio(errors: torch.Tensor, spreads: torch.Tensor) -> float:
    """Ratio of the root mean squares over structures."""
    known = torch.isfinite(errors)
    return float((errors[known].square().mean() / spreads[known].square().mean()).sqrt())


def difference(one: Errors, other: Errors) -> str:
    """Difference of two root mean squares over the same structures."""
    values = torch.stack([one.per_electron, other.per_electron])
    values = values[:, torch.isfinite(values).all(dim=0)].numpy()
    random = np.random.default_rng(0)
    drawn = random.integers(0, values.shape[1], (2000, values.shape[1]))
    scatter = np.subtract(*np.sqrt(values[:, drawn].mean(axis=2))).std()
    return f"{np.subtract(*np.sqrt(values.mean(axis=1))):+.3f} ± {scatter:.3f}"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--others", type=Path, nargs="+", required=True, help="calculations with other compounds")
    parser.add_argument("-o", "--output", type=Path, required=True, help="table, .md")
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--work", type=Path, default=Path("ensembles"), help="folder for data sets and models")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    data, others = work / "data", work / "others"
    if not data.exists():
        run("electrain", "prepare", arguments.dataset, "-o", data)
    files = [train(data, work, arguments.epochs, seed) for seed in range(1, arguments.models + 1)]
    if not others.exists():
        run("electrain", "prepare", *arguments.others, "-o", others, "--like", files[0], "--split", "1:1:0")
    models = [ElectronicStructureModel(file) for file in files]
    parts = {name: PreparedPart(data, name) for name in ("train", "validation", "test")}
    seen = {entry.formula for part in parts.values() for entry in part.entries}
    unseen = [
        item
        for name in ("train", "validation")
        for item in PreparedPart(others, name).structures()
        if item.entry.formula not in seen and set(item.atoms.get_chemical_symbols()) <= set(models[0].elements)
    ]
    sets = {
        "Validation": list(parts["validation"].structures()),
        "Test": list(parts["test"].structures()),
        "Other compounds": unseen,
    }
    versions = {name: importlib.metadata.version(name) for name in ("electrain", "metatrain", "torch")}
    lines = [
        f"# Ensembles of models, {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}",
        "",
        f"    python benchmarks/ensembles.py {arguments.dataset} \\",
        f"        --others {' '.join(map(str, arguments.others))} \\",
        f"        --models {arguments.models} --epochs {arguments.epochs} -o {arguments.output}",
        "",
        f"{arguments.models} models that differ in their seeds alone, with the options that `electrain prepare` writes "
        f"for {len(parts['train'])} training structures (width 64), {arguments.epochs} epochs. Other compounds: all "
        "structures of the other files whose formula is in no part of the data set and whose elements the models know. "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}; {platform.machine()}, one core.",
        "",
        "DOS: RMSE of eq. 10. Spread: standard deviation of the models in each channel; ratio: root mean square of the "
        "errors divided by that of the spreads, 1 if calibrated; rank correlation of both over structures; ms: time of "
        "the alignment per structure. The last three rows are variants of the best shift. Gaps need no alignment.",
    ]
    head = "| | DOS (eV^-1/2) | Fermi level, MAE (eV) | gap, MAE (eV) | within spread | ratio | rank corr. | ms |"
    for name, structures in sets.items():
        found = predict(models, structures)
        table = rows(found, parts["test"].axis)
        lines += ["", f"## {name}, {len(structures)} structures", "", head, "|---" * 8 + "|", *table]
    arguments.output.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
