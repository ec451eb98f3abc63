"""Quantum ESPRESSO's XML data file (prefix.xml, data-file-schema.xml) of pw.x 6.2 and later.

Read with the standard library, because ASE and pymatgen do not support the format, and qeschema, which does, takes
0.6 s for a file of 24 kB and refuses files from pw.x 6.7 because they lack an entry of a later schema.
"""

from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.io.espresso import label_to_symbol
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

from electrain.interface.quantities import ENERGY, FORCES, STRESS
from electrain.structures.packed import TooLargeError, open_packed

from ..calculation import Calculation, CalculationError
from .common import fractional, middle_of_gap, normalised_states, reading

_MOST_ELEMENTS = 2_000_000  # three for each k-point; in memory some 100 bytes each
_SELF_CONSISTENT = ("scf", "relax", "vc-relax", "md", "vc-md")
_FIXED_DENSITY = "nscf"


def read_quantum_espresso_xml(path: str | Path) -> Calculation:
    """Read the last geometry of a pw.x run; the file may be compressed.

    Energies are total energies including the entropy of the smearing, whose derivatives are the forces. For fixed
    occupations, the Fermi level is the middle of the gap. A run with ``calculation='nscf'`` has no energy.

    :raises CalculationError: if the file is damaged, the calculation is of another kind (``'bands'`` has no weights),
        did not converge or has two Fermi levels, or a check fails.
    """
    path, source = Path(path), str(path)
    with reading(source, "an XML data file of Quantum ESPRESSO"):
        with open_packed(path) as file:
            root = _parse(file)
        return _calculation(root, source)


def _parse(file: IO[bytes]) -> ElementTree.Element:
    """Parse all elements but the steps before the last one: molecular dynamics may have any number of them."""
    depth = number = 0
    for event, element in ElementTree.iterparse(file, ("start", "end")):
        if event == "start":
            depth, number = depth + 1, number + 1
            if depth == 1:
                root = element
        else:
            depth -= 1
            if depth == 1 and element.tag == "step":
                for step in root.findall("step")[:-1]:
                    number -= sum(1 for _ in step.iter())
                    root.remove(step)
        if number > _MOST_ELEMENTS:
            raise TooLargeError(f"expected at most {_MOST_ELEMENTS:,} elements of XML, got more")
    return root


def _calculation(root: ElementTree.Element, source: str) -> Calculation:
    kind = _text(root, "input/control_variables/calculation")
    if kind not in (*_SELF_CONSISTENT, _FIXED_DENSITY):
        known = ", ".join((*_SELF_CONSISTENT, _FIXED_DENSITY))
        raise CalculationError(source, f"expected a calculation of kind {known}, got {kind}")
    if root.find("output") is None:
        raise CalculationError(source, "expected results, got none (the run did not finish)")
    output = _found(root, "output")
    is_self_consistent = kind in _SELF_CONSISTENT
    if is_self_consistent and not _is_converged(root):
        raise CalculationError(source, "expected a converged calculation, got one that did not converge")
    bands = _found(output, "band_structure")
    is_collinear, noncollinear = _text(bands, "lsda") == "true", _text(bands, "noncolin") == "true"
    k_points = bands.findall("ks_energies")
    if not k_points:
        raise CalculationError(source, "expected eigenvalues, got none")
    num_spins = 2 if is_collinear else 1
    coordinates = fractional([_numbers(k, "k_point") for k in k_points], _reciprocal_axes(output))
    # One list contains the states of the first spin, then those of the second.
    shape = (len(k_points), num_spins, -1)
    states = normalised_states(
        np.stack([_numbers(k, "eigenvalues") for k in k_points]).reshape(shape).swapaxes(0, 1) * Hartree,
        [float(_found(k, "k_point").get("weight", "nan")) for k in k_points],
        np.stack([_numbers(k, "occupations") for k in k_points]).reshape(shape).swapaxes(0, 1),
        coordinates,
        total=1.0 if is_collinear or noncollinear else 2.0,
        electrons_per_state=1 if is_collinear or noncollinear else 2,
        source=source,
    )
    forces, stress = output.find("forces"), output.find("stress")
    return Calculation(
        atoms=_structure(root, source),
        eigenvalues=states.eigenvalues,
        weights=states.weights,
        occupations=states.occupations,
        k_points=states.k_points,
        fermi_level=_fermi_level(bands, source),
        num_electrons=float(_text(bands, "nelec")),
        values={
            ENERGY: float(_text(output, "total_energy/etot")) * Hartree if is_self_consistent else None,
            FORCES: None if forces is None else _numbers(output, "forces").reshape(-1, 3) * (Hartree / Bohr),
            # Quantum ESPRESSO's stress has the opposite sign of ASE's.
            STRESS: None if stress is None else -_numbers(output, "stress").reshape(3, 3) * (Hartree / Bohr**3),
        },
        noncollinear=noncollinear,
        source=source,
        code=f"Quantum ESPRESSO {_found(root, 'general_info/creator').get('VERSION', '')}".strip(),
    )


def _is_converged(root: ElementTree.Element) -> bool:
    """Files of pw.x before 6.4 only have the last error (in Hartree, as the threshold)."""
    convergence = _found(root, "output/convergence_info/scf_conv")
    achieved = convergence.find("convergence_achieved")
    if achieved is not None:
        return (achieved.text or "").strip() == "true"
    return float(_text(convergence, "scf_error")) <= float(_text(root, "input/electron_control/conv_thr"))


def _reciprocal_axes(output: ElementTree.Element) -> NDArray[np.float64]:
    """Reciprocal lattice vectors in units of 2 pi / alat, as the k-points are; older files have only the cell."""
    lattice = output.find("basis_set/reciprocal_lattice")
    if lattice is not None:
        return np.array([_numbers(lattice, vector) for vector in ("b1", "b2", "b3")])
    structure = _found(output, "atomic_structure")
    cell = np.array([_numbers(structure, f"cell/{vector}") for vector in ("a1", "a2", "a3")])
    return np.asarray(np.linalg.inv(cell).T * float(structure.get("alat", "nan")))


def _structure(root: ElementTree.Element, source: str) -> Atoms:
    """Structure to which the states belong.

    After molecular dynamics or an unfinished relaxation, the results contain the structure of the next step. The energy
    identifies the step to which the results belong.
    """
    output, steps = _found(root, "output"), root.findall("step")
    is_relaxed = output.findtext("convergence_info/opt_conv/convergence_achieved", "").strip() == "true"
    if is_relaxed or not steps:
        return _atoms(_found(output, "atomic_structure"))
    energy = _text(output, "total_energy/etot")
    if _text(steps[-1], "total_energy/etot") != energy:
        raise CalculationError(
            source, f"expected the results of the last step, got a different energy, {energy} Hartree"
        )
    return _atoms(_found(steps[-1], "atomic_structure"))


def _atoms(structure: ElementTree.Element) -> Atoms:
    atoms = structure.findall("atomic_positions/atom")
    return Atoms(
        [label_to_symbol(str(atom.get("name"))) for atom in atoms],  # the name of a species may be "Fe1"
        positions=[np.array(str(atom.text).split(), dtype=np.float64) * Bohr for atom in atoms],
        cell=[_numbers(structure, f"cell/{vector}") * Bohr for vector in ("a1", "a2", "a3")],
        pbc=True,
    )


def _fermi_level(bands: ElementTree.Element, source: str) -> float:
    if bands.find("two_fermi_energies") is not None:
        levels = _numbers(bands, "two_fermi_energies") * Hartree
        raise CalculationError(source, f"expected one Fermi level, got {levels} eV (fixed magnetization)")
    # Occupations that are fixed or read from the input have no level of their own.
    if bands.find("fermi_energy") is None or _text(bands, "occupations_kind") == "fixed":
        empty = bands.find("lowestUnoccupiedLevel")
        highest = float(_text(bands, "highestOccupiedLevel"))
        return middle_of_gap(highest, None if empty is None else float(str(empty.text))) * Hartree
    return float(_text(bands, "fermi_energy")) * Hartree


def _found(element: ElementTree.Element, path: str) -> ElementTree.Element:
    found = element.find(path)
    if found is None:
        raise ValueError(f"no <{path}> in <{element.tag}>")
    return found


def _text(element: ElementTree.Element, path: str) -> str:
    return (_found(element, path).text or "").strip()


def _numbers(element: ElementTree.Element, path: str) -> NDArray[np.float64]:
    return np.array(_text(element, path).split(), dtype=np.float64)
