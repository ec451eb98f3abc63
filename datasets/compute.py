"""Eigenvalues, energy and forces of structures: GPAW, plane waves, PBEsol, no spin polarisation.

    OMP_NUM_THREADS=1 python compute.py structures.xyz labelled.xyz --setups setups [--part 0/2]

Every frame needs `id` (unique) and `subset` in its `info`; `k_scale` multiplies the density of its k mesh, and
`cutoff` (eV) replaces the plane-wave cutoff of the elements.
Frames are appended to the output one by one, and ids that are there already (or in a file given with --skip)
are left out, so that the command can be stopped and started again. What does not converge in time is listed
in OUTPUT.failed, a line "id<TAB>reason" each.

Written per frame: energy (eV, with an arbitrary offset per element), forces (eV/A) and, in `info`,

eigenvalues   (k points, bands), eV, zero at the Fermi level; only converged bands
k_points      (k points, 3), in the basis of the reciprocal cell; not where there is no periodic direction
kweights      (k points,), summing to 2 as in Quantum ESPRESSO, so that the density of states counts electrons
kpoints_grid  Gamma-centred mesh
efermi        Fermi level before the shift, eV
bandgap       eV, 0 for metals
n_electrons   valence electrons of the PAW sets
emax          lowest value of the highest band, eV: the density of states is complete below
ecut          plane-wave cutoff, eV
cpu_s         CPU time, s
"""

import argparse
import signal
import time
from collections.abc import Callable
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread, write
from gpaw import GPAW, PW, setup_paths
from gpaw.setup_data import SetupData

# Cutoffs (eV) at which the valence density of states is converged; DEFAULT_CUTOFF for all other elements
CUTOFFS = {"H": 500.0, "He": 500.0, "B": 600.0, "C": 500.0, "N": 600.0, "O": 600.0, "F": 600.0, "Ne": 600.0}
DEFAULT_CUTOFF = 400.0

VACUUM = 4.5  # angstrom on both sides in directions that are not periodic
SMEARING = 0.136  # width of the Marzari-Vanderbilt occupations, eV (0.01 Ry)
# per valence electron: change of density in electrons, residual in eV^2, change of energy in eV
CONVERGENCE = {"density": 1e-3, "eigenstates": 1e-4, "energy": 1e-3}
SLOW_MIXER = {"method": "separate", "beta": 0.03, "backend": "pulay", "nmaxold": 5, "weight": 100.0}


def cutoff_energy(atoms: Atoms) -> float:
    """Return the plane-wave cutoff in eV."""
    return float(atoms.info.get("cutoff", max(CUTOFFS.get(s, DEFAULT_CUTOFF) for s in atoms.symbols)))


def mesh_spacing(atoms: Atoms) -> float:
    """Return the distance between k points in 1/A.

    The density of states of a small cell needs the finer mesh; rattled and random structures have no point
    symmetry, all their k points are to be computed and a coarser mesh is a compromise.
    """
    if len(atoms) <= 2:
        return 0.23 if atoms.info["subset"] in ("rattled", "random") else 0.17
    return 0.26 if len(atoms) <= 4 else 0.30


def kpoint_mesh(atoms: Atoms) -> list[int]:
    """Return the Gamma-centred mesh, with one point in directions that are not periodic."""
    spacing = mesh_spacing(atoms) / float(atoms.info.get("k_scale", 1.0))
    mesh = [1, 1, 1]
    for i in np.flatnonzero(atoms.pbc):
        # a mesh up to 0.15 points too coarse is accepted before another point is added
        length = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal()[i])
        mesh[i] = max(1, int(np.ceil(length / spacing - 0.15)))
    return mesh


def boxed(atoms: Atoms) -> Atoms:
    """Return a periodic copy with vacuum in the directions that were not periodic."""
    copy = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    for axis in range(3):
        if not atoms.pbc[axis]:
            copy.center(vacuum=VACUUM, axis=axis)
    copy.pbc = True
    return copy


@cache
def valence_electrons(symbol: str) -> int:
    """Count the valence electrons of an element's PAW set."""
    return SetupData(symbol, "PBEsol").Nv


def converged_bands(atoms: Atoms) -> int:
    """Estimate the number of bands that reach some 10 eV above the Fermi level.

    Empty free-electron states fill the volume, that of matter (at most 25 A^3 an atom where there is vacuum)
    more than that of vacuum; atoms with partly filled or low-lying empty d and f shells need more.
    """
    volume = boxed(atoms).get_volume()
    extra = 0.11 * volume
    if not atoms.pbc.all():
        extra = 0.11 * min(volume, 25.0 * len(atoms)) + 0.004 * volume
    shells = sum(21 <= z <= 29 or 39 <= z <= 47 or 57 <= z <= 79 for z in atoms.numbers)
    electrons = sum(valence_electrons(s) for s in atoms.symbols)
    return int(np.ceil(electrons / 2 * 1.08 + 3 + 3 * shells + extra))


def converged_calculator(atoms: Atoms, bands: int, k_points: np.ndarray | None = None) -> Calculator:
    """Run the boxed structure to self-consistency, if need be again with slow mixing; return GPAW.

    The k points are those of `kpoint_mesh`, or others in units of the reciprocal lattice.
    """
    structure = boxed(atoms)
    for attempt in ({"maxiter": 60}, {"maxiter": 120, "mixer": SLOW_MIXER}):
        calculator = GPAW(
            mode=PW(cutoff_energy(atoms)),
            xc="PBEsol",
            kpts={"size": kpoint_mesh(atoms), "gamma": True} if k_points is None else k_points,
            nbands=bands + max(3, bands // 7),  # the highest bands of an iterative solver converge slowly
            spinpol=False,
            occupations={"name": "marzari-vanderbilt", "width": SMEARING},
            convergence={"bands": bands, **CONVERGENCE},
            txt=None,
            **attempt,
        )
        structure.calc = calculator
        try:
            structure.get_potential_energy()
            structure.get_forces()
        except TimeoutError:
            raise
        except Exception as exception:  # GPAW has no common class for what can go wrong in a calculation
            failure = exception
        else:
            return calculator
    raise failure


def band_gap(eigenvalues: np.ndarray, electrons: float) -> float:
    """Return the gap in eV, zero for metals and for odd numbers of electrons."""
    occupied = round(electrons / 2)
    if abs(electrons - 2 * occupied) > 1e-6 or occupied >= eigenvalues.shape[1]:
        return 0.0
    return max(0.0, float(eigenvalues[:, occupied].min() - eigenvalues[:, occupied - 1].max()))


def described(
    atoms: Atoms, calculator: Calculator, eigenvalues: np.ndarray, mesh: list[int], start: float
) -> dict[str, object]:
    """Return what `info` has of every calculation (units in the docstring of the module).

    :param eigenvalues: (k points, bands), eV, zero at the Fermi level.
    :param mesh: of k points.
    :param start: CPU time at which the calculation began, s.
    """
    if not np.isfinite(eigenvalues).all():
        raise ArithmeticError("not finite")
    electrons = float(calculator.get_number_of_electrons())
    return {
        "eigenvalues": np.round(eigenvalues, 4),
        "kpoints_grid": " ".join(str(n) for n in mesh),
        "efermi": round(float(calculator.get_fermi_level()), 5),
        "bandgap": round(band_gap(eigenvalues, electrons), 4),
        "n_electrons": electrons,
        "emax": round(float(eigenvalues[:, -1].min()), 4),
        "ecut": cutoff_energy(atoms),
        "cpu_s": round(time.process_time() - start, 2),
    }


def with_results(atoms: Atoms, calculator: Calculator, bands: int, mesh: list[int], start: float) -> Atoms:
    """Return a copy with energy, forces and eigenvalues; parameters as those of `described`."""
    weights = np.array(calculator.get_k_point_weights())
    eigenvalues = np.array([calculator.get_eigenvalues(kpt=k)[:bands] for k in range(len(weights))])
    forces = calculator.results["forces"]
    if not np.isfinite(forces).all():
        raise ArithmeticError("not finite")
    frame = atoms.copy()
    frame.info |= described(atoms, calculator, eigenvalues - float(calculator.get_fermi_level()), mesh, start)
    frame.info["kweights"] = np.round(2 * weights / weights.sum(), 9)
    if atoms.pbc.any():
        frame.info["k_points"] = np.round(calculator.get_ibz_k_points(), 8)
    energy = float(calculator.results["energy"])
    frame.calc = SinglePointCalculator(frame, energy=energy, forces=np.round(forces, 6))
    return frame


def labelled(atoms: Atoms) -> Atoms:
    """Return a copy with the results of its calculation (units in the docstring of the module)."""
    bands, start = converged_bands(atoms), time.process_time()
    frame = with_results(atoms, converged_calculator(atoms, bands), bands, kpoint_mesh(atoms), start)
    if not atoms.pbc.any():
        frame.cell = None
    return frame


def finished_ids(files: list[Path]) -> set[str]:
    """Return the ids in data files, and in the lists of failures beside them."""
    found = set()
    for file in files:
        if file.exists():
            found |= {str(frame.info["id"]) for frame in iread(file, ":")}
        failures = Path(f"{file}.failed")
        if failures.exists():
            found |= {line.split("\t")[0] for line in failures.read_text().splitlines()}
    return found


def stop(*_) -> None:
    """Stop the calculation in progress."""
    raise TimeoutError("time limit")


def append(frame: Atoms, output: Path) -> None:
    """Append a frame to a file, at once."""
    text = StringIO()
    write(text, frame, format="extxyz")
    with output.open("a") as file:
        file.write(text.getvalue())


def cut_incomplete_frame(file: Path) -> None:
    """Remove what an interrupted run has written of its last frame; refuse a file that is damaged elsewhere."""
    if not file.exists():
        return
    lines = file.read_bytes().splitlines(keepends=True)
    complete = 0
    while complete < len(lines):
        if not lines[complete].strip().isdigit():
            raise SystemExit(f"{file}, line {complete + 1}: expected a number of atoms; mend the file by hand")
        end = complete + int(lines[complete]) + 2
        if end > len(lines) or not lines[end - 1].endswith(b"\n"):
            break
        complete = end
    with file.open("r+b") as opened:
        opened.truncate(sum(map(len, lines[:complete])))


def compute(frames: list[Atoms], output: Path, timeout: int, label: Callable[[Atoms], Atoms]) -> None:
    """Label the frames and append them to the output; `timeout` in CPU seconds per frame."""
    signal.signal(signal.SIGPROF, stop)
    for atoms in frames:
        signal.setitimer(signal.ITIMER_PROF, timeout)
        try:
            frame = label(atoms)
        except Exception as exception:
            reason = f"{type(exception).__name__} {exception}".replace("\n", " ")[:200]
            with Path(f"{output}.failed").open("a") as file:
                file.write(f"{atoms.info['id']}\t{reason}\n")
            print(atoms.info["id"], "FAILED", reason, flush=True)
            continue
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        append(frame, output)
        shape = "x".join(str(n) for n in frame.info["eigenvalues"].shape)
        print(
            f"{atoms.info['id']:32s} {shape:>8s} gap {frame.info['bandgap']:6.3f} eV "
            f"emax {frame.info['emax']:5.1f} eV {frame.info['cpu_s']:6.1f} s",
            flush=True,
        )


def run(description: str, label: Callable[[Atoms], Atoms]) -> None:
    """Compute what is missing in the output, as the command line says.

    :param description: of the command.
    :param label: frame -> the same with results, among them `eigenvalues`, `bandgap`, `emax` and `cpu_s`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--setups", type=Path, required=True, help="folder of PAW sets written by paw.py")
    parser.add_argument("--part", default="0/1", help="i/n: every n-th frame, beginning with the i-th")
    parser.add_argument("--skip", type=Path, nargs="*", default=[], help="data files with frames to leave out")
    parser.add_argument("--timeout", type=int, default=300, help="CPU seconds per frame")
    args = parser.parse_args()
    if args.output.suffix != ".xyz":
        parser.error(f"expected an output that ends with .xyz, got {args.output}")
    setup_paths.insert(0, str(args.setups.resolve()))
    first, step = (int(word) for word in args.part.split("/"))
    frames = list(iread(args.input, ":"))[first::step]
    cut_incomplete_frame(args.output)
    finished = finished_ids([args.output, *args.skip])
    frames = [frame for frame in frames if str(frame.info["id"]) not in finished]
    print(len(frames), "frames to compute", flush=True)
    compute(frames, args.output, args.timeout, label)


if __name__ == "__main__":
    run(__doc__, labelled)
