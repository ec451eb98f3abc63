"""GFN1-xTB of molecules and clusters, by `tblite`: densities of states with charge transfer and overlap.

Unlike the model of ``tight_binding.py``, it is fitted, to all elements up to radon (S. Grimme, C. Bannwarth and P.
Shushkov, 2017): its gaps have a correlation of 0.88 with those of DFT over the molecules and clusters of the validation
data. It has no k-points, so crystals are left to the other model.
"""

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree
from tblite.exceptions import TBLiteRuntimeError
from tblite.interface import Calculator
from tight_binding import BROADENING, ENERGIES, TightBinding

TEMPERATURE = 0.005  # Hartree
MAX_ITERATIONS = 150
DEEPEST = 40.0  # eV; a Fermi level beyond it is that of atoms too close for the model


def xtb(atoms: Atoms) -> TightBinding | None:
    """Return local densities of states (Mulliken), Fermi level and gap of a structure without periodicity.

    :return: ``None`` if the charges do not converge, as for some open-shell clusters, or to nothing physical.
    """
    calculator = Calculator("GFN1-xTB", atoms.numbers, atoms.positions / Bohr)
    for name, value in (("verbosity", 0), ("save-integrals", 1), ("temperature", TEMPERATURE)):
        calculator.set(name, value)
    calculator.set("max-iter", MAX_ITERATIONS)
    try:
        found = calculator.singlepoint()
    except TBLiteRuntimeError:
        return None
    levels = found.get("orbital-energies") * Hartree
    coefficients = found.get("orbital-coefficients")  # (orbitals, states)
    populations = coefficients * (found.get("overlap-matrix") @ coefficients)
    # without spin polarization, as in the DFT data: an unpaired electron half fills a level, and there is no gap
    electrons = round(float(found.get("orbital-occupations").sum()))
    highest = max(0, (electrons + 1) // 2 - 1)
    lowest_empty = min(electrons // 2, len(levels) - 1)
    fermi_level = 0.5 * (levels[highest] + levels[lowest_empty])
    if abs(fermi_level) > DEEPEST:
        return None
    lines = np.exp(-0.5 * ((levels[:, None] - fermi_level - ENERGIES) / BROADENING) ** 2)
    of_orbitals = populations @ lines * (2 / (BROADENING * (2 * np.pi) ** 0.5))
    shells = calculator.get("orbital-map")
    momenta = np.minimum(calculator.get("angular-momenta")[shells], 2)
    local = np.zeros((len(atoms), 3, len(ENERGIES)))
    np.add.at(local, (calculator.get("shell-map")[shells], momenta), of_orbitals)
    return TightBinding(local, float(fermi_level), float(levels[lowest_empty] - levels[highest]))
