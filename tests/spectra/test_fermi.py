import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from spectra_references import gaussian

from electrain.spectra import EnergyGrid, count_electrons, density_of_states, fermi_level
from electrain.spectra.fermi import BOLTZMANN

GRID = EnergyGrid(-2.0, 0.25, 17)
NOISE = torch.rand(17, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.2


def slow_count(dos, grid, energy, temperature):
    """Adaptive quadrature of the piecewise linear DOS times the occupation, interval by interval."""
    energies = grid.energies().numpy()

    def integrand(e):
        occupation = 0.5 * (1.0 - math.tanh(0.5 * (e - energy) / (BOLTZMANN * temperature)))
        return np.interp(e, energies, dos.numpy()) * occupation

    total = 0.0
    for low, high in pairwise(energies):
        inside = [energy] if low < energy < high else None
        total += quad(integrand, low, high, points=inside, epsabs=1e-13, epsrel=1e-12)[0]
    return total


def band_structure(gap):
    """Return a smooth insulator: two bands around zero that hold two electrons each."""
    grid = EnergyGrid(-10.0, 0.05, 401)
    states = torch.cat([torch.linspace(-3, 0, 31), torch.linspace(gap, gap + 3, 31)]).double() - gap / 2
    weights = torch.full((31,), 2 / 31, dtype=torch.float64)
    return density_of_states(states.reshape(2, 31).T, weights, grid, 0.1), grid


@pytest.mark.parametrize("temperature", [100.0, 3000.0, 30000.0])
@pytest.mark.parametrize("energy", [-2.0, -0.6, 0.25, 1.99, 2.0])
def test_warm_count_matches_quadrature(energy, temperature):
    expected = slow_count(NOISE, GRID, energy, temperature)
    assert count_electrons(NOISE, GRID, energy, temperature) == pytest.approx(expected, abs=1e-9)


def test_cold_count_is_exact_and_continuous():
    grid = EnergyGrid(0.0, 1.0, 3)
    dos = torch.tensor([0.0, 2.0, 0.0])
    counts = [count_electrons(dos, grid, e) for e in (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 9.0)]
    assert counts == pytest.approx([0.0, 0.0, 0.25, 1.0, 1.75, 2.0, 2.0])
    for edge in (0.0, 1.0, 2.0):
        assert count_electrons(dos, grid, edge - 1e-9) == pytest.approx(
            count_electrons(dos, grid, edge + 1e-9), abs=1e-8
        )


def test_low_temperatures_tend_to_zero_temperature():
    for energy in (-1.3, 0.1, 1.7):
        cold = count_electrons(NOISE, GRID, energy)
        assert count_electrons(NOISE, GRID, energy, 1e-3) == pytest.approx(cold, abs=1e-12)
        assert count_electrons(NOISE, GRID, energy, 1.0) == pytest.approx(cold, abs=1e-7)


@pytest.mark.parametrize("temperature", [0.0, 1.0, 300.0, 5000.0])
@pytest.mark.parametrize("num_electrons", [0.3, 1.0, 2.0])
def test_the_level_holds_the_electrons(num_electrons, temperature):
    level = fermi_level(NOISE, GRID, num_electrons, temperature)
    assert count_electrons(NOISE, GRID, level, temperature) == pytest.approx(num_electrons, rel=1e-6)


def test_free_electron_like_band_has_the_known_level():
    # N(E) = E^2 / 2 for a DOS of E, so that the level of n electrons is sqrt(2 n).
    grid = EnergyGrid(0.0, 0.1, 51)
    assert fermi_level(grid.energies(), grid, 2.0) == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.0, 300.0])
def test_level_of_an_insulator_is_in_the_middle_of_its_gap(temperature):
    dos, grid = band_structure(gap=4.0)
    # Symmetric bands: the middle of the gap is zero.
    assert fermi_level(dos, grid, 2.0, temperature) == pytest.approx(0.0, abs=5e-3)
    # Weights read from a file sum to the number of electrons to seven digits only.
    assert abs(fermi_level((1 + 2e-7) * dos, grid, 2.0, temperature)) < 0.1


def test_an_empty_plateau_has_an_exact_middle():
    grid = EnergyGrid(0.0, 0.5, 9)
    dos = torch.tensor([0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0])
    # Filled at 1.0 eV, the next states begin at 3.0 eV.
    assert fermi_level(dos, grid, 1.0) == pytest.approx(2.0, abs=1e-3)
    # All electrons there are: the plateau ends with the grid.
    assert fermi_level(dos, grid, 2.0) == pytest.approx(4.0, abs=1e-3)


def test_supercell_and_rigid_shift():
    energies = EnergyGrid(-5.0, 0.05, 200).energies()
    dos = gaussian(energies, -1.0, 0.5) + gaussian(energies, 0.5, 0.5)
    for temperature in (0.0, 1000.0):
        level = fermi_level(dos, EnergyGrid(-5.0, 0.05, 200), 1.2, temperature)
        assert fermi_level(7 * dos, EnergyGrid(-5.0, 0.05, 200), 8.4, temperature) == pytest.approx(level)
        moved = fermi_level(dos, EnergyGrid(-5.0 + 3.3, 0.05, 200), 1.2, temperature)
        assert moved == pytest.approx(level + 3.3)


@pytest.mark.parametrize("temperature", [0.0, 500.0])
def test_negative_wiggles_of_a_prediction_give_the_first_level(temperature):
    grid = EnergyGrid(-5.0, 0.05, 200)
    dos = gaussian(grid.energies(), -2.0, 0.3) - 0.4 * gaussian(grid.energies(), 1.0, 0.3)
    dos = dos + gaussian(grid.energies(), 3.0, 0.3)
    assert fermi_level(dos, grid, 0.8, temperature) < -1.5


@pytest.mark.parametrize("num_electrons", [40.0, 1e6])
def test_too_many_electrons_are_an_error_with_numbers(num_electrons):
    with pytest.raises(ValueError, match=r"no Fermi level for .* electrons at 0 K in -2 \.\.\. 2 eV .* holds 0 to "):
        fermi_level(NOISE, GRID, num_electrons)


def test_a_level_below_the_grid_is_an_error():
    with pytest.raises(ValueError, match=r"no Fermi level for 0\.001 electrons at 30000 K"):
        fermi_level(NOISE, GRID, 0.001, 30000.0)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="positive number of electrons, got 0"):
        fermi_level(NOISE, GRID, 0.0)
    with pytest.raises(ValueError, match="temperature in K that is not negative, got -1"):
        count_electrons(NOISE, GRID, 0.0, -1.0)
    with pytest.raises(ValueError, match=r"1 of 17 channels .* not finite, the first at 0 eV"):
        fermi_level(NOISE.index_fill(0, torch.tensor(8), torch.nan), GRID, 1.0)
    with pytest.raises(ValueError, match=r"one spectrum of shape \(17,\), got \(2, 17\)"):
        fermi_level(NOISE.expand(2, -1), GRID, 1.0)
