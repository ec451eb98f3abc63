"""Bands of crystals along paths of k-points: GPAW, plane waves, PBEsol, no spin polarisation.

    OMP_NUM_THREADS=1 python bands.py paths.xyz bands.xyz --setups setups [--part 0/2]

The frames are those of `band_paths.py`. The density is the one of `compute.py`, with the same settings, and is kept
while the bands are computed. Stops and starts like `compute.py`.

Written per frame, in `info`, beside what the frame had:

k_points      (k points, 3), now those of the whole path
eigenvalues   (k points, bands), eV, zero at the Fermi level; only converged bands
efermi        Fermi level of the mesh before the shift, eV
bandgap       eV, along the path; 0 for metals
n_electrons   valence electrons of the PAW sets
emax          lowest value of the highest band, eV
kpoints_grid  Gamma-centred mesh of the density
ecut          plane-wave cutoff, eV
cpu_s         CPU time, s
"""

import time

import numpy as np
from ase import Atoms
from compute import converged_calculator, described, kpoint_mesh, run, valence_electrons

EMPTY_BANDS = 8
SPARE_BANDS = 4  # the highest bands of an iterative solver converge slowly
RESIDUAL = 1e-4  # eV^2 per valence electron; energies change by less than 1e-5 eV below it


def with_bands(atoms: Atoms) -> Atoms:
    """Return a copy with the results of its calculation (units in the docstring of the module)."""
    occupied = int(np.ceil(sum(valence_electrons(symbol) for symbol in atoms.symbols) / 2))
    bands = occupied + EMPTY_BANDS
    start = time.process_time()
    calculator = converged_calculator(atoms, occupied + 3)
    k_points, walk = np.array(atoms.info["k_points"]), atoms.info["walk"]
    along = calculator.fixed_density(
        kpts=k_points,
        symmetry="off",
        nbands=bands + SPARE_BANDS,
        convergence={"bands": bands, "eigenstates": RESIDUAL},
        maxiter=200,
        txt=None,
    )
    eigenvalues = np.array([along.get_eigenvalues(kpt=k)[:bands] for k in range(len(k_points))])
    eigenvalues -= float(calculator.get_fermi_level())
    frame = atoms.copy()
    del frame.info["walk"]
    frame.info |= described(atoms, calculator, eigenvalues, kpoint_mesh(atoms), start)
    frame.info |= {"k_points": k_points[walk], "eigenvalues": frame.info["eigenvalues"][walk]}
    return frame


if __name__ == "__main__":
    run(__doc__, with_bands)
