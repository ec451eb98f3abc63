"""Made-up text output of SIESTA and FHI-aims, with only the lines that are read, as real outputs have them."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree, Rydberg
from writers import k_points_of, occupations_of

from electrain.data import Calculation
from electrain.interface.quantities import ENERGY, FORCES, STRESS

SIESTA_OUTPUT = """Siesta Version  : 5.2.0
                           *  WELCOME TO SIESTA  *
reinit: System Label: si
redata: Fix the spin of the system                  =   F
Total number of electrons: {electrons:12.6f}
siesta: Ekinion =     0.000000
siesta: FreeEng =     -1.000000
        iscf     Eharris(eV)        E_KS(eV)     FreeEng(eV)     dDmax    Ef(eV) dHmax(eV)
   scf:    1    -3674.282076    -3825.907368    -3825.907368  8.521699 -1.640849 41.433352
   scf:    2    -3674.282076    -3825.907368    -3825.907368  0.000001 -1.640849  0.000001
SCF cycle converged after 2 iterations
siesta: Ekinion = {kinetic:12.6f}
siesta: Etot    = {other:12.6f}
siesta: FreeEng = {total:12.6f}
>> End of run:  25-JUL-2024  14:18:32
"""


def write_siesta(path: Path, calculation: Calculation, *, kinetic: float = 0.0) -> None:
    """Write the text output to a path, and the other files beside it."""
    atoms, folder = calculation.atoms, path.parent
    energy = float(calculation.values.get(ENERGY, -100.0))
    total = energy + kinetic
    path.write_text(
        SIESTA_OUTPUT.format(electrons=calculation.num_electrons, kinetic=kinetic, other=total + 0.5, total=total)
    )
    num_spins, num_k, num_bands = calculation.eigenvalues.shape
    components = 8 if calculation.noncollinear else num_spins
    lines = [f"{calculation.fermi_level:.10f}", f"{num_bands} {components} {num_k}"]
    for k in range(num_k):
        lines.append(f"{k + 1} " + " ".join(f"{value:.10f}" for value in calculation.eigenvalues[:, k].ravel()))
    (folder / "si.EIG").write_text("\n".join(lines) + "\n")
    cartesian = k_points_of(calculation) @ (2 * np.pi * Bohr * atoms.cell.reciprocal())
    weights = calculation.weights / calculation.weights.sum()
    rows = [
        f"{k + 1} " + " ".join(f"{x:.12f}" for x in [*point, weight])
        for k, (point, weight) in enumerate(zip(cartesian, weights, strict=True))
    ]
    (folder / "si.KP").write_text(f"{num_k}\n" + "\n".join(rows) + "\n")
    scaled = atoms.get_scaled_positions(wrap=False)
    rows = [f"1 {number} " + _numbers(position) for number, position in zip(atoms.numbers, scaled, strict=True)]
    (folder / "si.STRUCT_OUT").write_text("\n".join([*map(_numbers, atoms.cell), str(len(atoms)), *rows]) + "\n")
    if FORCES in calculation.values:
        forces = calculation.values[FORCES] * Bohr / Rydberg
        stress = calculation.values[STRESS] * Bohr**3 / Rydberg
        rows = [f"1 {number} {_numbers(force)} X" for number, force in zip(atoms.numbers, forces, strict=True)]
        text = "\n".join([f"{energy / Rydberg:.10f}", *map(_numbers, stress), str(len(atoms)), *rows])
        (folder / "FORCE_STRESS").write_text(text + "\n")


def write_fhi_aims(path: Path, calculation: Calculation, *, core: float = -1800.0, printed: int | None = None) -> None:
    """Write the text output, with the core states of silicon in addition.

    :param core: energy of the core states, in eV.
    :param printed: number of k-points of which the states are printed; default: all.
    """
    atoms = calculation.atoms
    num_spins, num_k, num_bands = calculation.eigenvalues.shape
    states = np.concatenate([np.full((num_spins, num_k, len(atoms)), core), calculation.eigenvalues], axis=2)
    filling = np.concatenate([np.ones((num_spins, num_k, len(atoms))), occupations_of(calculation)], axis=2)
    electrons = calculation.num_electrons + 2 * len(atoms)
    lines = ["          Invoking FHI-aims ...", "          FHI-aims version      : 210226", *_geometry(atoms)]
    lines += [
        f"  | Number of spin channels           :         {num_spins}",
        f"  The structure contains        {len(atoms)} atoms,  and a total of     {electrons:.9f} electrons.",
        f"  | Number of Kohn-Sham states (occupied + empty):       {num_bands + len(atoms)}",
        f"  | Number of k-points                             :       {num_k}",
        f"  | K-points in task   0:        {num_k}",
    ]
    weights = calculation.weights / calculation.weights.sum()
    for k, (point, weight) in enumerate(zip(k_points_of(calculation), weights, strict=True)):
        lines.append(f"  | k-point: {k + 1} at {_numbers(point)}  (in units of recip. lattice), weight: {weight:.12f}")
    lines += [
        "          Begin self-consistency loop: Initialization.",
        "          Begin self-consistency iteration #    1",
    ]
    lines += [
        f"  | Chemical potential (Fermi level):    {calculation.fermi_level:.8f}eV",
        "  Writing Kohn-Sham eigenvalues.",
    ]
    for spin in range(num_spins):
        for k in range(num_k if printed is None else printed):
            if num_spins == 2:
                lines.append(f"  Spin-{('up', 'down')[spin]} eigenvalues:")
            lines.append(f"  K-point: {k + 1} at {_numbers(k_points_of(calculation)[k])} (in units of recip. lattice)")
            lines += ["", "  State    Occupation    Eigenvalue [Ha]    Eigenvalue [eV]"]
            for band, (value, filled) in enumerate(zip(states[spin, k], filling[spin, k], strict=True)):
                occupation = filled * (3 - num_spins)
                lines.append(f"  {band + 1} {occupation:.12f} {value / Hartree:.6f} {value:.10f}")
            lines.append("")
    energy = float(calculation.values.get(ENERGY, -100.0))
    lines += [
        "  What follows are estimated values for band gap, HOMO, LUMO, etc.",
        f"  | Total energy uncorrected      : {energy + 0.5:.9e} eV",
        f"  | Electronic free energy        : {energy:.9e} eV",
        "  Self-consistency cycle converged.",
    ]
    if FORCES in calculation.values:
        lines.append("  Total atomic forces (unitary forces cleaned) [eV/Ang]:")
        lines += [f"  | {i + 1} {_numbers(force)}" for i, force in enumerate(calculation.values[FORCES])]
        lines += ["", "  |  Analytical stress tensor - Symmetrized  |", "", "", "", ""]
        stress = calculation.values[STRESS]
        lines += [f"  | {axis} {_numbers(row)} |" for axis, row in zip("xyz", stress, strict=True)]
    path.write_text("\n".join([*lines, "", "          Have a nice day."]) + "\n")


def _geometry(atoms: Atoms) -> list[str]:
    lines = ["  Input geometry:"]
    if atoms.pbc.all():
        lines += ["  | Unit cell:", *(f"  |  {_numbers(vector)}" for vector in atoms.cell)]
    else:
        lines.append("  | No unit cell requested.")
    lines += ["  | Atomic structure:", "  |       Atom                x [A]            y [A]            z [A]"]
    lines += [
        f"  |    {i + 1}: Species {symbol}   {_numbers(position)}"
        for i, (symbol, position) in enumerate(zip(atoms.symbols, atoms.positions, strict=True))
    ]
    return [*lines, "", f"  | Number of atoms                   :        {len(atoms)}"]


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.12f}" for value in values)
