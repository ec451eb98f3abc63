"""Quantum ESPRESSO's XML data file (prefix.xml, data-file-schema.xml) of pw.x 6.2 and later.

Read with the standard library, because ASE and pymatgen do not support the format, and qeschema, which does, takes
0.6 s for a file of 24 kB and refuses files from pw.x 6.7 because they lack an entry of a later schema.
"""

from pathlib import Path
from typing import IO, NamedTuple
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.io.espresso import label_to_symbol
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

from electrain.interface.quantities import ENERGY, FORCES, STRESS
from electrain.structures.packed import TooLargeError, open_packed

from ..calculation import Calculation, CalculationError
from ..zone import FOR_BANDS
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
        return _calculation(read_document(path), source)


def read_document(path: Path) -> ElementTree.Element:
    """Parse a file, which may be compressed, without all steps but the last one."""
    with open_packed(path) as file:
        return _parse(file)


class Levels(NamedTuple):
    """States as the file has them.

    :param eigenvalues: shape ``(num_spins, num_k, num_bands)``, in eV.
    :param weights: shape ``(num_k,)``, of any sum.
    :param occupations: same shape as the eigenvalues.
    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    :param noncollinear: whether the states are spinors.
    """

    eigenvalues: NDArray[np.float64]
    weights: NDArray[np.float64]
    occupations: NDArray[np.float64]
    k_points: NDArray[np.float64]
    noncollinear: bool


def levels_of(output: ElementTree.Element, source: str) -> Levels:
    """Read the states in the results of a run.

    :raises CalculationError: if there are none.
    """
    bands = entry(output, "band_structure")
    k_points = bands.findall("ks_energies")
    if not k_points:
        raise CalculationError(source, "expected eigenvalues, got none")
    num_spins = 2 if text_of(bands, "lsda") == "true" else 1
    # One list contains the states of the first spin, then those of the second.
    shape = (len(k_points), num_spins, -1)
    return Levels(
        np.stack([numbers_in(k, "eigenvalues") for k in k_points]).reshape(shape).swapaxes(0, 1) * Hartree,
        np.array([float(entry(k, "k_point").get("weight", "nan")) for k in k_points]),
        np.stack([numbers_in(k, "occupations") for k in k_points]).reshape(shape).swapaxes(0, 1),
        fractional([numbers_in(k, "k_point") for k in k_points], _reciprocal_axes(output)),
        text_of(bands, "noncolin") == "true",
    )


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
    kind = text_of(root, "input/control_variables/calculation")
    if kind not in (*_SELF_CONSISTENT, _FIXED_DENSITY):
        known = ", ".join((*_SELF_CONSISTENT, _FIXED_DENSITY))
        raise CalculationError(
            source, f"expected a calculation of kind {known}, got {kind}{FOR_BANDS if kind == 'bands' else ''}"
        )
    if root.find("output") is None:
        raise CalculationError(source, "expected results, got none (the run did not finish)")
    output = entry(root, "output")
    is_self_consistent = kind in _SELF_CONSISTENT
    if is_self_consistent and not _is_converged(root):
        raise CalculationError(source, "expected a converged calculation, got one that did not converge")
    bands, levels = entry(output, "band_structure"), levels_of(output, source)
    electrons_per_state = 1 if len(levels.eigenvalues) == 2 or levels.noncollinear else 2
    states = normalised_states(
        levels.eigenvalues,
        levels.weights,
        levels.occupations,
        levels.k_points,
        total=electrons_per_state,
        electrons_per_state=electrons_per_state,
        source=source,
    )
    forces, stress = output.find("forces"), output.find("stress")
    return Calculation(
        atoms=_structure(root, source),
        eigenvalues=states.eigenvalues,
        weights=states.weights,
        occupations=states.occupations,
        k_points=states.k_points,
        fermi_level=fermi_level(bands, source),
        num_electrons=float(text_of(bands, "nelec")),
        values={
            ENERGY: float(text_of(output, "total_energy/etot")) * Hartree if is_self_consistent else None,
            FORCES: None if forces is None else numbers_in(output, "forces").reshape(-1, 3) * (Hartree / Bohr),
            # Quantum ESPRESSO's stress has the opposite sign of ASE's.
            STRESS: None if stress is None else -numbers_in(output, "stress").reshape(3, 3) * (Hartree / Bohr**3),
        },
        noncollinear=levels.noncollinear,
        source=source,
        code=f"Quantum ESPRESSO {entry(root, 'general_info/creator').get('VERSION', '')}".strip(),
    )


def _is_converged(root: ElementTree.Element) -> bool:
    """Files of pw.x before 6.4 only have the last error (in Hartree, as the threshold)."""
    convergence = entry(root, "output/convergence_info/scf_conv")
    achieved = convergence.find("convergence_achieved")
    if achieved is not None:
        return (achieved.text or "").strip() == "true"
    return float(text_of(convergence, "scf_error")) <= float(text_of(root, "input/electron_control/conv_thr"))


def _reciprocal_axes(output: ElementTree.Element) -> NDArray[np.float64]:
    """Reciprocal lattice vectors in units of 2 pi / alat, as the k-points are; older files have only the cell."""
    lattice = output.find("basis_set/reciprocal_lattice")
    if lattice is not None:
        return np.array([numbers_in(lattice, vector) for vector in ("b1", "b2", "b3")])
    structure = entry(output, "atomic_structure")
    cell = np.array([numbers_in(structure, f"cell/{vector}") for vector in ("a1", "a2", "a3")])
    return np.asarray(np.linalg.inv(cell).T * float(structure.get("alat", "nan")))


def _structure(root: ElementTree.Element, source: str) -> Atoms:
    """Structure to which the states belong.

    After molecular dynamics or an unfinished relaxation, the results contain the structure of the next step. The energy
    identifies the step to which the results belong.
    """
    output, steps = entry(root, "output"), root.findall("step")
    is_relaxed = output.findtext("convergence_info/opt_conv/convergence_achieved", "").strip() == "true"
    if is_relaxed or not steps:
        return atoms_of(entry(output, "atomic_structure"))
    energy = text_of(output, "total_energy/etot")
    if text_of(steps[-1], "total_energy/etot") != energy:
        raise CalculationError(
            source, f"expected the results of the last step, got a different energy, {energy} Hartree"
        )
    return atoms_of(entry(steps[-1], "atomic_structure"))


def atoms_of(structure: ElementTree.Element) -> Atoms:
    """Structure in an element <atomic_structure>."""
    atoms = structure.findall("atomic_positions/atom")
    return Atoms(
        [label_to_symbol(str(atom.get("name"))) for atom in atoms],  # the name of a species may be "Fe1"
        positions=[np.array(str(atom.text).split(), dtype=np.float64) * Bohr for atom in atoms],
        cell=[numbers_in(structure, f"cell/{vector}") * Bohr for vector in ("a1", "a2", "a3")],
        pbc=True,
    )


def fermi_level(bands: ElementTree.Element, source: str) -> float:
    """Fermi level in eV; in the middle of the gap for occupations without a level of their own.

    :raises CalculationError: for two levels.
    """
    if bands.find("two_fermi_energies") is not None:
        levels = numbers_in(bands, "two_fermi_energies") * Hartree
        raise CalculationError(source, f"expected one Fermi level, got {levels} eV (fixed magnetization)")
    # Occupations that are fixed or read from the input have no level of their own.
    if bands.find("fermi_energy") is None or text_of(bands, "occupations_kind") == "fixed":
        empty = bands.find("lowestUnoccupiedLevel")
        highest = float(text_of(bands, "highestOccupiedLevel"))
        return middle_of_gap(highest, None if empty is None else float(str(empty.text))) * Hartree
    return float(text_of(bands, "fermi_energy")) * Hartree


def entry(element: ElementTree.Element, path: str) -> ElementTree.Element:
    """Element below another one.

    :raises ValueError: if there is none.
    """
    found = element.find(path)
    if found is None:
        raise ValueError(f"no <{path}> in <{element.tag}>")
    return found


def text_of(element: ElementTree.Element, path: str) -> str:
    """Text of an element below another one, without blanks around it."""
    return (entry(element, path).text or "").strip()


def numbers_in(element: ElementTree.Element, path: str) -> NDArray[np.float64]:
    """Numbers in an element below another one."""
    return np.array(text_of(element, path).split(), dtype=np.float64)
