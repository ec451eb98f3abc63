"""What computing with fewer digits changes in the predictions of trained models.

    electrain prepare datasets/dft_mini.xyz.xz -o mini && cd mini && mtt train options.yaml && cd ..
    python benchmarks/matmul_precision.py mini/model.pt mini/test.xyz [--energies energies.pt energies.xyz]

The speed is in `python benchmarks/speed`.
"""

import argparse
import warnings
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from metatomic_ase import MetatomicCalculator

from electrain.calculators import ElectronicStructureModel
from electrain.nn.precision import MATMUL_PRECISIONS, MatmulPrecision
from electrain.spectra.metrics import AlignedRMSE

MAX_SHIFT = 200


def spectra(model: Path, structures: list[Atoms], precision: str, device: str) -> dict[str, Any]:
    """Predictions and their errors; frames hold `dos` as `electrain prepare` writes it."""
    predictor = ElectronicStructureModel(model, device, matmul_precision=precision)
    results = list(predictor.predict_many(structures))
    step = results[0].energies[1] - results[0].energies[0]
    predicted = torch.tensor(np.array([result.density_of_states for result in results]))
    target = torch.tensor(np.array([atoms.info["dos"] for atoms in structures]))[:, MAX_SHIFT:]
    errors = AlignedRMSE(step)
    errors.update(predicted, target, ~target.isnan(), torch.tensor([len(atoms) for atoms in structures]))
    gaps = np.array([result.band_gap for result in results])
    return {
        "RMSE per electron": errors.compute().per_electron,
        "spectra": predicted.numpy() / np.array([[len(atoms)] for atoms in structures]),
        "gaps": gaps,
        "gap MAE": float(np.nanmean(np.abs(gaps - np.array([atoms.info["bandgap"] for atoms in structures])))),
        "Fermi levels": np.array([result.fermi_level for result in results]),
    }


def energies(model: Path, structures: list[Atoms], precision: str, device: str) -> dict[str, Any]:
    """Energies per atom (eV) and forces (eV/A); errors of the forces, if frames hold some."""
    calculator = MetatomicCalculator(str(model), device=device)
    setting = MatmulPrecision(precision, calculator.model())
    per_atom, forces, errors = [], [], []
    with setting.in_use():
        for frame in structures:
            atoms = frame.copy()
            atoms.calc = calculator
            per_atom.append(atoms.get_potential_energy() / len(atoms))
            forces.append(atoms.get_forces().ravel())
            if frame.calc is not None and "forces" in frame.calc.results:
                errors.append(forces[-1] - frame.get_forces().ravel())
    return {
        "energies": np.array(per_atom),
        "forces": np.concatenate(forces),
        "force RMSE": rms(np.concatenate(errors)) if errors else np.nan,
    }


def rms(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def main() -> None:
    """Print both."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("structures", type=Path)
    parser.add_argument("--energies", type=Path, nargs=2, metavar=("MODEL", "STRUCTURES"))
    parser.add_argument("--device", default="cpu", help="cpu (one thread) or cuda")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    structures = ase.io.read(arguments.structures, ":")
    found = [spectra(arguments.model, structures, name, arguments.device) for name in MATMUL_PRECISIONS]
    full = found[0]
    title = f"{len(structures)} structures, {arguments.device}"
    print(title.ljust(36) + "".join(f"{name:>10}" for name in MATMUL_PRECISIONS))

    def show(title: str, values: list[float], digits: int) -> None:
        print(f"{title:36}" + "".join(f"{value:10.{digits}f}" for value in values))

    show("DOS RMSE per electron (eV^-1/2)", [item["RMSE per electron"] for item in found], 5)
    show("band gap MAE (meV)", [1e3 * item["gap MAE"] for item in found], 1)
    if arguments.energies:
        model, file = arguments.energies
        frames = ase.io.read(file, ":")
        others = [energies(model, frames, name, arguments.device) for name in MATMUL_PRECISIONS]
        show("force RMSE (meV/A)", [1e3 * item["force RMSE"] for item in others], 1)
    print("change, root mean square:")
    scale = 100 / rms(full["spectra"])
    show("  DOS, % of its root mean square", [scale * rms(item["spectra"] - full["spectra"]) for item in found], 3)
    show("  band gap (meV)", [1e3 * rms(item["gaps"] - full["gaps"]) for item in found], 2)
    show("  Fermi level (meV)", [1e3 * rms(item["Fermi levels"] - full["Fermi levels"]) for item in found], 2)
    if arguments.energies:
        show("  energy (meV/atom)", [1e3 * rms(item["energies"] - others[0]["energies"]) for item in others], 2)
        show("  forces (meV/A)", [1e3 * rms(item["forces"] - others[0]["forces"]) for item in others], 2)
        print(f"  forces of highest, for comparison {1e3 * rms(others[0]['forces']):10.0f}")


if __name__ == "__main__":
    main()
