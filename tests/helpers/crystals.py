"""Crystals of all kinds, the same ones in other disguises, and their bands in a tight-binding model."""

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal
from scipy.spatial.transform import Rotation


def crystals() -> dict[str, Atoms]:
    """Of all crystal systems and centerings, with lattices that have more symmetry than the crystal, and without."""

    def of_group(group, cell, symbols, sites, **setting):
        return crystal(symbols, sites, spacegroup=group, cellpar=cell, **setting)

    scheelite = [(0, 0.25, 0.625), (0, 0.25, 0.125), (0.15, 0.008, 0.21)]
    return {
        "diamond": bulk("Si"),
        "bcc": bulk("Fe"),
        "simple cubic": bulk("Po", "sc", a=3.3),
        "hcp": bulk("Mg"),
        "rutile": of_group(136, [4.6, 4.6, 2.95, 90, 90, 90], ["Ti", "O"], [(0, 0, 0), (0.3, 0.3, 0)]),
        "cubic of low symmetry": of_group(200, [6] * 3 + [90] * 3, ["Na", "F"], [(0.1, 0.23, 0), (0, 0, 0)]),
        "quartz": of_group(152, [4.91, 4.91, 5.4, 90, 90, 120], ["Si", "O"], [(0.47, 0, 0), (0.41, 0.27, 0.12)]),
        "scheelite": of_group(88, [5.24, 5.24, 11.37, 90, 90, 90], ["Ca", "W", "O"], scheelite, setting=2),
        "rhombohedral": of_group(166, [4.38, 4.38, 30.5, 90, 90, 120], ["Bi", "Te"], [(0, 0, 0.4), (0, 0, 0.21)]),
        "monoclinic": of_group(14, [5.1, 5.2, 5.3, 90, 99, 90], ["Zr", "O"], [(0.1, 0.2, 0.3), (0.4, 0.35, 0.2)]),
        "centered": of_group(12, [12.2, 3.04, 5.8, 90, 103.8, 90], ["Ga", "O"], [(0.09, 0, 0.79), (0.16, 0, 0.11)]),
        "orthorhombic": of_group(43, [5, 7, 9, 90, 90, 90], ["Si"], [(0.1, 0.2, 0.3)]),
        "triclinic": Atoms(
            "SiO",
            positions=[[0, 0, 0], [1.0, 1.3, 1.1]],
            cell=[[3, 0.2, 0.1], [0.3, 4, 0.2], [0.5, 0.7, 5]],
            pbc=True,
        ),
        # with facets of its zone as thin as round-off
        "almost monoclinic": Atoms(
            "PtS2",
            scaled_positions=[[0.9934, 0.8856, 0.9933], [0.2633, 0.6013, 0.2778], [0.7024, 0.3413, 0.8116]],
            cell=[[3.511109, 0.073152, -0.011733], [-1.775424, 3.029814, 0.023559], [-0.138615, -0.033629, 5.183513]],
            pbc=True,
        ),
    }


def disguises(atoms: Atoms, seed: int = 0) -> Iterator[tuple[str, Atoms]]:
    """The same crystal: rotated, moved, with its atoms in another order, and in other cells."""
    random = np.random.default_rng(seed)
    rotated = atoms.copy()
    turn = Rotation.random(rng=random).as_matrix()
    rotated.set_cell(rotated.cell[:] @ turn.T, scale_atoms=False)
    rotated.positions = rotated.positions @ turn.T
    yield "rotated", rotated
    moved = atoms[random.permutation(len(atoms))]
    moved.positions += random.normal(size=3)
    moved.wrap()
    yield "moved, in another order", moved
    other = make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [0, -1, 1]])
    yield "in another cell", other[random.permutation(len(other))]
    yield "in a larger cell", make_supercell(rotated, [[2, 0, 0], [1, 1, 0], [0, 0, 1]])


def tight_binding(atoms: Atoms, k_points: np.ndarray) -> np.ndarray:
    """Energies of a model with one s orbital on each atom, whose hopping decays with the distance, in arbitrary units.

    Shape ``(num_k, num_atoms)``. A slow and obvious reference: they are the same for the same crystal and k-points.
    """
    shifts = np.array(np.meshgrid(*[range(-4, 5)] * 3, indexing="ij")).reshape(3, -1).T
    vectors = atoms.positions[None, :, None] + shifts @ atoms.cell[:] - atoms.positions[:, None, None]
    distances = np.linalg.norm(vectors, axis=-1)
    cutoff = 6.5
    hopping = np.where(distances < cutoff, -np.exp(-distances) * (1.0 - distances / cutoff) ** 2, 0.0)
    hopping *= np.sqrt(np.multiply.outer(atoms.numbers, atoms.numbers))[:, :, None]
    return np.array([np.linalg.eigvalsh(hopping @ np.exp(2j * np.pi * (shifts @ k))) for k in k_points])
