"""GPAW restart files (.gpw), opened with ASE's ULM reader, without GPAW."""

from pathlib import Path
from typing import NamedTuple

import ase.io.ulm as ulm
import numpy as np
from ase.io.trajectory import read_atoms
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from electrain.interface.quantities import ENERGY, FORCES, STRESS

from ..calculation import Calculation, CalculationError
from .common import normalised_states, plain_structure, reading

_OLDEST_VERSION = 3  # of the file format; earlier ones keep the Fermi level elsewhere


def read_gpaw(path: str | Path) -> Calculation:
    """Read a .gpw file, with or without wave functions.

    Energies are GPAW's free energies, whose derivatives are the forces. The number of electrons is the sum of the
    occupations, without frozen cores.

    Both a run that did not converge and one with a fixed density write a file without an energy. They cannot be told
    apart, so both are refused.

    :raises CalculationError: if the file is damaged, the calculation did not converge or has two Fermi levels, or a
        check fails.
    """
    path, source = Path(path), str(path)
    with reading(source, "a GPAW file (.gpw)"), path.open("rb") as file:
        return _calculation(ulm.Reader(file), source)


def _calculation(file: ulm.Reader, source: str) -> Calculation:
    check_version(file, source)
    results = file.results.asdict()
    if "energy" not in results:
        raise CalculationError(source, "expected an energy, got none (not converged, or run with a fixed density)")
    levels = levels_of(file, source)
    states = normalised_states(
        levels.eigenvalues,
        file.wave_functions.kpts.weights,
        levels.occupations,
        file.wave_functions.kpts.ibzkpts,
        total=1.0,
        electrons_per_state=2 if len(levels.eigenvalues) == 1 and not levels.noncollinear else 1,
        source=source,
    )
    stress = results.get("stress")
    return Calculation(
        atoms=plain_structure(read_atoms(file.atoms)),
        eigenvalues=states.eigenvalues,
        weights=states.weights,
        occupations=states.occupations,
        k_points=states.k_points,
        fermi_level=levels.fermi_level,
        num_electrons=float(np.einsum("k,skn->", states.weights, np.asarray(states.occupations))),
        values={
            ENERGY: results.get("free_energy", results["energy"]),
            FORCES: results.get("forces"),
            STRESS: None if stress is None else voigt_6_to_full_3x3_stress(stress),
        },
        noncollinear=levels.noncollinear,
        source=source,
        code=f"GPAW {file.get('gpaw_version', '')}".strip(),
    )


class Levels(NamedTuple):
    """States as the file has them.

    :param eigenvalues: shape ``(num_spins, num_k, num_bands)``, in eV.
    :param occupations: same shape.
    :param fermi_level: in eV.
    :param noncollinear: whether the states are spinors.
    """

    eigenvalues: NDArray[np.float64]
    occupations: NDArray[np.float64]
    fermi_level: float
    noncollinear: bool


def check_version(file: ulm.Reader, source: str) -> None:
    """Check the version of the file format.

    :raises CalculationError: for one that is too old.
    """
    version = file.version
    if version < _OLDEST_VERSION:
        raise CalculationError(source, f"expected a .gpw file of version {_OLDEST_VERSION} or later, got {version}")


def levels_of(file: ulm.Reader, source: str) -> Levels:
    """Read the states.

    :raises CalculationError: for two Fermi levels.
    """
    bands = file.wave_functions
    fermi_levels = np.atleast_1d(bands.fermi_levels)
    if np.ptp(fermi_levels) > 0:
        raise CalculationError(source, f"expected one Fermi level, got {fermi_levels} eV (fixed magnetization)")
    noncollinear = bands.eigenvalues.ndim == 2  # shape (num_k, num_bands), without a spin axis
    shape = (-1, *bands.eigenvalues.shape[-2:])
    return Levels(
        bands.eigenvalues.reshape(shape), bands.occupations.reshape(shape), float(fermi_levels[0]), noncollinear
    )
