"""Small new compounds, by substituting elements in known crystals: the cheapest structures to learn more from.

    python substitutions.py substitutions.xyz [--seed 1] [--count 4000]

Nearly all of them are in the training part: of the compounds whose hash says validation or test, none is drawn, so
those parts stay the real compounds of `structures.py`. Cells have up to five atoms and most keep the symmetry of the
prototype; the k mesh is coarser than the standard one (`k_scale` below 1), because several structures with a label
error of 0.1 eV^-1/2 teach more than one with half of it. README.md has the errors of these meshes.

Subsets: `substituted` (with the symmetry of the prototype), `rattled` (without) and `bulk` (elements in lattices that
`structures.py` did not draw). The keys in `info` are those of `structures.py`.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.io import write
from compounds import COMPOUNDS, SITES
from structures import OPEN_4F, crystals, frame, generator, parent_of, rattled, split_of, strained, too_close

PROTOTYPES = {
    "rocksalt": 5,
    "zincblende": 4,
    "cesiumchloride": 4,
    "WC": 1,
    "CuAu": 2,
    "fluorite": 3,
    "half-Heusler": 4,
    "AlB2": 1,
    "CdI2": 2,
    "Cu3Au": 2,
    "ReO3": 1,
    "Heusler": 2,
    "perovskite": 2,
    "wurtzite": 1,
    "NiAs": 1,
}  # and how often each is drawn

# Elements that replace each other: columns of the periodic table, and neighbours that behave alike
FAMILIES = """
Li Na K Rb Cs
Be Mg Ca Sr Ba Zn Cd Hg
B Al Ga In Tl Sc Y La Lu
C Si Ge Sn Pb Ti Zr Hf
N P As Sb Bi
O S Se Te
H F Cl Br I
Sc Ti V Cr Mn Fe Co Ni Cu Zn
Y Zr Nb Mo Ru Rh Pd Ag Cd
La Hf Ta W Re Os Ir Pt Au Hg
He Ne Ar Kr Xe Rn
Ce Pr Nd Sm Eu Gd Tb Dy Ho Er Tm Yb Lu La
"""
POOL = sorted(set(FAMILIES.split()) - OPEN_4F)
STRANGE = 0.25  # probability that an element is replaced by any other, not by one of its family
# Elements whose covalent radii say little about the volume of a simple lattice
NO_LATTICE = {"H", "He", "C", "N", "O", "F", "Ne", "Cl", "Ar", "Br", "Kr", "Xe", "Rn"}
MIN_VOLUME = 6.0  # A^3 per atom; in less, for example among hydrogen atoms alone, k meshes become enormous
LATTICES = {"fcc": 1, "bcc": 1, "sc": 1, "hcp": 2, "diamond": 2}  # and atoms in the cell


def relatives(symbol: str, rng: np.random.Generator) -> str:
    """Draw an element in place of another: mostly one of its family, sometimes any."""
    families = [line.split() for line in FAMILIES.split("\n") if symbol in line.split()]
    if not families or rng.random() < STRANGE:
        return str(rng.choice(POOL))
    return str(rng.choice(families[rng.integers(len(families))]))


def with_volume_of_radii(atoms: Atoms, model: Atoms, rng: np.random.Generator) -> Atoms:
    """Scale a cell from the volume of the crystal it was made from to that of its own covalent radii."""
    volumes = [(covalent_radii[x.numbers] ** 3).sum() for x in (atoms, model)]
    factor = (volumes[0] / volumes[1]) ** (1 / 3) * rng.uniform(0.96, 1.05)
    return strained(atoms, np.eye(3) * (factor - 1))


def substituted(index: int, solids: dict, seed: int) -> Atoms | None:
    """Draw one structure; `None` if it is not for training, or too dense."""
    key = f"substituted-{seed}-{index:05d}"
    rng = generator(seed, key)
    weights = np.array(list(PROTOTYPES.values()), float)
    prototype = str(rng.choice(list(PROTOTYPES), p=weights / weights.sum()))
    names = sorted(name for name, (_, kind) in solids.items() if kind == prototype)
    atoms = solids[names[rng.integers(len(names))]][0]
    copy = atoms.copy()
    for symbol in sorted(set(atoms.symbols)):
        if rng.random() < 0.75:
            copy.numbers[atoms.numbers == atomic_numbers[symbol]] = atomic_numbers[relatives(symbol, rng)]
    if OPEN_4F & set(copy.symbols) and rng.random() < 0.8:
        return None  # slow to converge
    copy = with_volume_of_radii(copy, atoms, rng)
    subset = "substituted"
    if len(copy) <= 3 and rng.random() < 0.2:
        subset, copy = "rattled", rattled(copy, rng, 0.1)
    if copy is None or too_close(copy) or copy.get_volume() < MIN_VOLUME * len(copy):
        return None
    if split_of(parent_of(copy)) != "train":
        return None
    return coarse(frame(copy, key, subset, parent_of(copy), prototype))


def elementary(seed: int) -> list[Atoms]:
    """Return every element in every simple lattice, compressed and stretched."""
    frames = []
    for symbol in sorted(set(FAMILIES.split()) - NO_LATTICE):
        for lattice, count in LATTICES.items():
            for copy in range(2):
                key = f"elementary-{seed}-{symbol}-{lattice}-{copy}"
                rng = generator(seed, key)
                c = {"c": 4.9} if lattice == "hcp" else {}
                atoms = bulk(symbol, lattice, a=3.0, **c)
                # close-packed solids of touching spheres fill 0.74 of space, diamond 0.34; metals are a little denser
                filled = {"fcc": 0.74, "hcp": 0.74, "bcc": 0.68, "sc": 0.52, "diamond": 0.34}[lattice]
                sphere = 4 / 3 * np.pi * covalent_radii[atomic_numbers[symbol]] ** 3
                target = count * sphere / filled * rng.uniform(0.9, 1.25)
                atoms = strained(atoms, np.eye(3) * ((target / atoms.get_volume()) ** (1 / 3) - 1))
                if split_of(parent_of(atoms)) == "train":
                    frames.append(coarse(frame(atoms, key, "bulk", parent_of(atoms), lattice)))
    return frames


def coarse(atoms: Atoms) -> Atoms:
    """Choose the coarser k mesh: 0.26 1/A for one or two atoms (0.35 if rattled), 0.35 above."""
    atoms.info["k_scale"] = 0.65 if len(atoms) <= 2 else 0.75
    return atoms


def main() -> None:
    """Write the list and print what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=4000, help="substitutions to draw; some are dropped")
    args = parser.parse_args()
    assert set(PROTOTYPES) <= set(COMPOUNDS) & set(SITES)
    solids = crystals()
    known = {parent_of(atoms) for atoms, _ in solids.values()}
    drawn = [substituted(i, solids, args.seed) for i in range(args.count)]
    frames = [f for f in drawn if f is not None and f.info["parent"] not in known] + elementary(args.seed)
    write(args.output, frames, format="extxyz")
    numbers = sorted({int(z) for f in frames for z in f.numbers})
    print(len(frames), "structures", dict(Counter(f.info["subset"] for f in frames)))
    print("atoms per cell", dict(sorted(Counter(len(f) for f in frames).items())))
    print(len(numbers), "elements", *(chemical_symbols[z] for z in numbers))


if __name__ == "__main__":
    main()
