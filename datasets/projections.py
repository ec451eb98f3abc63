"""Eigenvalues and their shares on atoms, energy and forces: GPAW, plane waves, PBEsol, no spin polarisation.

    OMP_NUM_THREADS=1 python projections.py oxides.xyz projected.xyz --setups setups [--part 0/2]

Stops and starts like `compute.py`, whose keys it writes, except that the mesh of k-points does not contain Gamma where
it has two points in a direction, so that half of them follow from time reversal. In addition, as an array of the atoms:

projections   (atoms, k points * bands), the share of each state on the atom; those of all atoms sum to 1

The share of atom a is the sum of abs(<p_ai|psi>)^2 over the PAW projectors i of its bound partial waves, divided by
that of all atoms: what is between the atoms is shared out like what is inside their spheres.
"""

import time

import numpy as np
from ase import Atoms
from ase.dft.kpoints import monkhorst_pack
from compute import converged_calculator, run, valence_electrons, with_results
from gpaw import GPAW
from gpaw.dos import IBZWaveFunctions, get_projector_numbers

EMPTY_BANDS = 1.3  # per atom
SPACING = 0.9  # 1/A, between k points


def mesh(atoms: Atoms) -> list[int]:
    """Return the numbers of k points."""
    return [int(np.ceil(2 * np.pi * np.linalg.norm(row) / SPACING)) for row in atoms.cell.reciprocal()]


def shares(calculator: GPAW, bands: int) -> np.ndarray:
    """Return the share of each state on each atom, (atoms, k points, bands)."""
    waves = IBZWaveFunctions(calculator)
    weights = []
    for a, setup in enumerate(calculator.setups):
        bound = [i for angular_momentum in range(4) for i in get_projector_numbers(setup, angular_momentum)]
        weights.append(waves.pdos_weights(a, bound)[:, :bands, 0])
    return np.array(weights) / np.sum(weights, axis=0)


def projected(atoms: Atoms) -> Atoms:
    """Return a copy with the results of its calculation (units in the docstring of the module)."""
    occupied = int(np.ceil(sum(valence_electrons(symbol) for symbol in atoms.symbols) / 2))
    bands = occupied + round(EMPTY_BANDS * len(atoms))
    start = time.process_time()
    calculator = converged_calculator(atoms, bands, monkhorst_pack(mesh(atoms)))
    frame = with_results(atoms, calculator, bands, mesh(atoms), start)
    frame.arrays["projections"] = np.round(shares(calculator, bands).reshape(len(atoms), -1), 4)
    return frame


if __name__ == "__main__":
    run(__doc__, projected)
