"""One compressed extended XYZ file of data files, without the frames that `check.py` objects to.

    python pack.py data.xyz.xz FILE [FILE ...]

Eigenvalues are rounded to 1e-3 eV, or to 1e-4 eV where that would change the broadened density of states by
more than 1e-3 states/eV/atom anywhere (few k points: isolated levels). The largest change is printed.
"""

import argparse
import lzma
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from check import duplicates, problems, spectrum, trusted_energy

BROADENING = 0.3  # standard deviation of the Gaussian, eV
STEP = 0.05  # of the energy grid, eV
TOLERANCE = 1e-3  # states/eV/atom


def density_of_states(eigenvalues: np.ndarray, weights: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the broadened density of states on the grid (eV), in states/eV."""
    levels = eigenvalues.ravel()
    per_level = np.repeat(weights, eigenvalues.shape[1]) / (BROADENING * np.sqrt(2 * np.pi))
    parts = [
        np.exp(-0.5 * ((energies[:, None] - levels) / BROADENING) ** 2) @ per_level
        for energies in np.array_split(grid, 1 + len(grid) * len(levels) // 10**7)
    ]
    return np.concatenate(parts)


def rounded_eigenvalues(frame: Atoms) -> tuple[np.ndarray, float]:
    """Return the eigenvalues, rounded, and the largest change of the density of states in states/eV/atom."""
    eigenvalues, weights = spectrum(frame)
    grid = np.arange(eigenvalues.min() - 5 * BROADENING, trusted_energy(frame), STEP)
    exact = density_of_states(eigenvalues, weights, grid)
    for decimals in (3, 4):
        rounded = np.round(eigenvalues, decimals)
        change = np.abs(density_of_states(rounded, weights, grid) - exact).max() / len(frame)
        if change < TOLERANCE:
            break
    return rounded, float(change)


def packed(frame: Atoms) -> tuple[Atoms, float]:
    """Return a copy without digits that have no meaning, and the largest change of its density of states."""
    eigenvalues, change = rounded_eigenvalues(frame)
    copy = Atoms(frame.numbers, positions=np.round(frame.positions, 6), cell=np.round(frame.cell[:], 6), pbc=frame.pbc)
    weights = spectrum(frame)[1]
    copy.info = {**frame.info, "eigenvalues": eigenvalues, "kweights": np.round(weights, 8)}
    copy.calc = SinglePointCalculator(
        copy, energy=round(frame.get_potential_energy(), 5), forces=np.round(frame.get_forces(), 5)
    )
    return copy, change


def main() -> None:
    """Pack the good frames and say what was left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    args = parser.parse_args()
    frames = [frame for file in args.files for frame in read(file, ":")]
    twins = {second for _, second in duplicates(frames)}
    good = []
    for frame in frames:
        reasons = problems(frame) + (["duplicate"] if frame.info["id"] in twins else [])
        if reasons:
            print("left out", frame.info["id"], *reasons)
        else:
            good.append(packed(frame))
    with lzma.open(args.output, "wt", preset=9 | lzma.PRESET_EXTREME) as file:
        write(file, [frame for frame, _ in good], format="extxyz")
    size = args.output.stat().st_size / 1e6
    print(
        f"{len(good)} frames, {size:.2f} MB, "
        f"density of states to {max(change for _, change in good):.1e} states/eV/atom"
    )


if __name__ == "__main__":
    main()
