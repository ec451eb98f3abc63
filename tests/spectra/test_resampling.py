"""Spectra on other energies: as many states, and the same shape."""

import re

import numpy as np
import pytest

from electrain.spectra.grid import EnergyGrid
from electrain.spectra.resampling import resampled

SIGMA = 0.3
GRID = EnergyGrid(-20.012, 0.05, 800)


def peaks(grid):
    """Three normalised Gaussians, far from the ends."""
    energies = grid.energies().numpy()
    norm = SIGMA * np.sqrt(2 * np.pi)
    return sum(np.exp(-0.5 * ((energies - center) / SIGMA) ** 2) / norm for center in (-12.0, -3.3, 4.1))


@pytest.mark.parametrize("step", [0.01, 0.037, 0.05, 0.3, 2.0])
@pytest.mark.parametrize("start", [-25.0, -20.012, -19.123])
def test_states_are_counted_exactly(start, step):
    new = EnergyGrid(start, step, int((19.9 - start) / step))
    assert resampled(peaks(GRID), GRID, new).sum() * step == pytest.approx(3.0, abs=1e-10)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.025, 0.049])
def test_shifted_peaks_keep_their_shape(shift):
    new = EnergyGrid(GRID.start + shift, GRID.step, GRID.size - 1)
    np.testing.assert_allclose(resampled(peaks(GRID), GRID, new), peaks(new), atol=1e-4 * peaks(GRID).max())


def test_electrons_below_a_gap_and_inside_of_a_band():
    new = EnergyGrid.covering(-22.0, 15.0, 0.05)
    found, expected = resampled(peaks(GRID), GRID, new), peaks(new)
    np.testing.assert_allclose(np.cumsum(found) * 0.05, np.cumsum(expected) * 0.05, atol=1e-5)


def test_own_grid():
    np.testing.assert_allclose(resampled(peaks(GRID), GRID, GRID), peaks(GRID), atol=1e-12)


def test_sums_stay_sums():
    random = np.random.default_rng(0)
    many, new = random.normal(size=(5, 800)), EnergyGrid(-18.3, 0.07, 400)
    np.testing.assert_allclose(
        resampled(many, GRID, new).sum(axis=0), resampled(many.sum(axis=0), GRID, new), atol=1e-10
    )


def test_zero_below_and_unknown_above():
    new = EnergyGrid(-40.0, 0.05, 300)
    np.testing.assert_array_equal(resampled(np.ones(800), GRID, new), np.zeros(300))
    text = "expected energies inside -20.012 ... 19.938 eV in steps of 0.05 eV (800 channels), where"
    with pytest.raises(ValueError, match=re.escape(text)):
        resampled(np.ones(800), GRID, EnergyGrid(0.0, 0.05, 401))
