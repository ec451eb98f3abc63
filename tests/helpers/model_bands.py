"""Bands that are known in closed form: free electrons, one s orbital, and silicon with sp3s* orbitals."""

import itertools

import numpy as np
from ase import Atoms, units
from ase.build import bulk

from electrain.bands import BandStructure, KPath

# hbar^2 / (2 m_e) in eV A^2, from other constants than those of the package: m_e c^2 and hbar c
FREE_ELECTRON = (units._hbar * units._c / units._e * 1e10) ** 2 / (2 * units._me * units._c**2 / units._e)


def mesh(size: int) -> np.ndarray:
    """K-points of a mesh with its center at Γ, shape ``(size^3, 3)``."""
    return np.array(list(itertools.product(np.arange(size) / size, repeat=3)))


def free_electrons(atoms: Atoms, k_points: np.ndarray, num_bands: int) -> np.ndarray:
    """``FREE_ELECTRON |k + G|^2``, in eV, shape ``(num_k, num_bands)``."""
    vectors = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    squares = ((2 * np.pi * (k_points[:, None] + vectors) @ atoms.cell.reciprocal()[:]) ** 2).sum(axis=-1)
    return FREE_ELECTRON * np.sort(squares, axis=1)[:, :num_bands]


def cubic_band(k_points: np.ndarray, hopping: float = 1.0) -> np.ndarray:
    """``-2 t (cos k_x + cos k_y + cos k_z)`` of an s orbital on a simple cubic lattice, shape ``(num_k, 1)``.

    Its mass at Γ is ``FREE_ELECTRON / (t a^2)``.
    """
    return -2 * hopping * np.cos(2 * np.pi * k_points).sum(axis=1, keepdims=True)


def silicon(k_points: np.ndarray, atoms: Atoms | None = None) -> np.ndarray:
    """Silicon in the model of Vogl, Hjalmarson and Dow (J. Phys. Chem. Solids 44, 365, 1983), shape ``(num_k, 10)``.

    Four bands are filled; the gap is indirect, 1.17 eV.
    """
    cell = (bulk("Si") if atoms is None else atoms).cell
    cartesian = 2 * np.pi * k_points @ cell.reciprocal()[:]
    length = abs(cell.volume * 4) ** (1 / 3)
    bonds = length / 4 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    phases = (
        np.exp(1j * cartesian @ bonds.T)
        @ np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]).T
        / 4
    )
    onsite = np.diag([-4.2, 1.715, 1.715, 1.715, 6.685])
    v_ss, v_xx, v_xy, v_sp, v_starp = -8.3, 1.715, 4.575, 5.7292, 5.3749
    energies = []
    for g0, g1, g2, g3 in phases:
        between = np.array(
            [
                [v_ss * g0, v_sp * g1, v_sp * g2, v_sp * g3, 0],
                [-v_sp * g1, v_xx * g0, v_xy * g3, v_xy * g2, -v_starp * g1],
                [-v_sp * g2, v_xy * g3, v_xx * g0, v_xy * g1, -v_starp * g2],
                [-v_sp * g3, v_xy * g2, v_xy * g1, v_xx * g0, -v_starp * g3],
                [0, v_starp * g1, v_starp * g2, v_starp * g3, 0],
            ]
        )
        energies.append(np.linalg.eigvalsh(np.block([[onsite, between], [between.conj().T, onsite]])))
    return np.array(energies)


def silicon_bands(path: KPath) -> BandStructure:
    """The same along a path."""
    energies = silicon(path.k_points, path.atoms)
    return BandStructure(path.atoms, path.k_points, energies[None], 0.5, path.labels, num_electrons=8.0)
