"""The numbers of the model card: errors of each subset, metals told from insulators, uncertainties, and electrons.

python card_numbers.py model-llpr.pt ../test ../validation

The folders are reports of `electrain evaluate`.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from ase.build import bulk

from electrain.calculators import ElectronicStructureModel
from electrain.evaluation.summary import ALL

# column of the table -> key in summary.json and format
COLUMNS = {
    "structures": ("structures", ".0f"),
    "DOS (eV^-1/2)": ("dos_rmse_per_electron", ".2f"),
    "gap (eV)": ("gap_head_mae", ".2f"),
    "Fermi level (eV)": ("fermi_head_mae", ".2f"),
    "energy (meV/atom)": ("energy_mae", ".0f"),
    "forces (meV/A)": ("forces_mae", ".0f"),
}
SMALLEST_GAP = 0.05  # eV; smaller ones count as none
CRYSTALS = {
    "GaAs": bulk("GaAs", "zincblende", 5.65),
    "Si": bulk("Si", "diamond", 5.43),
    "NaCl": bulk("NaCl", "rocksalt", 5.64),
    "MgO": bulk("MgO", "rocksalt", 4.21),
    "Cu": bulk("Cu", "fcc", 3.61),
}


def table(report: Path) -> str:
    """Errors of each subset and of the baselines."""
    summary = json.loads((report / "summary.json").read_text())
    rows = dict(summary["models"][0]["subsets"])
    rows |= {name: subsets[ALL] for name, subsets in summary["baselines"].items()}
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, errors in rows.items():
        cells = [format(errors[key], digits) if key in errors else "" for key, digits in COLUMNS.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    counted = summary["models"][0]["subsets"][ALL]["gap_predicted_dos_mae"]
    return "\n".join([*lines, f"gap by counting states in the predicted DOS: {counted:.2f} eV"])


def told_apart(rows: list[dict[str, str]]) -> str:
    """Shares of structures that are told correctly to have a gap or not."""
    true, predicted = (np.array([float(row[f"{kind}_gap (eV)"]) for row in rows]) for kind in ("true", "predicted"))
    is_gapped = true > SMALLEST_GAP
    is_right = is_gapped == (predicted > SMALLEST_GAP)
    is_bulk = np.array([row["subset"] == "bulk" for row in rows])
    shares = {"all": ..., "with a gap": is_gapped, "without": ~is_gapped, "bulk": is_bulk}
    return ", ".join(f"{name} {is_right[which].mean():.1%}" for name, which in shares.items())


def by_uncertainty(rows: list[dict[str, str]]) -> str:
    """Errors of the thirds with the smallest, middle and largest uncertainty of the density of states per atom."""

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name]) for row in rows])

    uncertainty = column("dos_uncertainty (states/eV)") / column("num_atoms")
    squares = column("alignment (states^2/eV)") / column("electrons")
    thirds = np.array_split(np.argsort(uncertainty), 3)
    return ", ".join(f"{np.sqrt(squares[i].mean()):.2f} (from {uncertainty[i].min():.2f})" for i in thirds)


def electrons(model: Path) -> str:
    """Electrons below the predicted Fermi level of simple crystals."""
    predictor = ElectronicStructureModel(model, device="cpu")
    found = []
    for name, atoms in CRYSTALS.items():
        result = predictor.predict(atoms)
        step = result.energies[1] - result.energies[0]
        count = step * result.density_of_states[result.energies <= 0].sum()
        found.append(f"{name} {count:.1f} ({predictor.num_valence_electrons(atoms):g})")
    return ", ".join(found)


def main() -> None:
    """Print them."""
    model, *reports = map(Path, sys.argv[1:])
    for report in reports:
        with (report / "structures.csv").open() as file:
            rows = list(csv.DictReader(file))
        print(report.name, table(report), sep="\n\n", end="\n\n")
        print("gap or none:", told_apart(rows))
        print("DOS error by uncertainty per atom (states/eV):", by_uncertainty(rows), end="\n\n")
    print("electrons:", electrons(model))


if __name__ == "__main__":
    main()
