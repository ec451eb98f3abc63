"""Errors of spectra after alignment, and where the Fermi level of DFT lies then, channel by channel."""

import math

import pytest
import torch

from electrain.spectra import EnergyAxis, EnergyGrid, aligned_residuals, best_shift, fermi_level_after_alignment

NAN = torch.nan
AXIS = EnergyAxis(EnergyGrid(-3.0, 0.1, 60), 10)


def peaks(center):
    channels = torch.arange(60, dtype=torch.float64)
    return torch.exp(-0.5 * ((channels - center) / 2.0) ** 2) + 0.5 * torch.exp(
        -0.5 * ((channels - center - 9) / 3) ** 2
    )


def noise(*shape):
    return 0.01 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def targets_of(centers, num_trusted):
    """Spectra on the prediction's axis, as data sets hold them: empty below, NaN where not trusted."""
    rows = torch.stack([peaks(center) for center in centers])
    rows[:, : AXIS.max_shift] = 0.0
    for row, last in zip(rows, num_trusted, strict=True):
        row[last:] = NAN
    return rows


def test_residuals_are_taken_after_alignment():
    """Channel by channel in a loop."""
    target = targets_of([22.0, 25.0, 21.0], [50, 40, 45])
    prediction = torch.stack([peaks(15.0), peaks(24.0), peaks(17.0)]) + noise(3, 60)
    residuals, shift = aligned_residuals(prediction, target, AXIS)
    window, trusted = AXIS.window(target)
    assert shift.tolist() == best_shift(prediction, window, trusted).tolist() == [3, 9, 6]
    for row in range(3):
        for channel in range(60):
            index = channel - int(shift[row])
            expected = 0.0 if index < 0 else float(window[row, index]) if index < 50 else NAN
            difference = float(prediction[row, channel]) - expected
            assert math.isnan(difference) == bool(residuals[row, channel].isnan())
            assert math.isnan(difference) or abs(difference - float(residuals[row, channel])) < 1e-14


def test_a_rigid_shift_of_a_target_changes_nothing():
    prediction = torch.stack([peaks(20.0), peaks(23.0)]) + noise(2, 60)
    first, shift = aligned_residuals(prediction, targets_of([25.0, 26.0], [45, 50]), AXIS)
    second, moved = aligned_residuals(prediction, targets_of([28.0, 29.0], [48, 53]), AXIS)
    assert torch.equal(moved, shift - 3)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-12, equal_nan=True)


def test_structures_without_a_target_have_no_residuals():
    target = targets_of([22.0, 25.0], [50, 40])
    target[0] = NAN
    residuals, _ = aligned_residuals(torch.stack([peaks(20.0), peaks(20.0)]), target, AXIS)
    assert residuals[0].isnan().all()
    assert residuals[1].isfinite().any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lower", [0, 3, 10])
def test_the_fermi_level_moves_with_the_spectrum(lower, dtype):
    """The prediction is the target, so many channels lower: there lies its zero, too."""
    target = targets_of([25.0], [50]).to(dtype)
    prediction = torch.roll(target.nan_to_num(), -lower, dims=1)
    _, shift = aligned_residuals(prediction, target, AXIS)
    level = fermi_level_after_alignment(shift, target, AXIS)
    assert level.dtype == dtype
    assert level.tolist() == pytest.approx([-0.1 * lower], abs=1e-6)


def test_without_states_the_fermi_level_lies_nowhere():
    """Nothing that is trusted, or nothing in it."""
    target = targets_of([25.0, 25.0, 25.0], [50, 0, 50])
    target[2, :50] = 0.0
    level = fermi_level_after_alignment(torch.tensor([4, 4, 4]), target, AXIS)
    assert level[0] == pytest.approx(-0.6)
    assert level[1:].isnan().all()
