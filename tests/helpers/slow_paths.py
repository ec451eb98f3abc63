"""Bonds and paths by plain recursion, and batches of made-up structures with many of them."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from structures import to_batch

from electrain.architectures.tiny_net.network.bonds import BondRule, Bonds, find_bonds
from electrain.nn.cutoff import Cutoff

ELEMENTS = [1, 6, 8, 14]
LENGTHS = {(1, 1): 0.9, (1, 6): 1.4, (1, 8): 1.3, (1, 14): 1.9, (6, 6): 1.8, (6, 8): 1.7, (6, 14): 2.3, (8, 8): 1.6}
LENGTHS |= {(8, 14): 2.0, (14, 14): 2.8}
RADIUS = 3.0


def lengths() -> torch.Tensor:
    """The longest bond between each two elements."""
    table = [[LENGTHS[min(a, b), max(a, b)] for b in ELEMENTS] for a in ELEMENTS]
    return torch.tensor(table, dtype=torch.float64)


def structures() -> dict[str, Atoms]:
    """A molecule with a ring, crystals with cells shorter than bonds and with equal distances, a lone atom, a pair."""
    random = np.random.default_rng(0)
    silicon, ring = bulk("Si"), molecule("C6H6")
    for atoms in (silicon, ring):
        atoms.positions += 0.05 * random.normal(size=atoms.positions.shape)
    quartz = Atoms("SiO2", positions=[[0, 0, 0], [1.6, 0.1, 0], [0.2, 1.5, 0.2]], cell=[2.9, 2.8, 3.0], pbc=True)
    chain = Atoms("C", cell=[1.3, 0, 0], pbc=[True, False, False])
    pair = Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.2]])
    close_packed = bulk("C", "fcc", a=2.3)
    named = {"ring": ring, "silicon": silicon, "quartz": quartz, "chain": chain, "close-packed": close_packed}
    return {**named, "lone": Atoms("O"), "pair": pair}


def bonds_of(frames: list[Atoms], width: float = 0.0, hops: int = 6) -> tuple[Bonds, torch.Tensor]:
    """Bonds of structures, and the structure of each atom."""
    batch = to_batch(frames, RADIUS, ELEMENTS)
    rule = BondRule(lengths(), width)
    return find_bonds(batch, Cutoff(radius=RADIUS, width=1.0), rule, hops), batch.system_of_atom


def weight(length: float, longest: float, width: float) -> float:
    """That of a bond."""
    if length >= longest:
        return 0.0
    if width == 0.0 or length <= longest - width:
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (length - longest + width) / width))


def bonded(
    atoms: Atoms, width: float, longest: dict[tuple[int, int], float] = LENGTHS
) -> dict[int, list[tuple[int, tuple[int, ...], float]]]:
    """Neighbors of each atom, with the shift of the periodic image and the value of the bond."""
    found: dict[int, list[tuple[int, tuple[int, ...], float]]] = {i: [] for i in range(len(atoms))}
    for i, j, shift, length in zip(*neighbor_list("ijSd", atoms, max(longest.values())), strict=True):
        pair = sorted((int(atoms.numbers[i]), int(atoms.numbers[j])))
        value = weight(length, longest[pair[0], pair[1]], width) * math.exp(-length)
        if value > 0:
            found[int(i)].append((int(j), tuple(map(int, shift)), value))
    return found


def paths_of(
    atoms: Atoms,
    max_hops: int,
    *,
    simple: bool,
    width: float = 0.0,
    longest: dict[tuple[int, int], float] = LENGTHS,
) -> list[list[list[float]]]:
    """Values of all paths of each atom by their hops, from 2 on, descending; a path and its reverse are one."""
    neighbors = bonded(atoms, width, longest)

    def walk(sites: list, value: float) -> Iterator[tuple[tuple, float]]:
        atom, image = sites[-1]
        if len(sites) > 1 and (atom, image) == sites[0]:
            yield tuple(sites), value
            if simple:
                return
        elif simple and (atom, image) in sites[:-1]:
            return
        if len(sites) <= max_hops:
            for other, shift, bond in neighbors[atom]:
                site = (other, tuple(a + b for a, b in zip(image, shift, strict=True)))
                yield from walk([*sites, site], value * bond)

    table: list[list[list[float]]] = []
    for i in range(len(atoms)):
        different = {min(sites, sites[::-1]): value for sites, value in walk([(i, (0, 0, 0))], 1.0)}
        table.append(
            [
                sorted((value for sites, value in different.items() if len(sites) == hops + 1), reverse=True)
                for hops in range(2, max_hops + 1)
            ]
        )
    return table
