"""Densities of states of the crystals of `datasets/` as a table for `electrain prepare --spectra electronic`.

    python datasets/assemble.py structures.xyz datasets/mad_like_part*.xyz.xz datasets/dft_mini.xyz.xz
    python benchmarks/electronic_table.py structures.xyz table.json
    electrain prepare table.json -o random --spectra electronic --source-unit eV --normalize maximum
    electrain prepare ... -o species --split species
    electrain prepare ... -o systems --split crystal-system

From 10 eV below the Fermi level to 5 eV above in steps of 0.1 eV, broadened by 0.3 eV, with the Fermi energy of the
calculation, whose zero is the mean electrostatic potential; crystals whose bands do not reach up to there are left out.
"""

import argparse
import json
from pathlib import Path

import torch
from ase.io import iread
from tqdm import tqdm

from electrain.data import read_extended_xyz
from electrain.data.calculation import Calculation
from electrain.spectra.broadening import density_of_states, highest_trusted_energy
from electrain.spectra.grid import EnergyGrid

GRID = EnergyGrid(-10.0, 0.1, 151)
SMEARING = 0.3  # eV


def row(calculation: Calculation, fermi_energies: dict[str, float]) -> dict[str, object] | None:
    """A row of the table, `None` for a structure that is left out."""
    atoms, eigenvalues = calculation.atoms, torch.as_tensor(calculation.eigenvalues)
    last = float(GRID.energies()[-1])
    if not atoms.pbc.all() or highest_trusted_energy(eigenvalues, SMEARING) < last:
        return None
    spectrum = density_of_states(eigenvalues, torch.as_tensor(calculation.weights), GRID, SMEARING)
    return {
        "atoms": {
            "numbers": atoms.numbers.tolist(),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell[:].tolist(),
            "pbc": atoms.pbc.tolist(),
        },
        "energies": GRID.energies().tolist(),
        "dos": spectrum.tolist(),
        "id": atoms.info["id"],
        "fermi_energy": fermi_energies[atoms.info["id"]],
    }


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", type=Path)
    parser.add_argument("table", type=Path)
    args = parser.parse_args()
    fermi_energies = {str(atoms.info["id"]): float(atoms.info["efermi"]) for atoms in iread(args.structures, ":")}
    calculations = (one for one in read_extended_xyz(args.structures) if isinstance(one, Calculation))
    found = (row(one, fermi_energies) for one in tqdm(calculations))
    rows = [one for one in found if one is not None]
    args.table.write_text(json.dumps(rows))
    print(f"{len(rows)} crystals in {args.table}")


if __name__ == "__main__":
    main()
