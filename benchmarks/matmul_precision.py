"""What products of matrices with fewer digits change in the predictions of trained models.

    electrain prepare datasets/dft_mini.xyz.xz -o mini && cd mini && mtt train options.yaml && cd ..
    python benchmarks/matmul_precision.py mini/model.pt mini/test.xyz --energies energies.pt energies.xyz

The speed is in `python benchmarks/speed`.
"""

import argparse
import warnings
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase import Atoms
from metatomic_ase import MetatomicCalculator

from electrain.calculators import ElectronicStructureModel
from electrain.pet.precision import use_matmul_precision
from electrain.spectra.metrics import AlignedRMSE

MAX_SHIFT = 200


def spectra(model: Path, structures: list[Atoms], precision: str) -> dict[str, np.ndarray | float]:
    """Predictions and their errors; frames hold `dos` as `electrain prepare` writes it."""
    predictor = ElectronicStructureModel(model, "cpu", matmul_precision=precision)
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


def energies(model: Path, structures: list[Atoms], precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Energies per atom (eV) and forces (eV/A)."""
    calculator = MetatomicCalculator(str(model), device="cpu")
    per_atom, forces = [], []
    with use_matmul_precision(precision):
        for frame in structures:
            atoms = frame.copy()
            atoms.calc = calculator
            per_atom.append(atoms.get_potential_energy() / len(atoms))
            forces.append(atoms.get_forces().ravel())
    return np.array(per_atom), np.concatenate(forces)


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
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    structures = ase.io.read(arguments.structures, ":")
    full, fast = (spectra(arguments.model, structures, precision) for precision in ("highest", "medium"))
    print(f"{len(structures)} structures                      highest   medium")
    print(f"DOS RMSE per electron (eV^-1/2)     {full['RMSE per electron']:8.4f} {fast['RMSE per electron']:8.4f}")
    print(f"band gap MAE (meV)                  {1e3 * full['gap MAE']:8.1f} {1e3 * fast['gap MAE']:8.1f}")
    print("change, root mean square:")
    change = rms(fast["spectra"] - full["spectra"]) / rms(full["spectra"])
    print(f"  DOS, of its own root mean square  {100 * change:8.3f} %")
    print(f"  band gap (meV)                    {1e3 * rms(fast['gaps'] - full['gaps']):8.2f}")
    print(f"  Fermi level (meV)                 {1e3 * rms(fast['Fermi levels'] - full['Fermi levels']):8.2f}")
    if arguments.energies:
        model, file = arguments.energies
        frames = ase.io.read(file, ":")
        (full_energy, full_forces), (energy, forces) = (
            energies(model, frames, precision) for precision in ("highest", "medium")
        )
        print(f"  energy (meV/atom)                 {1e3 * rms(energy - full_energy):8.2f}")
        print(f"  forces (meV/A), of {1e3 * rms(full_forces):6.0f}         {1e3 * rms(forces - full_forces):8.2f}")


if __name__ == "__main__":
    main()
