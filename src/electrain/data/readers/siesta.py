"""SIESTA's text output and the files beside it, parsed with ASE."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.siesta import read_struct_out
from ase.io.siesta_output import OutputReader
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import Bohr, Rydberg

from electrain.interface.quantities import ENERGY, FORCES, STRESS
from electrain.structures.packed import TooLargeError, open_packed

from ..calculation import Calculation, CalculationError
from .common import fractional, normalised_states, reading

_LARGEST = 2**28  # bytes of one of the files, which are kept in memory
_SAME_ENERGY = 2e-5  # relative: SIESTA has its own value of the Rydberg energy
_NUMBER = r"\s*(-?\d+\.\d*)"


def read_siesta(path: str | Path) -> Calculation:
    """Read the last geometry of a run of SIESTA 4.0 or later from its text output.

    Beside it must lie the files ``.EIG``, ``.KP`` and ``.STRUCT_OUT`` of the run; forces and stress are read from
    ``FORCE_STRESS`` if it belongs to the run. Energies are SIESTA's free energies (``FreeEng``), whose derivatives are
    the forces.

    :param path: the text output, which may be compressed.
    :raises CalculationError: if a file is missing or damaged, the run did not finish or converge, a relaxation did not
        reach its end, the magnetization is fixed, or a check fails.
    """
    path, source = Path(path), str(path)
    with reading(source, "output of SIESTA"):
        with open_packed(path, _LARGEST) as file:
            text = file.read().decode(errors="replace")
        _check_end(text, source)
        label = re.search(r"System Label: *(\S+)", text)
        prefix = path.parent / (Path(label[1]).name if label else "siesta")
        for ending in ("EIG", "KP", "STRUCT_OUT"):
            _check_file(prefix, ending, source)
        return _calculation(prefix, text, source)


def _check_end(text: str, source: str) -> None:
    if ">> End of run" not in text:
        raise CalculationError(source, "expected '>> End of run' at the end, but the output ends before it")
    iterations = [found.start() for found in re.finditer(r"^ *scf: +1 ", text, re.MULTILINE)]
    if not iterations or text.rfind("SCF cycle converged after") < iterations[-1]:
        raise CalculationError(source, "expected a converged calculation, got one that did not converge")
    if "Final (unrelaxed) atomic coordinates" in text:
        # The structures in the files differ, and none of them says to which one the states belong.
        raise CalculationError(source, "expected a relaxation that reached its end, got an unfinished one")
    if re.search(r"Fix the spin of the system *= *T", text):
        raise CalculationError(source, "expected one Fermi level, got a fixed magnetization")


def _check_file(prefix: Path, ending: str, source: str) -> None:
    path = Path(f"{prefix}.{ending}")
    if not path.is_file():
        raise CalculationError(source, f"expected the file {path.name} beside the output, got none")
    if (size := path.stat().st_size) > _LARGEST:
        raise TooLargeError(f"expected {path.name} of at most {_LARGEST:,} bytes, got {size:,}")


def _calculation(prefix: Path, text: str, source: str) -> Calculation:
    num_components = _num_components(prefix, source)
    reader = OutputReader(prefix.name, prefix.parent)
    bands, k_points = reader.read_eigenvalues(), reader.read_kpoints()
    with Path(f"{prefix}.STRUCT_OUT").open() as file:
        atoms = read_struct_out(file)
    noncollinear = num_components > 2
    states = normalised_states(
        bands["eigenvalues"],
        k_points["kpoint_weights"],
        None,
        # Cartesian, in 1/bohr, including 2 pi
        fractional(k_points["kpoints"], 2 * np.pi * Bohr * atoms.cell.reciprocal()),
        total=1.0,
        electrons_per_state=1 if num_components > 1 else 2,
        source=source,
    )
    num_electrons = re.findall(rf"Total number of electrons:{_NUMBER}", text)
    version = re.search(r"^(?:Siesta )?Version *: *(?:siesta-)?(\S+)", text, re.MULTILINE)
    return Calculation(
        atoms=atoms,
        eigenvalues=states.eigenvalues,
        weights=states.weights,
        k_points=states.k_points,
        fermi_level=float(bands["fermi_energy"]),
        num_electrons=float(num_electrons[-1]) if num_electrons else None,
        values=_ground_state(reader, text, atoms),
        noncollinear=noncollinear,
        source=source,
        code=f"SIESTA {'' if version is None else version[1]}".strip(),
    )


def _num_components(prefix: Path, source: str) -> int:
    """Number of spin components in the file of eigenvalues: 4 or 8 of noncollinear spins; its size is checked."""
    path = Path(f"{prefix}.EIG")
    with path.open() as file:
        file.readline()
        num_bands, num_components, num_k = map(int, file.readline().split())
    number = num_bands * min(num_components, 2) * num_k
    if not 0 < number <= path.stat().st_size:
        raise CalculationError(source, f"expected {number:,} eigenvalues in {path.name}, but it is shorter")
    return num_components


def _ground_state(reader: OutputReader, text: str, atoms: Atoms) -> dict[str, Any]:
    """Energy, and forces and stress, whose file has no name of its own and may be that of another run."""
    energies = re.findall(rf"siesta: FreeEng ={_NUMBER}", text)
    if not energies:
        return {}
    kinetic = re.findall(rf"siesta: Ekinion ={_NUMBER}", text)  # of the nuclei, in molecular dynamics
    energy = float(energies[-1]) - (float(kinetic[-1]) if kinetic else 0.0)
    values: dict[str, Any] = {ENERGY: energy}
    path = reader.directory / "FORCE_STRESS"
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return values
    with path.open() as file:
        is_same = abs(float(file.readline()) * Rydberg - energy) < _SAME_ENERGY * abs(energy)
    results = reader.read_forces_stress()
    if is_same and len(results["forces"]) == len(atoms):
        values |= {FORCES: results["forces"], STRESS: voigt_6_to_full_3x3_stress(results["stress"])}
    return values
