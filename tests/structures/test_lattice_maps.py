"""k-points of one primitive cell are those of another: the same lengths, the same symmetry, the same bands."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from scipy.stats import special_ortho_group

from electrain.structures.lattice_maps import k_point_map
from electrain.structures.standard_cells import standard_cell

QUARTZ = Atoms(
    "Si3O6",
    scaled_positions=[
        [0.47, 0, 0], [0, 0.47, 2 / 3], [0.53, 0.53, 1 / 3],
        [0.41, 0.27, 0.119], [0.73, 0.14, 0.786], [0.86, 0.59, 0.452],
        [0.27, 0.41, 0.881], [0.14, 0.73, 0.214], [0.59, 0.86, 0.548],
    ],
    cell=[4.91, 4.91, 5.40, 90, 90, 120],
    pbc=True,
)  # fmt: skip
TRICLINIC = Atoms(
    "LiFO", scaled_positions=[[0, 0, 0], [0.3, 0.4, 0.1], [0.6, 0.1, 0.7]], cell=[3.1, 4.0, 5.2, 81, 75, 66], pbc=True
)
CRYSTALS = {
    "fcc": bulk("Cu"),
    "bcc": bulk("Fe"),
    "hcp": bulk("Mg"),
    "zincblende": bulk("GaAs", "zincblende", a=5.65),
    "wurtzite": bulk("ZnO", "wurtzite", a=3.25, c=5.2),
    "quartz": standard_cell(QUARTZ).atoms,  # exactly symmetric
    "triclinic": TRICLINIC,
}


def hopping_bands(atoms, k_points, cutoff=6.0):
    """Eigenvalues of a model with hoppings that depend on both elements and the distance, in whatever cell."""
    reach = np.ceil(cutoff * np.linalg.norm(atoms.cell.reciprocal()[:], axis=1)).astype(int) + 1
    shifts = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), axis=-1).reshape(-1, 3)
    vectors = (shifts @ atoms.cell[:])[:, None, None] + atoms.positions[None, None] - atoms.positions[None, :, None]
    distances = np.linalg.norm(vectors, axis=-1)
    charges = np.sqrt(atoms.numbers)
    hoppings = np.exp(-distances) * np.where(distances < cutoff, (cutoff - distances) ** 2, 0.0)
    hoppings *= charges[:, None] * charges[None]
    phases = np.exp(2j * np.pi * k_points @ shifts.T)
    return np.linalg.eigvalsh(np.einsum("kS,Sij->kij", phases, hoppings))


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("seed", [0, 1])
def test_bands_are_the_same(name, seed):
    """For a cell with other lattice vectors, rotated, shifted, and with its atoms in another order."""
    rng = np.random.default_rng(seed)
    matrix = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1]] if seed else [[0, 1, 0], [1, 0, 1], [0, 0, 1]])
    other = make_supercell(CRYSTALS[name], matrix)
    other = other[rng.permutation(len(other))]
    other.positions += rng.uniform(-1, 1, 3)
    rotation = special_ortho_group.rvs(3, random_state=seed)
    other.set_cell(other.cell[:] @ rotation, scale_atoms=True)
    standard = standard_cell(other).atoms
    k_points = rng.uniform(-0.5, 0.5, (20, 3))
    mapped = k_points @ k_point_map(other, standard)
    lengths = [
        np.linalg.norm(k @ one.cell.reciprocal()[:], axis=1) for k, one in ((k_points, other), (mapped, standard))
    ]
    np.testing.assert_allclose(*lengths, atol=1e-4)
    np.testing.assert_allclose(hopping_bands(other, k_points), hopping_bands(standard, mapped), atol=1e-4)


def test_cells_that_are_not_primitive():
    conventional = bulk("Cu", cubic=True)
    with pytest.raises(ValueError, match="expected a primitive cell, got one that holds 4 of 1 atoms"):
        k_point_map(conventional, standard_cell(conventional).atoms)


def test_another_crystal():
    with pytest.raises(ValueError, match="none of the primitive ones"):
        k_point_map(bulk("Cu"), bulk("Cu", a=3.7))
