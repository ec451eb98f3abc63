"""Text output of Quantum ESPRESSO's pw.x, parsed with ASE."""

import io
import re
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from electrain.interface.quantities import ENERGY, FORCES, STRESS
from electrain.structures.packed import open_packed

from ..calculation import Calculation, CalculationError
from .common import States, fractional, middle_of_gap, normalised_states, plain_structure, reading

_LARGEST = 2**29  # all of it is kept in memory, several times
_NUMBER = r"\s*(-?\d+\.\d*)"


def read_quantum_espresso_text(path: str | Path) -> Calculation:
    """Read the last geometry of a pw.x run with ``verbosity='high'``; the file may be compressed.

    Eigenvalues have only four decimals, so the XML data file of the same run is preferable. Energies and Fermi levels
    are as in :func:`read_quantum_espresso_xml`.

    :raises CalculationError: if the file is damaged, the run did not finish or converge, there are no eigenvalues,
        weights or Fermi level, or two Fermi levels, or a check fails.
    """
    path, source = Path(path), str(path)
    with reading(source, "output of Quantum ESPRESSO's pw.x"):
        with open_packed(path, _LARGEST) as file:
            text = file.read().decode(errors="replace")  # titles and names may be in any encoding
        _check_end(text, source)
        atoms = ase.io.read(io.StringIO(text), format="espresso-out", index=-1)
        assert isinstance(atoms, Atoms)
        return _calculation(atoms, text, source)


def _check_end(text: str, source: str) -> None:
    if "convergence NOT achieved" in text:
        raise CalculationError(source, "expected a converged calculation, got 'convergence NOT achieved'")
    if "JOB DONE." not in text:
        raise CalculationError(source, "expected 'JOB DONE.' at the end, but the output ends before it")
    if "End of self-consistent calculation" not in text and "End of band structure calculation" not in text:
        raise CalculationError(source, "expected a self-consistent or a band-structure calculation, got neither")


def _calculation(atoms: Atoms, text: str, source: str) -> Calculation:
    results = atoms.calc.results
    noncollinear = re.search(r"^ *(Noncollinear|Non magnetic) calculation with", text, re.MULTILINE) is not None
    states = _states(atoms, text, noncollinear, source)
    version = re.search(r"Program PWSCF v\.?(\S+)", text)
    num_electrons = re.search(rf"number of electrons\s*={_NUMBER}", text)
    stress = results.get("stress")
    return Calculation(
        atoms=plain_structure(atoms),
        eigenvalues=states.eigenvalues,
        weights=states.weights,
        k_points=states.k_points,
        fermi_level=_fermi_level(text, source),
        num_electrons=None if num_electrons is None else float(num_electrons[1]),
        values={
            ENERGY: results.get("free_energy"),
            FORCES: results.get("forces"),
            STRESS: None if stress is None else voigt_6_to_full_3x3_stress(stress),
        },
        noncollinear=noncollinear,
        source=source,
        code=f"Quantum ESPRESSO {'' if version is None else version[1]}".strip(),
    )


def _states(atoms: Atoms, text: str, noncollinear: bool, source: str) -> States:
    k_points = atoms.calc.kpts
    if not k_points:
        raise CalculationError(source, "expected eigenvalues, got none; pw.x prints them with verbosity='high'")
    num_spins = max(point.s for point in k_points) + 1
    # ASE lists the k-points of the first spin, then those of the second, with the weights of one.
    num_k = len(k_points) // num_spins
    return normalised_states(
        np.stack([point.eps_n for point in k_points]).reshape(num_spins, num_k, -1),
        [point.weight for point in k_points[:num_k]],
        None,
        _fractional_k_points(text)[:num_k],
        total=1.0 if num_spins == 2 or noncollinear else 2.0,
        electrons_per_state=1 if num_spins == 2 or noncollinear else 2,
        source=source,
    )


def _fractional_k_points(text: str) -> NDArray[np.float64]:
    """All k-points of the list that comes before the results; ASE's are wrong after a cell has changed."""
    vector = rf"\(\s*\d+\) = \({_NUMBER * 3}"
    axes, points = re.findall("b" + vector, text)[:3], re.findall("k" + vector, text)  # both in units of 2 pi / alat
    return fractional(points, axes)


def _fermi_level(text: str, source: str) -> float:
    """Last Fermi level in the text, in eV."""
    if levels := re.findall(rf"the Fermi energy is{_NUMBER} ev", text):
        return float(levels[-1])
    if pairs := re.findall(rf"the spin up/dw Fermi energies are{_NUMBER}{_NUMBER}", text):
        both = " and ".join(pairs[-1])
        raise CalculationError(source, f"expected one Fermi level, got {both} eV (fixed magnetization)")
    if edges := re.findall(rf"highest occupied, lowest unoccupied level \(ev\):{_NUMBER}{_NUMBER}", text):
        return middle_of_gap(float(edges[-1][0]), float(edges[-1][1]))
    if highest := re.findall(rf"highest occupied level \(ev\):{_NUMBER}", text):
        return middle_of_gap(float(highest[-1]), None)
    # A 'bands' calculation, along lines, prints neither.
    raise CalculationError(source, "expected a Fermi level or a highest occupied level, got neither")
