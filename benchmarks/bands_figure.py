"""Predicted bands beside those of DFT: known crystals, and held-out ones.

    python benchmarks/bands_figure.py MODEL DATASET -o bands.png [--known Si NaCl]

DATASET is a folder that `electrain prepare --bands` wrote, MODEL was trained on it. The first row has crystals of the
training set: of those with a formula, the one with the widest gap. The second has the test crystals whose errors are at
the 25th percentile and the median. Titles have the mean absolute error of the band energies.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from electrain.bands import bands_of_window
from electrain.calculators import BandModel
from electrain.data.bands.reading import BandsPart
from electrain.evaluation.bands.labels import with_labels
from electrain.evaluation.bands.models import paths_of
from electrain.plots.bands import draw_bands
from electrain.plots.fixed_spectra import readable_formula

PERCENTILES = (25, 50)


def errors_of(model: BandModel, part: BandsPart) -> tuple[list[np.ndarray], np.ndarray]:
    """Predicted energies, (num_bands, num_k_points) each, and the mean absolute error of each crystal."""
    predicted = [bands.energies[0].T for bands in model.along(paths_of(part))]
    return predicted, np.array([np.nanmean(np.abs(p - t)) for p, t in zip(predicted, part.energies, strict=True)])


def widest_gap(part: BandsPart, formula: str) -> int:
    """Index of the crystal with a formula that has the widest gap."""
    gaps = {}
    for index, atoms in enumerate(part.structures):
        if atoms.get_chemical_formula(mode="metal", empirical=True) == formula:
            middle = part.shape.num_bands // 2
            gaps[index] = part.energies[index, middle].min() - part.energies[index, middle - 1].max()
    if not gaps:
        raise SystemExit(f"expected {formula} in the training set of {part.folder}, which does not have it")
    return max(gaps, key=gaps.__getitem__)


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--known", nargs=2, default=["Si", "NaCl"], help="formulas in the training set")
    args = parser.parse_args()
    model = BandModel(args.model)
    figure = Figure(figsize=(11.0, 8.2), layout="constrained")
    panels = iter(figure.subplots(2, len(PERCENTILES)).ravel())
    for name in ("train", "test"):
        part = BandsPart(args.dataset, name)
        predicted, errors = errors_of(model, part)
        if name == "train":
            chosen, where = [widest_gap(part, formula) for formula in args.known], "in the training set"
        else:
            order = np.argsort(errors)
            chosen, where = [order[percent * (len(order) - 1) // 100] for percent in PERCENTILES], "held out"
        for index in chosen:
            atoms, panel = part.structures[index], next(panels)
            true = bands_of_window(atoms, part.k_points[index], part.energies[index])
            found = bands_of_window(atoms, part.k_points[index], predicted[index])
            title = f"{readable_formula(atoms.get_chemical_formula(mode='metal', empirical=True))}, {where}: "
            draw_bands(panel, with_labels(found), reference=true, zero=0.0, title=f"{title}{errors[index]:.2f} eV")
            panel.set_ylabel(r"$E - E_\mathrm{F}$ (eV)" if true.edges() is None else r"$E - E_\mathrm{mid\,gap}$ (eV)")
    figure.savefig(args.output, dpi=120)


if __name__ == "__main__":
    main()
