import math

import pytest
import torch

from electrain.spectra import EnergyGrid


def test_energies_start_stop_and_step():
    grid = EnergyGrid(-1.0, 0.25, 5)
    assert grid.energies().tolist() == [-1.0, -0.75, -0.5, -0.25, 0.0]
    assert grid.stop == 0.0
    assert grid.energies().dtype == torch.float64
    assert "-1 ... 0 eV in steps of 0.25 eV (5 channels)" in str(grid)


def test_extended_below_keeps_the_upper_channels():
    grid = EnergyGrid(-149.65, 0.05, 4606)
    longer = grid.extended_below(200)
    assert longer.size == 4806
    torch.testing.assert_close(longer.energies()[200:], grid.energies())


def test_covering_contains_both_ends():
    grid = EnergyGrid.covering(-1.23, 4.56, 0.1)
    assert grid.start <= -1.23 < grid.start + grid.step
    assert grid.stop - grid.step < 4.56 <= grid.stop


def test_is_close_tells_grids_apart():
    grid = EnergyGrid(-1.0, 0.1, 30)
    assert grid.is_close(EnergyGrid(-1.0 + 1e-9, 0.1, 30))
    assert not grid.is_close(EnergyGrid(-1.0 + 1e-3, 0.1, 30))
    assert not grid.is_close(EnergyGrid(-1.0, 0.1, 31))


@pytest.mark.parametrize("start, step", [(math.nan, 0.1), (0.0, 0.0), (0.0, -0.1), (0.0, math.inf)])
def test_impossible_axes_are_refused(start, step):
    with pytest.raises(ValueError, match=r"finite start and a positive step in eV, got start="):
        EnergyGrid(start, step, 3)


def test_an_empty_axis_is_refused():
    with pytest.raises(ValueError, match="at least one channel, got size=0"):
        EnergyGrid(0.0, 0.1, 0)


def test_checked_names_the_first_bad_channel():
    grid = EnergyGrid(-1.0, 0.5, 4)
    with pytest.raises(ValueError, match=r"2 of 4 channels .* the first at 0 eV"):
        grid.checked(torch.tensor([0.0, 1.0, torch.nan, torch.inf]))
    with pytest.raises(ValueError, match=r"shape \(4,\), got \(5,\)"):
        grid.checked(torch.zeros(5))
