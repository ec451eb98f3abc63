"""Structures to learn chemistry from before there is any calculation: all elements, most kinds of bonding, seeded.

    python pretraining/draw.py structures.xyz [--count 100000] [--seed 11]

Crystals with elements replaced, and strained; the same, rattled; slabs of them; random cells; clusters and molecules.
Everything is made by the recipes of `datasets/`, from other random numbers, and none of the compounds that are held out
there is drawn. In `info`: `id` and `subset`.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import surface
from ase.data import atomic_numbers, covalent_radii
from ase.io import write
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
from assemble import held_out, part_of
from finite import drawn as drawn_finite
from structures import MILLER, VACUUM, crystals, generator, rattled, strained, too_close
from substitutions import POOL, substituted

KINDS = ("crystal", "rattled", "slab", "random", "finite", "finite", "finite")
MAX_ATOMS = 16
MIN_VOLUME = 6.0  # A^3 per atom
IMAGES = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3)


def random_cell(rng: np.random.Generator) -> Atoms | None:
    """Put one to eight atoms of up to three elements at random into a random cell; `None` if there is no room."""
    size = int(rng.integers(1, 9))
    symbols = [str(s) for s in rng.choice(rng.choice(POOL, min(3, size), replace=False), size)]
    radii = covalent_radii[[atomic_numbers[s] for s in symbols]]
    cell = np.eye(3) + rng.normal(0, 0.2, (3, 3))
    # touching spheres fill about half of an amorphous solid
    volume = 4 / 3 * np.pi * (radii**3).sum() / 0.5 * rng.uniform(0.8, 1.6)
    cell *= (volume / abs(np.linalg.det(cell))) ** (1 / 3)
    placed = np.zeros((0, 3))
    for _ in range(200):
        position = rng.random(3)
        vectors = (placed - position)[:, None] + IMAGES
        distances = np.linalg.norm(vectors @ cell, axis=2).min(axis=1)
        if (distances > 0.7 * (radii[: len(placed)] + radii[len(placed)])).all():
            placed = np.vstack([placed, position])
        if len(placed) == size:
            return Atoms(symbols, scaled_positions=placed, cell=cell, pbc=True)
    return None


def slab(crystal: Atoms, rng: np.random.Generator) -> Atoms:
    """Cut a slab of one to four layers."""
    layers = int(rng.integers(1, 5 if len(crystal) <= 2 else 3))
    found = surface(crystal, MILLER[rng.integers(len(MILLER))], layers, vacuum=VACUUM)
    found.pbc = [True, True, False]
    return found


def crystal_of(index: int, solids: dict[str, tuple[Atoms, str]], seed: int) -> Atoms | None:
    """Draw a crystal with replaced elements in a strained cell."""
    atoms = substituted(index, solids, seed)
    if atoms is None:
        return None
    return strained(atoms, generator(seed, f"strain-{index}").normal(0, 0.02, (3, 3)))


def draw(index: int, solids: dict[str, tuple[Atoms, str]], seed: int) -> Atoms | None:
    """Draw one structure; `None` if this one is not physical, too large, or held out."""
    kind = KINDS[index % len(KINDS)]
    rng = generator(seed, f"{kind}-{index}")
    if kind == "finite":
        atoms = drawn_finite(index, solids, seed)
    elif kind == "random":
        atoms = random_cell(rng)
    else:
        atoms = crystal_of(index, solids, seed)
    if atoms is not None and kind == "slab":
        atoms = slab(atoms, rng)
    if atoms is not None and kind == "rattled":
        atoms = rattled(atoms * (2, 1, 1) if len(atoms) == 1 else atoms, rng, rng.uniform(0.05, 0.25), 0.03)
    if atoms is None or len(atoms) > MAX_ATOMS or too_close(atoms):
        return None
    if atoms.pbc.all() and atoms.get_volume() < MIN_VOLUME * len(atoms):
        return None
    atoms.info = {"id": f"{kind}-{seed}-{index:06d}", "subset": kind}
    return atoms if part_of(atoms, held_out()) == "train" else None


def drawn(count: int, seed: int) -> Iterator[Atoms]:
    """Draw this many structures."""
    solids, index = crystals(), 0
    with tqdm(total=count, unit="structures") as progress:
        while progress.n < count:
            atoms = draw(index, solids, seed)
            index += 1
            if atoms is not None:
                progress.update()
                yield atoms


def main() -> None:
    """Write the structures and print what is in the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    frames = list(drawn(args.count, args.seed))
    write(args.output, frames, format="extxyz")
    print(dict(Counter(f.info["subset"] for f in frames)))
    print("atoms", dict(sorted(Counter(len(f) for f in frames).items())))
    print(len({int(z) for f in frames for z in f.numbers}), "elements")


if __name__ == "__main__":
    main()
