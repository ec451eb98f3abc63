"""Made-up files: one calculation written in the format of every code, with only the entries that are read.

The real files beside this one show that the formats are understood; these, that known numbers come back. VASP cannot
be run here: its format is written from the public description of vasprun.xml, with more digits than VASP's four.
"""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import ase.io
import ase.io.ulm as ulm
import numpy as np
from ase.io.trajectory import write_atoms
from ase.units import Bohr, Hartree

from electrain.data import Calculation
from electrain.interface.quantities import FORCES, STRESS

KILOBAR = 1602.176634  # in an eV/A^3


def unchecked(calculation: Calculation, **changes: Any) -> Calculation:
    """Change fields to what a calculation must not have."""
    changed = object.__new__(Calculation)
    changed.__dict__.update(calculation.__dict__ | changes)
    return changed


def occupations_of(calculation: Calculation) -> np.ndarray:
    """Return its occupations, or fill the lowest states with exactly its electrons."""
    if calculation.occupations is not None:
        return calculation.occupations
    occupations = np.zeros(calculation.eigenvalues.shape)
    left = calculation.num_electrons
    for index in np.argsort(calculation.eigenvalues, axis=None):
        spin, k, band = np.unravel_index(index, occupations.shape)
        weight = calculation.weights[k]
        occupations[spin, k, band] = 1.0 if weight <= left else left / weight
        left = max(left - weight, 0.0)
    return occupations


def k_points_of(calculation: Calculation) -> np.ndarray:
    """Return its k-points, or the gamma point as often as there are weights."""
    return np.zeros((len(calculation.weights), 3)) if calculation.k_points is None else calculation.k_points


def text_of(values: Any) -> str:
    return " ".join(f"{value:.15e}" for value in np.ravel(values))


def write_extended_xyz(path: Path, calculation: Calculation) -> None:
    atoms = calculation.atoms.copy()
    eigenvalues = calculation.eigenvalues - calculation.fermi_level
    atoms.info = {
        "eigenvalues": eigenvalues if len(eigenvalues) == 2 else eigenvalues[0],
        "kweights": calculation.weights,
        "kpoints": k_points_of(calculation),
        "n_electrons": calculation.num_electrons,
    }
    ase.io.write(path, atoms, format="extxyz")


def write_quantum_espresso_xml(path: Path, calculation: Calculation, *, kind: str = "scf") -> None:
    num_spins = len(calculation.eigenvalues)
    root = Element("qes:espresso", {"xmlns:qes": "http://www.quantum-espresso.org/ns/qes/qes-1.0"})
    SubElement(SubElement(root, "general_info"), "creator", NAME="PWSCF", VERSION="made up")
    SubElement(SubElement(SubElement(root, "input"), "control_variables"), "calculation").text = kind
    output = SubElement(root, "output")
    convergence = SubElement(SubElement(output, "convergence_info"), "scf_conv")
    SubElement(convergence, "convergence_achieved").text = "true"
    structure = SubElement(output, "atomic_structure")
    positions, cell = SubElement(structure, "atomic_positions"), SubElement(structure, "cell")
    for atom in calculation.atoms:
        SubElement(positions, "atom", name=atom.symbol).text = text_of(atom.position / Bohr)
    for name, vector in zip(("a1", "a2", "a3"), calculation.atoms.cell[:], strict=True):
        SubElement(cell, name).text = text_of(vector / Bohr)
    SubElement(SubElement(output, "total_energy"), "etot").text = "-1.0"
    bands = SubElement(output, "band_structure")
    SubElement(bands, "lsda").text = str(num_spins == 2).lower()
    SubElement(bands, "noncolin").text = str(calculation.noncollinear).lower()
    SubElement(bands, "nelec").text = text_of(calculation.num_electrons)
    SubElement(bands, "fermi_energy").text = text_of(calculation.fermi_level / Hartree)
    SubElement(bands, "occupations_kind").text = "smearing"
    occupations = occupations_of(calculation)
    # In units of 2 pi / alat, with alat = 5.3 A
    lattice = 5.3 * calculation.atoms.cell.reciprocal()[:]
    vectors = SubElement(SubElement(output, "basis_set"), "reciprocal_lattice")
    for name, vector in zip(("b1", "b2", "b3"), lattice, strict=True):
        SubElement(vectors, name).text = text_of(vector)
    for k, coordinates in enumerate(k_points_of(calculation) @ lattice):
        point = SubElement(bands, "ks_energies")
        SubElement(point, "k_point", weight=text_of(calculation.weights[k])).text = text_of(coordinates)
        SubElement(point, "eigenvalues").text = text_of(calculation.eigenvalues[:, k] / Hartree)
        SubElement(point, "occupations").text = text_of(occupations[:, k])
    ElementTree.ElementTree(root).write(path)


def write_vasp(
    path: Path,
    calculation: Calculation,
    *,
    num_steps: int = 5,
    charge: int = 2,
    lines: bool = False,
    doses: bool = True,
) -> None:
    """Write vasprun.xml.

    :param num_steps: electronic steps, of at most 60.
    :param charge: ICHARG, from 10 for a fixed density.
    :param lines: whether the k-points lie on lines.
    :param doses: whether to write the density of states, with the Fermi level.
    """
    num_spins = len(calculation.eigenvalues)
    root = Element("modeling")
    SubElement(SubElement(root, "generator"), "i", name="version", type="string").text = "6.4.3 "
    SubElement(root, "incar")
    points = SubElement(root, "kpoints")
    SubElement(points, "generation", param="listgenerated" if lines else "Gamma")
    _varray(points, "kpointlist", k_points_of(calculation))
    _varray(points, "weights", calculation.weights[:, None] / calculation.weights.sum())
    parameters = SubElement(root, "parameters")
    for name, kind, value in (
        ("NELECT", "", f"{calculation.num_electrons:.8f}"),
        ("ISPIN", "int", str(num_spins)),
        ("NELM", "int", "60"),
        ("ICHARG", "int", str(charge)),
        ("LNONCOLLINEAR", "logical", "T" if calculation.noncollinear else "F"),
    ):
        SubElement(parameters, "i", {"name": name} | ({"type": kind} if kind else {})).text = value
    information = SubElement(root, "atominfo")
    atoms = SubElement(SubElement(information, "array", name="atoms"), "set")
    for symbol in calculation.atoms.symbols:
        row = SubElement(atoms, "rc")
        SubElement(row, "c").text, SubElement(row, "c").text = f"{symbol:2s}", "1"
    types = SubElement(SubElement(information, "array", name="atomtypes"), "set")
    row = SubElement(types, "rc")
    for text in ("1", "X", "1.0", "1.0", "PAW_PBE X"):
        SubElement(row, "c").text = text
    _vasp_structure(root, calculation).set("name", "initialpos")
    step = SubElement(root, "calculation")
    for _ in range(num_steps):
        _vasp_energies(SubElement(step, "scstep"))
    _vasp_structure(step, calculation)
    if FORCES in calculation.values:
        _varray(step, "forces", calculation.values[FORCES])
    if STRESS in calculation.values:
        _varray(step, "stress", -calculation.values[STRESS] * KILOBAR)
    _vasp_energies(step)
    eigenvalues = SubElement(SubElement(SubElement(step, "eigenvalues"), "array"), "set")
    occupations = occupations_of(calculation)
    for spin in range(num_spins):
        channel = SubElement(eigenvalues, "set", comment=f"spin {spin + 1}")
        for k in range(len(calculation.weights)):
            point = SubElement(channel, "set", comment=f"kpoint {k + 1}")
            for energy, occupation in zip(calculation.eigenvalues[spin, k], occupations[spin, k], strict=True):
                SubElement(point, "r").text = f"{energy:.12f} {occupation:.12f}"
    if doses:
        dos = SubElement(step, "dos")
        SubElement(dos, "i", name="efermi").text = f"{calculation.fermi_level:.12f}"
        total = SubElement(SubElement(SubElement(dos, "total"), "array"), "set")
        SubElement(SubElement(total, "set", comment="spin 1"), "r").text = "0.0 0.0 0.0"
    _vasp_structure(root, calculation).set("name", "finalpos")
    ElementTree.ElementTree(root).write(path, encoding="ISO-8859-1")


def _vasp_energies(element: Element) -> None:
    energies = SubElement(element, "energy")
    for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy"):
        SubElement(energies, "i", name=name).text = "-10.5" if name == "e_fr_energy" else "-10.4"


def _vasp_structure(element: Element, calculation: Calculation) -> Element:
    structure = SubElement(element, "structure")
    _varray(SubElement(structure, "crystal"), "basis", calculation.atoms.cell[:])
    _varray(structure, "positions", calculation.atoms.get_scaled_positions())
    return structure


def _varray(element: Element, name: str, rows: np.ndarray) -> None:
    array = SubElement(element, "varray", name=name)
    for row in rows:
        SubElement(array, "v").text = text_of(row)


def write_gpaw(path: Path, calculation: Calculation, *, points: dict[str, Any] | None = None, kpts: Any = None) -> None:
    """Write a .gpw file.

    :param points: further entries of the k-points, such as those before the reduction by symmetry.
    :param kpts: the k-points as they were given; the density was fixed then.
    """
    with ulm.open(str(path), "w", tag="gpaw") as file:
        file.write(version=7, gpaw_version="made up")
        write_atoms(file.child("atoms"), calculation.atoms)
        results = file.child("results")
        if kpts is None:
            results.write(energy=-1.0)
        else:
            results.write(magmom=0.0)
            file.child("parameters").write(kpts=kpts)
        bands = file.child("wave_functions")
        bands.write(
            fermi_levels=np.array([calculation.fermi_level]),
            eigenvalues=calculation.eigenvalues,
            occupations=occupations_of(calculation),
        )
        weights = calculation.weights / calculation.weights.sum()
        bands.child("kpts").write(weights=weights, ibzkpts=k_points_of(calculation), **(points or {}))


def write_abinit(path: Path, calculation: Calculation) -> None:
    from netCDF4 import Dataset

    num_spins, num_k, num_bands = calculation.eigenvalues.shape
    sizes = {"spins": num_spins, "k": num_k, "bands": num_bands, "atoms": len(calculation.atoms), "three": 3}
    numbers = np.unique(calculation.atoms.numbers)
    arrays = {
        "atom_species": (["atoms"], np.searchsorted(numbers, calculation.atoms.numbers) + 1),
        "atomic_numbers": (["species"], numbers.astype(float)),
        "primitive_vectors": (["three", "three"], calculation.atoms.cell[:] / Bohr),
        "reduced_atom_positions": (["atoms", "three"], calculation.atoms.get_scaled_positions()),
        "eigenvalues": (["spins", "k", "bands"], calculation.eigenvalues / Hartree),
        "occupations": (["spins", "k", "bands"], occupations_of(calculation) * calculation.electrons_per_state),
        "reduced_coordinates_of_kpoints": (["k", "three"], k_points_of(calculation)),
        "kpoint_weights": (["k"], calculation.weights / calculation.weights.sum()),
        "fermie": ([], calculation.fermi_level / Hartree),
        "nelect": ([], calculation.num_electrons),
        "etotal": ([], -1.0),
        "deltae": ([], 1e-12),
        "kptopt": ([], 1),
    }
    with Dataset(path, "w") as file:
        file.abinit_version = "made up"
        for name, size in (sizes | {"species": len(numbers)}).items():
            file.createDimension(name, size)
        file.createDimension("number_of_spinor_components", 2 if calculation.noncollinear else 1)
        for name, (dimensions, values) in arrays.items():
            variable = file.createVariable(name, np.asarray(values).dtype, dimensions)
            variable[...] = values


WRITERS = {
    "calculation.xyz": write_extended_xyz,
    "mg.xml": write_quantum_espresso_xml,
    "vasprun.xml": write_vasp,
    "mg.gpw": write_gpaw,
    "mgo_GSR.nc": write_abinit,
}
