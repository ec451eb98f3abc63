"""ABINIT ground-state results (..._GSR.nc), parsed with ASE."""

from pathlib import Path
from typing import Any

import numpy as np
from ase.io.abinit import read_abinit_gsr
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import Hartree

from electrain.interface.quantities import ENERGY, FORCES, STRESS
from electrain.structures.packed import TooLargeError

from ..calculation import Calculation, CalculationError
from ..zone import FOR_BANDS
from .common import normalised_states, plain_structure, reading

# A GSR file does not say whether the run converged, only how much the energy changed in the last step.
_LARGEST_CHANGE = 1e-4  # eV per atom
_MOST_NUMBERS = 2**27
K_POINTS = "reduced_coordinates_of_kpoints"


def read_abinit(path: str | Path) -> Calculation:
    """Read a file of ground-state results.

    Energies are ABINIT's total energies including the entropy of the smearing, whose derivatives are the forces.

    :raises CalculationError: if the file is damaged, the energy still changed by more than 0.1 meV per atom in the
        last step, the k-points lie on lines, or a check fails.
    :raises ImportError: if netCDF4 is not installed.
    """
    source = str(path)
    with reading(source, "ABINIT results (GSR.nc)"):
        results, rest = open_results(source)
        return _calculation(results, rest, source)


def open_results(source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse a file: what ASE reads of it, and the entries that it does not.

    :raises ImportError: if netCDF4 is not installed.
    """
    try:
        from netCDF4 import Dataset
    except ImportError as error:
        raise ImportError("reading ABINIT's GSR.nc needs netCDF4: pip install electrain[abinit]") from error
    with Dataset(source) as file:
        # A few bytes can declare any amount of numbers.
        if (size := sum(int(array.size) for array in file.variables.values())) > _MOST_NUMBERS:
            raise TooLargeError(f"expected at most {_MOST_NUMBERS:,} numbers, got {size:,}")
        rest = {name: np.array(file.variables[name][...]) for name in ("nelect", "deltae", "kptopt", K_POINTS)}
        rest["num_spinors"] = np.array(len(file.dimensions["number_of_spinor_components"]))
    return read_abinit_gsr(source), rest


def _calculation(results: dict[str, Any], rest: dict[str, Any], source: str) -> Calculation:
    atoms = results["atoms"]
    if rest["kptopt"] < 0:
        raise CalculationError(
            source, f"expected a k-point mesh, got k-points along lines, which have no weights{FOR_BANDS}"
        )
    change = abs(float(rest["deltae"])) * Hartree / len(atoms)
    if not change <= _LARGEST_CHANGE:
        raise CalculationError(
            source,
            f"expected the energy to change by at most {_LARGEST_CHANGE:g} eV per atom in the last step, got "
            f"{change:.2g} (not converged)",
        )
    num_spins, noncollinear = results["eigenvalues"].shape[0], bool(rest["num_spinors"] == 2)
    electrons_per_state = 1 if num_spins == 2 or noncollinear else 2
    states = normalised_states(
        results["eigenvalues"],
        results["kpoint_weights"],
        results["occupations"] / electrons_per_state,  # ABINIT counts electrons
        rest[K_POINTS],
        total=1.0,
        electrons_per_state=electrons_per_state,
        source=source,
    )
    ground_state = atoms.calc.results
    stress = ground_state.get("stress")
    return Calculation(
        atoms=plain_structure(atoms),
        eigenvalues=states.eigenvalues,
        weights=states.weights,
        occupations=states.occupations,
        k_points=states.k_points,
        fermi_level=float(results["fermilevel"]),
        num_electrons=float(rest["nelect"]),
        values={
            ENERGY: ground_state.get("free_energy"),
            FORCES: ground_state.get("forces"),
            STRESS: None if stress is None else voigt_6_to_full_3x3_stress(stress),
        },
        noncollinear=noncollinear,
        source=source,
        code=f"ABINIT {results['version']}".strip(),
    )
