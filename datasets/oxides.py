"""Rattled and strained cells of BaTiO3 and MoO3, the two materials of the TinyNet paper.

    python oxides.py oxides.xyz [--seed 1] [--count 200]

Two unit cells of cubic BaTiO3 (10 atoms) and the unit cell of orthorhombic MoO3 (16 atoms), with experimental lattice
constants. Each has a random strain, and Gaussian noise on its positions of a width that is drawn anew for each. The
noise is not correlated between atoms, unlike vibrations: short bonds are strained more. `info` has what
`projections.py` needs.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from ase.spacegroup import crystal

STRAIN = 0.015  # standard deviation of each component
NOISE = {"BaTiO3": (0.02, 0.09), "MoO3": (0.01, 0.05)}  # A, between which its width is drawn; MoO3 is stiffer
CUTOFF = 400.0  # eV; forces differ from those at 600 eV by 5 to 7 %, local densities of states by 3 %
PARTS = ("train",) * 8 + ("validation", "test")


def barium_titanate() -> Atoms:
    """Return two cells of the cubic perovskite."""
    sites = [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, 0.5, 0.0)]
    return crystal(["Ba", "Ti", "O"], sites, spacegroup=221, cellpar=[4.0, 4.0, 4.0, 90, 90, 90]).repeat((2, 1, 1))


def molybdenum_trioxide() -> Atoms:
    """Return the cell of alpha-MoO3: layers, stacked along the first axis."""
    sites = [(0.1016, 0.25, 0.0867), (0.4351, 0.25, 0.4994), (0.0866, 0.25, 0.5212), (0.2214, 0.25, 0.0373)]
    return crystal(["Mo", "O", "O", "O"], sites, spacegroup=62, cellpar=[13.855, 3.6964, 3.9628, 90, 90, 90])


def varied(atoms: Atoms, name: str, number: int, rng: np.random.Generator) -> Atoms:
    """Return a strained and rattled copy."""
    frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    strain = rng.normal(0.0, STRAIN, (3, 3))
    frame.set_cell(frame.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    noise = rng.uniform(*NOISE[name])
    frame.positions += rng.normal(0.0, noise, frame.positions.shape)
    frame.info = {
        "id": f"{name}-{number:03d}",
        "subset": "rattled",
        "parent": f"compound-{name}",
        "split": PARTS[number % len(PARTS)],
        "noise": round(noise, 4),
        "cutoff": CUTOFF,
    }
    return frame


def main() -> None:
    """Write the structures, the two materials in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200, help="structures per material")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    materials = {"BaTiO3": barium_titanate(), "MoO3": molybdenum_trioxide()}
    frames = [varied(atoms, name, i, rng) for i in range(args.count) for name, atoms in materials.items()]
    write(args.output, frames, format="extxyz")
    print(len(frames), "structures")


if __name__ == "__main__":
    main()
