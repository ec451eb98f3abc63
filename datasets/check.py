"""Consistency of data files: counts, ranges, and frames that are not to be learned from.

    python check.py FILE [FILE ...]

The exit status is 1 if there is such a frame, a duplicate, or a parent in more than one part of the data.
"""

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import read
from scipy.special import erf

SMEARING = 0.136  # eV, as in the calculations
ELECTRON_TOLERANCE = 0.15  # electrons per cell
WEIGHT_TOLERANCE = 1e-4  # packed weights have eight decimals, of up to thousands of k points
FORCE_LIMIT = 100.0  # eV/A
TRUST_MARGIN = 0.9  # eV below the lowest value of the highest band: three widths of a broadening of 0.3 eV


def spectrum(frame: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues (k points, bands) in eV and weights (k points,), which sum to 2.

    Extended XYZ gives the weight of a single k point back as a number.
    """
    weights = np.atleast_1d(np.asarray(frame.info["kweights"], dtype=float))
    return np.asarray(frame.info["eigenvalues"], dtype=float).reshape(len(weights), -1), weights


def counted_electrons(frame: Atoms) -> float:
    """Count electrons with the Marzari-Vanderbilt occupations of the calculation.

    A partly filled level at the Fermi level, as in every open-shell molecule, would be miscounted by
    occupations of one and zero.
    """
    eigenvalues, weights = spectrum(frame)
    x = eigenvalues / SMEARING + 1 / np.sqrt(2)
    occupations = np.exp(-(x**2)) / np.sqrt(2 * np.pi) + 0.5 * (1 - erf(x))
    return float(weights @ occupations.sum(axis=1))


def trusted_energy(frame: Atoms) -> float:
    """Return the energy in eV below which the broadened density of states is complete."""
    return float(spectrum(frame)[0][:, -1].min()) - TRUST_MARGIN


def problems(frame: Atoms) -> list[str]:
    """Return the reasons why a frame is not to be learned from; empty for a good one."""
    eigenvalues, weights = spectrum(frame)
    forces = frame.get_forces()
    if not (np.isfinite(eigenvalues).all() and np.isfinite(forces).all()):
        return ["not finite"]
    found = []
    if abs(weights.sum() - 2) > WEIGHT_TOLERANCE:
        found.append(f"weights sum to {weights.sum():.6f}")
    excess = counted_electrons(frame) - frame.info["n_electrons"]
    if abs(excess) > ELECTRON_TOLERANCE:
        found.append(f"{excess:+.2f} electrons below the Fermi level")
    if trusted_energy(frame) < 0:
        found.append(f"density of states complete to {trusted_energy(frame):.2f} eV only")
    largest = np.linalg.norm(forces, axis=1).max()
    if largest > FORCE_LIMIT:
        found.append(f"force of {largest:.0f} eV/A")
    return found


def duplicates(frames: list[Atoms]) -> list[tuple[str, str]]:
    """Return pairs of ids that are equal or of the same formula, volume, energy and forces."""
    seen: dict = {}
    pairs = []
    for frame in frames:
        forces = np.sort(np.linalg.norm(frame.get_forces(), axis=1))
        volume = round(frame.get_volume(), 2) if frame.cell.rank == 3 else 0.0
        structure = (str(frame.symbols), volume, round(frame.get_potential_energy(), 3), *np.round(forces, 2))
        for key in (frame.info["id"], structure):
            if key in seen:
                pairs.append((seen[key], frame.info["id"]))
                break
            seen[key] = frame.info["id"]
    return pairs


def divided_parents(frames: list[Atoms]) -> list[str]:
    """Return parents whose frames are in more than one part of the data."""
    parts = defaultdict(set)
    for frame in frames:
        if "split" in frame.info:  # the frames made first are in no part
            parts[frame.info.get("parent", frame.info["id"])].add(frame.info["split"])
    return [parent for parent, splits in parts.items() if len(splits) > 1]


def print_summary(frames: list[Atoms]) -> None:
    """Print counts and the ranges of what is to be learned."""
    numbers = sorted({int(z) for frame in frames for z in frame.numbers})
    print(len(frames), "frames", dict(Counter(frame.info["subset"] for frame in frames)))
    print("parts", dict(Counter(frame.info.get("split") for frame in frames)))
    print("atoms per cell", dict(sorted(Counter(len(frame) for frame in frames).items())))
    print(len(numbers), "elements:", *(chemical_symbols[z] for z in numbers))
    quantities = {
        "lowest eigenvalue (eV)": [spectrum(frame)[0].min() for frame in frames],
        "complete up to (eV)": [trusted_energy(frame) for frame in frames],
        "gap (eV)": [frame.info["bandgap"] for frame in frames],
        "electrons, counted - true": [counted_electrons(f) - f.info["n_electrons"] for f in frames],
        "largest force (eV/A)": [np.linalg.norm(frame.get_forces(), axis=1).max() for frame in frames],
        "k points": [len(spectrum(frame)[1]) for frame in frames],
        # the frames made first do not have it
        "CPU time (s)": [frame.info["cpu_s"] for frame in frames if "cpu_s" in frame.info] or [np.nan],
    }
    print(f"{'':26s}{'min':>10s}{'5 %':>10s}{'median':>10s}{'95 %':>10s}{'max':>10s}")
    for name, values in quantities.items():
        print(f"{name:26s}" + "".join(f"{x:10.3f}" for x in np.percentile(values, [0, 5, 50, 95, 100])))


def main() -> None:
    """Print a summary and everything that is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="extended XYZ, may be compressed")
    frames = [frame for file in parser.parse_args().files for frame in read(file, ":")]
    print_summary(frames)
    wrong = [(frame.info["id"], reason) for frame in frames for reason in problems(frame)]
    wrong += [(second, f"the same as {first}") for first, second in duplicates(frames)]
    wrong += [(parent, "in more than one part") for parent in divided_parents(frames)]
    for key, reason in wrong:
        print(f"{key:32s} {reason}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
