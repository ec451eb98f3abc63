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

from electrain.calculators import BandModel
from electrain.data.bands.reading import BandsPart
from electrain.evaluation.bands.errors import ComparedBands, compare, gaps_of
from electrain.evaluation.bands.figures import draw_example
from electrain.evaluation.bands.models import paths_of
from electrain.evaluation.distribution_figures import at_percentiles
from electrain.plots.fixed_spectra import readable_formula

PERCENTILES = (25, 50)


def predict(model: BandModel, part: BandsPart) -> ComparedBands:
    """Predict the bands of all crystals, and compare them."""
    predicted = np.stack([bands.energies[0].T for bands in model.along(paths_of(part))])
    return compare(part, gaps_of(part, part.energies), predicted, [""] * len(part))


def widest_gap(part: BandsPart, formula: str) -> int:
    """Index of the crystal with a formula that has the widest gap."""
    formulas = [atoms.get_chemical_formula(mode="metal", empirical=True) for atoms in part.structures]
    if formula not in formulas:
        raise SystemExit(f"expected {formula} in the training set of {part.folder}, which does not have it")
    gaps = np.where(np.array(formulas) == formula, gaps_of(part, part.energies), -1.0)
    return int(np.nanargmax(gaps))


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
        compared = predict(model, part)
        errors = compared.errors["energy"]
        if name == "train":
            chosen, where = [widest_gap(part, formula) for formula in args.known], "in the training set"
        else:
            chosen, where = list(at_percentiles(errors, PERCENTILES)), "held out"
        for index in chosen:
            formula = part.structures[index].get_chemical_formula(mode="metal", empirical=True)
            title = f"{readable_formula(formula)}, {where}: MAE {errors[index]:.2f} eV"
            draw_example(next(panels), part, index, compared.predicted[index], title)
    figure.savefig(args.output, dpi=120)


if __name__ == "__main__":
    main()
