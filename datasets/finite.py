"""Small molecules and clusters: the structures on which a model errs most, and cheap ones.

    python finite.py finite.xyz [--seed 1] [--count 2000]

Molecules are those of `structures.py` with elements replaced by others that behave alike, and distorted; clusters are
grown atom by atom or cut from crystals. None of the compounds that are held out is drawn. All have an even number of
electrons.

The keys in `info` are those of `structures.py`.
"""

import argparse
import re
from collections import Counter
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.io import write
from assemble import held_out, part_of
from compounds import MOLECULES
from structures import (
    OPEN_4F,
    TRIPLETS,
    axn_molecule,
    crystals,
    cut_cluster,
    frame,
    generator,
    grown_cluster,
    parent_of,
    rattled,
)
from substitutions import POOL, relatives

LIGHT = ["H", "C", "N", "O", "F", "Cl", "S"]  # half of the atoms of mixed clusters, so that many are molecules
NOBLE = {"He", "Ne", "Ar", "Kr", "Xe", "Rn"}  # they bind to nothing


def substituted_axn(rng: np.random.Generator) -> Atoms:
    """Draw a molecule AXn with the center, the ligands or both replaced."""
    names = MOLECULES.split()
    center, ligand, count = re.fullmatch("([A-Z][a-z]?)([A-Z][a-z]?)([0-9]?)", names[rng.integers(len(names))]).groups()
    which = rng.integers(3)
    center = relatives(center, rng) if which != 0 else center
    ligand = relatives(ligand, rng) if which != 1 else ligand
    return axn_molecule(f"{center}{ligand}{count}", rng)


def substituted_g2(rng: np.random.Generator) -> Atoms:
    """Draw a molecule of ASE's G2 set with one element replaced, scaled to the bonds of the new one."""
    names = [name for name in g2.names if 2 <= len(molecule(name)) <= 7 and name not in TRIPLETS]
    atoms = molecule(names[rng.integers(len(names))])
    before = covalent_radii[atoms.numbers].sum()
    symbols = sorted(set(atoms.symbols))
    old = symbols[rng.integers(len(symbols))]
    atoms.numbers[atoms.numbers == atomic_numbers[old]] = atomic_numbers[relatives(old, rng)]
    atoms.positions *= covalent_radii[atoms.numbers].sum() / before
    return atoms


def cluster(solids: dict[str, tuple[Atoms, str]], rng: np.random.Generator) -> Atoms:
    """Grow a cluster of two to five atoms of one, two or many elements, or cut it from a crystal."""
    size = int(rng.integers(2, 6))
    kind = rng.integers(4)
    pool = sorted(set(POOL) - NOBLE)
    if kind == 0:
        names = sorted(solids)
        return cut_cluster(solids[names[rng.integers(len(names))]][0], size, rng)
    if kind == 1:
        symbols = [str(rng.choice(pool))] * size
    elif kind == 2:
        symbols = [str(s) for s in rng.choice(sorted(rng.choice(pool, 2)), size)]
    else:
        symbols = [str(rng.choice(LIGHT if rng.random() < 0.5 else pool)) for _ in range(size)]
    return grown_cluster(symbols, rng)


def drawn(index: int, solids: dict[str, tuple[Atoms, str]], seed: int) -> Atoms | None:
    """Draw one structure; `None` if it is not for training, too dense, or has an odd number of electrons."""
    subset = "molecule" if index % 2 else "cluster"
    key = f"finite-{seed}-{index:05d}"
    rng = generator(seed, key)
    if subset == "cluster":
        atoms = cluster(solids, rng)
        amount = 0.05
    else:
        atoms = substituted_axn(rng) if rng.random() < 0.5 else substituted_g2(rng)
        amount = 0.08
    if atoms.numbers.sum() % 2 or OPEN_4F & set(atoms.symbols) or len(atoms) > 7:
        return None
    atoms = rattled(atoms, rng, amount)
    if atoms is None:
        return None
    atoms = frame(atoms, key, subset, parent_of(atoms), "drawn")
    if atoms.info["split"] != "train" or part_of(atoms, held_out()) != "train":
        return None
    return atoms


def main() -> None:
    """Write the list and print what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000, help="structures to draw; some are dropped")
    args = parser.parse_args()
    solids = crystals()
    frames = [f for i in range(args.count) if (f := drawn(i, solids, args.seed)) is not None]
    write(args.output, frames, format="extxyz")
    numbers = sorted({int(z) for f in frames for z in f.numbers})
    print(len(frames), "structures", dict(Counter(f.info["subset"] for f in frames)))
    print("atoms", dict(sorted(Counter(len(f) for f in frames).items())))
    print(len(numbers), "elements", *(chemical_symbols[z] for z in numbers))


if __name__ == "__main__":
    main()
