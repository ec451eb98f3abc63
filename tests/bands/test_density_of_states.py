"""Bands on a mesh have the density of states that they should have; a path has another one."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from model_bands import FREE_ELECTRON, cubic_band, free_electrons, mesh, silicon

from electrain.bands import KPath, unique_points
from electrain.spectra import EnergyGrid, density_of_states, fermi_level

SMEARING = 0.3


def dos(energies, grid, weights=None):
    count = len(energies)
    weights = torch.full((count,), 2.0 / count, dtype=torch.float64) if weights is None else weights
    return density_of_states(torch.from_numpy(energies), weights, grid, SMEARING).numpy()


def test_free_electrons():
    r"""States below E: V (E / FREE_ELECTRON)^(3/2) / 3 pi^2; broadened and integrated, within 1 % from 8 to 20 eV."""
    atoms = bulk("Al")
    grid = EnergyGrid(-3.0, 0.02, 1400)
    energies = free_electrons(atoms, mesh(14), 6)
    found = np.cumsum(dos(energies, grid)) * grid.step
    axis = grid.energies().numpy()
    exact = atoms.cell.volume / (3 * np.pi**2) * (np.clip(axis, 0, None) / FREE_ELECTRON) ** 1.5
    kernel = np.exp(-0.5 * (np.arange(-100, 101) * grid.step / SMEARING) ** 2)
    exact = np.convolve(exact, kernel / kernel.sum(), mode="same")
    inside = (axis > 8) & (axis < 20)
    np.testing.assert_allclose(found[inside], exact[inside], rtol=0.01)
    # Three electrons of aluminium reach the energy of a free electron gas.
    exact_level = FREE_ELECTRON * (3 * np.pi**2 * 3 / atoms.cell.volume) ** (2 / 3)
    level = fermi_level(torch.from_numpy(dos(energies, grid)), grid, 3.0)
    assert float(level) == pytest.approx(exact_level, abs=0.1)


def test_moments_of_a_cubic_band():
    """Two states, mean 0, and mean square 6 t^2 + sigma^2, exactly on any mesh of more than two points."""
    grid = EnergyGrid(-10.0, 0.02, 1001)
    values = dos(cubic_band(mesh(7)), grid)
    axis = grid.energies().numpy()
    moments = [(values * axis**order).sum() * grid.step for order in (0, 1, 2)]
    np.testing.assert_allclose(moments, [2.0, 0.0, 2 * (6.0 + SMEARING**2)], atol=1e-9)


def test_unique_points_have_the_same_density_of_states():
    points = mesh(6)
    unique, inverse = unique_points(points)
    assert len(unique) == (6**3 + 8) // 2
    weights = torch.bincount(torch.from_numpy(inverse)).double() * 2.0 / len(points)
    grid = EnergyGrid(-15.0, 0.05, 600)
    np.testing.assert_allclose(dos(silicon(unique), grid, weights), dos(silicon(points), grid), atol=1e-9)


def test_a_path_is_no_mesh():
    """One line of the cubic band: a mean square of 2 t^2 around the energy of the other two directions."""
    line = KPath(Atoms("Po", cell=[3.3] * 3, pbc=True), np.linspace([0, 0, 0], [1, 0, 0], 41)[:-1], ((0, "Γ"),))
    grid = EnergyGrid(-10.0, 0.02, 1001)
    axis = grid.energies().numpy()
    values = dos(cubic_band(line.k_points), grid)
    mean = (values * axis).sum() * grid.step / 2
    assert mean == pytest.approx(-4.0)
    assert ((values * (axis - mean) ** 2).sum() * grid.step / 2) == pytest.approx(2.0 + SMEARING**2)
