"""Structures to time: crystals, a molecule, and a batch of small structures as varied as those of the MAD dataset."""

import numpy as np
from ase import Atoms
from ase.build import add_vacuum, bulk, fcc111, graphene, molecule, mx2, surface
from ase.cluster import Octahedron

ELEMENTS = [
    1,
    3,
    6,
    7,
    8,
    9,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
    19,
    20,
    22,
    26,
    28,
    29,
    30,
    31,
    32,
    33,
    42,
    47,
    50,
    55,
    56,
    79,
    82,
]


def rattled(atoms: Atoms, seed: int = 0, width: float = 0.05) -> Atoms:
    """A copy with positions moved at random, by a standard deviation of ``width`` (A)."""
    copy = atoms.copy()
    copy.positions += width * np.random.default_rng(seed).normal(size=copy.positions.shape)
    return copy


def silicon(repeats: int) -> Atoms:
    """A cubic crystal of 8 repeats^3 atoms, 28 neighbors each within 4.5 A."""
    return rattled(bulk("Si", cubic=True) * repeats)


def rock_salt(repeats: tuple[int, int, int]) -> Atoms:
    """MgO: 4 atoms per cell, 56 neighbors each within 4.5 A."""
    return rattled(bulk("MgO", "rocksalt", a=4.21, cubic=True) * repeats)


def copper(repeats: int) -> Atoms:
    """A crystal of 4 repeats^3 atoms, 42 neighbors each within 4.5 A."""
    return rattled(bulk("Cu", cubic=True) * repeats)


def gallium_arsenide(num_atoms: int) -> Atoms:
    """A crystal cut to about ``num_atoms`` atoms, 28 neighbors each within 4.5 A."""
    edge = max(1, round((num_atoms / 8) ** (1 / 3)))
    layers = max(1, round(num_atoms / (8 * edge**2)))
    return rattled(bulk("GaAs", "zincblende", a=5.65, cubic=True) * (edge, edge, layers))


def uneven() -> Atoms:
    """A gold slab in contact with water: from 3 to 42 neighbors within 4.5 A."""
    slab = fcc111("Au", (3, 3, 4), vacuum=9.0)
    top = slab.positions[:, 2].max()
    for x in range(3):
        for y in range(2):
            water = molecule("H2O")
            water.rotate(40 * x + 70 * y, "x")
            water.translate([3.0 * x + 1.0, 3.6 * y + 1.0, top + 3.2 + 0.4 * x])
            slab += water
    slab.pbc = True
    return rattled(slab)


def mixed_batch(size: int = 16) -> list[Atoms]:
    """Crystals, random crystals, slabs, layers, clusters and molecules: 1 to 54 atoms, 2 to 78 neighbors each.

    The kinds come in turn, so that any number of structures is as varied.
    """
    rutile = Atoms("Ti2O4", scaled_positions=[[0, 0, 0], [0.5] * 3, [0.305, 0.305, 0], [0.695, 0.695, 0],
                                              [0.195, 0.805, 0.5], [0.805, 0.195, 0.5]],
                   cell=[4.594, 4.594, 2.959], pbc=True)  # fmt: skip
    quartz_like = bulk("SiO", "zincblende", a=4.9, cubic=True)
    shuffled = bulk("NiAl", "cesiumchloride", a=2.9) * (2, 2, 2)
    shuffled.numbers = np.random.default_rng(1).choice(ELEMENTS, len(shuffled))
    slab = surface(bulk("NaCl", "rocksalt", a=5.64), (1, 0, 0), 3) * (2, 1, 1)
    add_vacuum(slab, 10.0)
    layer = graphene("C2", a=2.46, vacuum=8.0) * (3, 3, 1)
    sulfide = mx2("MoS2", vacuum=8.0) * (2, 2, 1)
    perovskite = Atoms("BaTiO3", scaled_positions=[[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
                       cell=[4.0] * 3, pbc=True) * (2, 1, 1)  # fmt: skip
    crystal_of_molecules = molecule("C6H6")
    crystal_of_molecules.cell, crystal_of_molecules.pbc = [6.0, 6.6, 4.2], True
    kinds = [
        bulk("Cu"),
        molecule("C6H6"),
        rutile,
        Octahedron("Ag", 3, 1),
        quartz_like,
        crystal_of_molecules * (1, 1, 2),
        shuffled,
        molecule("isobutane"),
        perovskite,
        slab,
        layer,
        molecule("CH3CH2OH"),
        bulk("GaAs", "zincblende", a=5.65) * (2, 2, 2),
        sulfide,
        molecule("bicyclobutane"),
        bulk("Pb", cubic=True) * (2, 1, 1),
    ]
    return [rattled(kinds[index % len(kinds)], index) for index in range(size)]
