"""Structures that networks must handle, and their tensors."""

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from metatomic.torch import NeighborListOptions, System, systems_to_torch
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists

from electrain.nn.batch import Batch


def rattled(atoms: Atoms, seed: int = 0) -> Atoms:
    """A copy with displaced atoms, so that no two distances are equal."""
    copy = atoms.copy()
    copy.positions += 0.05 * np.random.default_rng(seed).normal(size=copy.positions.shape)
    return copy


def example_structures() -> dict[str, Atoms]:
    """Bulk, slab, molecule, isolated atom, one-atom cell (all smaller than the cutoff, too), far-apart pair."""
    slab = fcc111("Au", (1, 1, 3), vacuum=6.0)
    slab.pbc = [True, True, False]
    slab.cell[2] = 0.0
    quartz_like = bulk("SiO", "zincblende", a=3.2)
    return {
        "bulk": rattled(quartz_like * (2, 1, 1)),
        "one-atom cell": bulk("Au"),
        "slab": rattled(slab, 1),
        "molecule": rattled(molecule("CH3CH2OH"), 2),
        "isolated atom": Atoms("O", positions=[[0.0, 0.0, 0.0]]),
        "two molecules": rattled(Atoms("OHOH", positions=[[0, 0, 0], [0, 0, 1], [9, 0, 0], [9, 0, 1]]), 3),
    }


def to_system(atoms: Atoms, cutoff: float, dtype: torch.dtype = torch.float64) -> System:
    """A metatomic system with the neighbor list that the networks ask for."""
    options = NeighborListOptions(cutoff=cutoff, full_list=True, strict=False)
    return get_system_with_neighbor_lists(systems_to_torch([atoms], dtype=dtype)[0], [options])


def to_batch(structures: list[Atoms], cutoff: float, elements: list[int], seed: int | None = None) -> Batch:
    """Structures as a batch in float64; with a seed the pairs come in random order."""
    options = NeighborListOptions(cutoff=cutoff, full_list=True, strict=False)
    systems = [to_system(atoms, cutoff) for atoms in structures]
    pairs, start = [], 0
    for system in systems:
        samples = system.get_neighbor_list(options).samples.values.to(torch.int64)
        pairs.append(torch.cat([samples[:, :2] + start, samples[:, 2:]], dim=1))
        start += len(system)
    table = torch.cat(pairs)
    if seed is not None:
        table = table[torch.randperm(len(table), generator=torch.Generator().manual_seed(seed))]
    types = torch.cat([system.types for system in systems])
    return Batch(
        positions=torch.cat([system.positions for system in systems]),
        elements=torch.tensor([elements.index(int(z)) for z in types]),
        cells=torch.stack([system.cell for system in systems]),
        system_of_atom=torch.repeat_interleave(torch.arange(len(systems)), torch.tensor([len(s) for s in systems])),
        centers=table[:, 0],
        neighbors=table[:, 1],
        cell_shifts=table[:, 2:],
    )
