"""A diverse list of small structures in MAD's subsets: bulk, rattled, random, surface, cluster, molecule.

    python structures.py structures.xyz [--seed 1]

Every structure draws from a random generator seeded with its own id, so that adding a compound to
`compounds.py` changes no crystal made from another; the order of the file is random too, so that its first
part is a fair sample of the whole. Written in `info`:

id         unique
subset     bulk, rattled, random, surface, cluster or molecule
parent     crystal or molecule the structure derives from; its own id where there is none
prototype  crystal prototype or kind of molecule
split      train, validation or test, the same for everything that derives from one parent
k_scale    density of the k mesh relative to the standard one (1.2 in the test part)
"""

import argparse
import re
from collections import Counter
from pathlib import Path
from zlib import crc32

import numpy as np
from ase import Atoms
from ase.build import bulk, graphene, molecule, mx2, surface
from ase.collections import g2
from ase.data import atomic_numbers, chemical_symbols, covalent_radii, reference_states
from ase.io import write
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal
from compounds import COMPOUNDS, ELEMENTS, MOLECULES, SITES

VACUUM = 4.5  # angstrom on both sides of a slab

# Elementary solids that are no standard reference state of ASE: lattice and a in angstrom
OTHER_ELEMENTS = {"Mn": ("fcc", 3.53), "Ga": ("fcc", 4.24), "In": ("fcc", 4.68), "Hg": ("fcc", 4.70)}

# Sheets with the honeycomb net: a and buckling in angstrom
HONEYCOMBS = {
    "C2": (2.46, 0.0),
    "BN": (2.51, 0.0),
    "SiC": (3.09, 0.0),
    "AlN": (3.13, 0.0),
    "GaN": (3.25, 0.0),
    "ZnO": (3.28, 0.0),
    "Si2": (3.87, 0.45),
    "Ge2": (4.06, 0.69),
    "Sn2": (4.67, 0.85),
    "GaAs": (4.05, 0.6),
    "P2": (3.28, 1.24),
    "As2": (3.61, 1.40),
    "Sb2": (4.12, 1.65),
}

MILLER = [(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1), (1, 0, 1), (2, 1, 0)]

# Open 4f shells converge slowly without spin polarisation: kept in crystals and slabs only
OPEN_4F = set(chemical_symbols[58:71])

# Open-shell members of the G2 set that have an even number of electrons
TRIPLETS = ("O2", "S2", "Si2", "SO", "CH2_s3B1d", "NH")


def generator(seed: int, key: str) -> np.random.Generator:
    """Return random numbers that depend on the seed and on the structure's id alone."""
    return np.random.default_rng([seed, crc32(key.encode())])


def split_of(parent: str) -> str:
    """Return the part of the data that everything derived from a parent belongs to (80, 10 and 10 %)."""
    return {0: "test", 1: "validation"}.get(crc32(parent.encode()) % 10, "train")


def parent_of(atoms: Atoms) -> str:
    """Return the crystal a structure derives from: its reduced formula, metals first, whatever the prototype.

    The prefix keeps readers of extended XYZ from taking F for false and InF for infinity.
    """
    return "crystal-" + atoms.symbols.formula.reduce()[0].format("metal")


def frame(atoms: Atoms, key: str, subset: str, parent: str, prototype: str) -> Atoms:
    """Return a bare copy of the structure with the information that travels with it."""
    copy = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    split = split_of(parent)
    copy.info = {
        "id": key,
        "subset": subset,
        "parent": parent,
        "prototype": prototype,
        "split": split,
        "k_scale": 1.2 if split == "test" else 1.0,
    }
    return copy


def too_close(atoms: Atoms, fraction: float = 0.55) -> bool:
    """Check whether two atoms are closer than a fraction of the sum of their covalent radii."""
    radii = fraction * covalent_radii[atoms.numbers]
    return len(neighbor_list("i", atoms, list(radii))) > 0


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """Return a homogeneously deformed copy; `strain` is the 3 x 3 displacement gradient."""
    copy = atoms.copy()
    copy.set_cell(copy.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
    return copy


def rattled(atoms: Atoms, rng: np.random.Generator, amount: float = 0.2, strain: float = 0.02) -> Atoms | None:
    """Add Gaussian noise of `amount` covalent radii (MAD's rattling) to a randomly strained copy.

    Return `None` if two atoms come too close in 20 attempts.
    """
    for _ in range(20):
        copy = atoms.copy()
        if atoms.pbc.all():
            copy = strained(copy, rng.normal(0, strain, (3, 3)))
        sigma = amount * covalent_radii[copy.numbers][:, None]
        copy.positions += rng.normal(size=copy.positions.shape) * sigma
        if not too_close(copy):
            return copy
    return None


def from_prototype(name: str, prototype: str, a: float, c: float) -> Atoms:
    """Return the primitive cell of a compound; a and c in angstrom."""
    group, sites = SITES[prototype]
    species = re.findall("[A-Z][a-z]?", name)
    symbols = [s for s, positions in zip(species, sites, strict=True) for _ in positions]
    basis = [position for positions in sites for position in positions]
    gamma = 120 if 143 <= group <= 194 else 90
    return crystal(symbols, basis, spacegroup=group, cellpar=[a, a, c, 90, 90, gamma], primitive_cell=True)


def crystals() -> dict[str, tuple[Atoms, str]]:
    """Return all crystals by key (name and prototype), with their prototype."""
    found = {}
    for prototype, text in COMPOUNDS.items():
        cubic = SITES[prototype][0] >= 195
        words = text.split()
        step = 2 if cubic else 3
        for i in range(0, len(words), step):
            name, a, c = words[i], float(words[i + 1]), float(words[i + step - 1])
            found[f"{name}-{prototype}"] = from_prototype(name, prototype, a, c), prototype
    return found


def elementary_solids(seed: int) -> dict[str, tuple[Atoms, str]]:
    """Return every element in its reference structure and in one other, of the same volume per atom."""
    found = {}
    for symbol in ELEMENTS.split() + list(OTHER_ELEMENTS):
        if symbol in OTHER_ELEMENTS:
            lattice, a = OTHER_ELEMENTS[symbol]
            reference = bulk(symbol, lattice, a=a)
        else:
            lattice = reference_states[atomic_numbers[symbol]]["symmetry"]
            reference = bulk(symbol)
        found[f"{symbol}-{lattice}"] = reference, lattice
        rng = generator(seed, symbol)
        other = str(rng.choice([x for x in ("fcc", "bcc", "hcp", "sc") if x != lattice]))
        copy = bulk(symbol, other, a=3.0) if other != "hcp" else bulk(symbol, "hcp", a=3.0, c=4.9)
        volume = reference.get_volume() / len(reference) / (copy.get_volume() / len(copy))
        found[f"{symbol}-{other}"] = strained(copy, np.eye(3) * (volume ** (1 / 3) - 1)), other
    return found


def bulk_frames(solids: dict, seed: int) -> list[Atoms]:
    """Take crystals near equilibrium (-0) and, fewer, compressed or stretched and axially strained (-1)."""
    frames = []
    for name, (atoms, prototype) in solids.items():
        rng = generator(seed, f"bulk-{name}")
        isotropic = np.eye(3) * rng.uniform(-0.01, 0.01)
        axial = np.diag([0, 0, rng.normal(0, 0.03)])  # along z: keeps most of the point group
        large = np.eye(3) * rng.choice([-1, 1]) * rng.uniform(0.015, 0.05) + axial
        for copy, (probability, strain) in enumerate([(0.55, isotropic), (0.25, large)]):
            if rng.random() < probability:
                key = f"bulk-{name}-{copy}"
                frames.append(frame(strained(atoms, strain), key, "bulk", parent_of(atoms), prototype))
    return frames


def rattled_frames(solids: dict, seed: int) -> list[Atoms]:
    """Rattle and strain part of the crystals, fewer of the larger (costlier) ones."""
    frames = []
    for name, (atoms, prototype) in solids.items():
        key = f"rattled-{name}-0"
        rng = generator(seed, key)
        cell = atoms if len(atoms) > 1 else atoms * (2, 1, 1)
        if rng.random() > (0.3 if len(cell) <= 4 else 0.1):
            continue
        copy = rattled(cell, rng)
        if copy is not None and not OPEN_4F & set(copy.symbols):
            frames.append(frame(copy, key, "rattled", parent_of(atoms), prototype))
    return frames


def random_frames(solids: dict, seed: int, count: int) -> list[Atoms]:
    """Replace all atoms of small crystals by random elements and scale the cell to the covalent volume."""
    small = sorted(name for name, (atoms, _) in solids.items() if len(atoms) <= 5)
    pool = sorted({s for atoms, _ in solids.values() for s in atoms.symbols})
    frames = []
    for i in range(count):
        key = f"random-{i:04d}"
        rng = generator(seed, key)
        atoms, prototype = solids[small[rng.integers(len(small))]]
        atoms = atoms if len(atoms) > 1 else atoms * (2, 1, 1)
        copy = atoms.copy()
        copy.symbols = [str(s) for s in rng.choice(pool, len(atoms))]
        volumes = [(covalent_radii[x.numbers] ** 3).sum() for x in (copy, atoms)]
        scale = (volumes[0] / volumes[1]) ** (1 / 3) * rng.uniform(0.97, 1.05)
        copy = rattled(strained(copy, np.eye(3) * (scale - 1)), rng, 0.1)
        if copy is not None and not OPEN_4F & set(copy.symbols):
            frames.append(frame(copy, key, "random", key, prototype))
    return frames


def slab_frames(solids: dict, seed: int) -> list[Atoms]:
    """Cut slabs of low Miller indices (of the primitive cell); rattle half of them a little."""
    frames = []
    for name, (atoms, prototype) in solids.items():
        if len(atoms) > 5:
            continue
        key = f"surface-{name}-0"
        rng = generator(seed, key)
        if rng.random() > (0.35 if len(atoms) == 1 else 0.12):
            continue
        miller = MILLER[rng.integers(len(MILLER))]
        layers = {1: int(rng.integers(2, 5)), 2: int(rng.integers(2, 4))}.get(len(atoms), 1)
        slab = surface(atoms, miller, layers, vacuum=VACUUM)
        slab.pbc = [True, True, False]
        if rng.random() < 0.5:
            slab = rattled(slab, rng, 0.08)
        if slab is not None and not too_close(slab):
            frames.append(frame(slab, key, "surface", parent_of(atoms), prototype))
    return frames


def sheet_frames(seed: int) -> list[Atoms]:
    """Build single layers: honeycomb nets and trigonal MX2."""
    sheets = {}
    for name, (a, buckling) in HONEYCOMBS.items():
        sheets[f"surface-{name}-honeycomb"] = graphene(name, a=a, thickness=buckling), "honeycomb"
    for prototype, kind, fraction in (("CdI2", "1T", 0.5), ("molybdenite", "2H", 0.258)):
        words = COMPOUNDS[prototype].split()
        for name, a, c in zip(words[::3], words[1::3], words[2::3], strict=True):
            layer = mx2(name, kind=kind, a=float(a), thickness=fraction * float(c))
            sheets[f"surface-{name}-{kind}"] = layer, f"{kind} layer"
    frames = []
    for key, (atoms, prototype) in sheets.items():
        rng = generator(seed, key)
        atoms.set_cell(atoms.cell[:] * rng.uniform(0.98, 1.02), scale_atoms=False)
        atoms.center(vacuum=VACUUM, axis=2)
        atoms.pbc = [True, True, False]
        frames.append(frame(atoms, key, "surface", parent_of(atoms), prototype))
    return frames


def grown_cluster(symbols: list[str], rng: np.random.Generator) -> Atoms:
    """Grow a cluster atom by atom, each at about one bond length from an atom that is there already."""
    radii = [covalent_radii[atomic_numbers[s]] for s in symbols]
    positions = [np.zeros(3)]
    while len(positions) < len(symbols):
        k, j = len(positions), rng.integers(len(positions))
        direction = rng.normal(size=3)
        length = (radii[j] + radii[k]) * rng.uniform(0.95, 1.15)
        trial = positions[j] + direction / np.linalg.norm(direction) * length
        if all(np.linalg.norm(trial - p) > 0.9 * (radii[m] + radii[k]) for m, p in enumerate(positions)):
            positions.append(trial)
    return Atoms(symbols, positions=positions)


def cut_cluster(atoms: Atoms, size: int, rng: np.random.Generator) -> Atoms:
    """Take the `size` atoms nearest to a random point in a crystal."""
    many = atoms.repeat(5)
    centre = (np.full(3, 2) + rng.random(3)) @ atoms.cell[:]
    nearest = np.argsort(np.linalg.norm(many.positions - centre, axis=1))[:size]
    return Atoms(many.numbers[nearest], positions=many.positions[nearest])


def cluster_frames(solids: dict, seed: int, count: int) -> list[Atoms]:
    """Make clusters of 2 to 6 atoms, electrons even: cut from crystals, elementary, or mixed."""
    names = sorted(solids)
    pool = sorted({s for atoms, _ in solids.values() for s in atoms.symbols})
    frames = []
    for i in range(count):
        key = f"cluster-{i:04d}"
        rng = generator(seed, key)
        while True:
            size = int(rng.integers(2, 7))
            if i % 3 == 0:
                source = solids[names[rng.integers(len(names))]][0]
                atoms, parent, kind = cut_cluster(source, size, rng), parent_of(source), "cut"
            elif i % 3 == 1:
                symbol = str(rng.choice(pool))
                atoms, parent, kind = grown_cluster([symbol] * size, rng), f"crystal-{symbol}", "elementary"
            else:
                symbols = [str(s) for s in rng.choice(pool, size)]
                atoms, parent, kind = grown_cluster(symbols, rng), key, "mixed"
            if atoms.numbers.sum() % 2 == 0 and not too_close(atoms):
                break
        if not OPEN_4F & set(atoms.symbols):
            frames.append(frame(atoms, key, "cluster", parent, kind))
    return frames


def ligand_directions(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return unit vectors (count, 3) from a central atom to its ligands."""
    if count <= 3:
        # lone pairs bend the molecule: a random height of the central atom above the ligands
        height = rng.uniform(0.0, 0.5) if count > 1 else 0.0
        angles = 2 * np.pi * np.arange(count) / count
        ring = np.sqrt(1 - height**2)
        return np.stack([ring * np.cos(angles), ring * np.sin(angles), np.full(count, -height)], axis=1)
    if count == 4:
        return np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) / np.sqrt(3)
    angles = 2 * np.pi * np.arange(count - 2) / (count - 2)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(count - 2)], axis=1)
    return np.concatenate([ring, [(0, 0, 1), (0, 0, -1)]])


def axn_molecule(name: str, rng: np.random.Generator) -> Atoms:
    """Build a molecule AXn with bonds of the sum of the covalent radii."""
    central, ligand, count = re.fullmatch("([A-Z][a-z]?)([A-Z][a-z]?)([0-9]?)", name).groups()
    radii = covalent_radii[[atomic_numbers[central], atomic_numbers[ligand]]]
    directions = ligand_directions(int(count or 1), rng)
    return Atoms([central] + [ligand] * len(directions), [(0, 0, 0), *(directions * 0.97 * radii.sum())])


def molecule_frames(seed: int) -> list[Atoms]:
    """Distort closed-shell molecules: ASE's G2 set up to eight atoms, and AXn."""
    sources = {
        name: ("G2", lambda _, name=name: molecule(name))
        for name in g2.names
        if 2 <= len(molecule(name)) <= 8 and name not in TRIPLETS
    }
    sources |= {name: ("AXn", lambda rng, name=name: axn_molecule(name, rng)) for name in MOLECULES.split()}
    frames = []
    for name, (kind, make) in sources.items():
        for copy, amount in enumerate((0.05, 0.12)):
            key = f"molecule-{name}-{copy}"
            rng = generator(seed, key)
            atoms = make(rng)
            if atoms.numbers.sum() % 2 or (copy == 1 and kind == "AXn" and rng.random() < 0.7):
                continue
            atoms = rattled(atoms, rng, amount)
            if atoms is not None:
                frames.append(frame(atoms, key, "molecule", f"molecule-{name}", kind))
    return frames


def main() -> None:
    """Write the list and print what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", type=int, default=170, help="random compositions to draw")
    parser.add_argument("--clusters", type=int, default=270, help="clusters to draw")
    args = parser.parse_args()
    elements = elementary_solids(args.seed)
    solids = elements | crystals()
    frames = bulk_frames(solids, args.seed) + rattled_frames(solids, args.seed)
    frames += random_frames(solids, args.seed, args.random) + slab_frames(solids, args.seed)
    frames += sheet_frames(args.seed) + cluster_frames(solids, args.seed, args.clusters) + molecule_frames(args.seed)
    frames = [f for f in frames if not too_close(f)]
    assert len({f.info["id"] for f in frames}) == len(frames)
    frames.sort(key=lambda f: crc32(f.info["id"].encode()))
    write(args.output, frames, format="extxyz")
    numbers = sorted({int(z) for f in frames for z in f.numbers})
    print(len(frames), "structures", dict(Counter(f.info["subset"] for f in frames)))
    print(dict(Counter(f.info["split"] for f in frames)))
    print(len(numbers), "elements", *(chemical_symbols[z] for z in numbers))


if __name__ == "__main__":
    main()
