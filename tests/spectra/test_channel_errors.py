"""Against sklearn-like formulas and scipy, one structure at a time."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from electrain.spectra.channel_errors import channel_errors, cumulative_distance

STEP = 20.0


@pytest.fixture
def spectra():
    torch.manual_seed(0)
    target = torch.rand(5, 51, dtype=torch.float64)
    prediction = target + 0.3 * torch.randn_like(target)
    target[1, 40:] = torch.nan
    target[2, 3] = torch.nan
    return prediction, target, ~torch.isnan(target)


def test_against_numpy_and_scipy(spectra):
    prediction, target, known = spectra
    found = channel_errors(prediction, target, known, STEP)
    axis = STEP * np.arange(51)
    for row in range(5):
        mask = known[row].numpy()
        y, t = prediction[row].numpy()[mask], target[row].numpy()[mask]
        assert float(found.rmse[row]) == pytest.approx(np.sqrt(np.mean((y - t) ** 2)), rel=1e-12)
        assert float(found.mse[row]) == pytest.approx(np.mean((y - t) ** 2), rel=1e-12)
        assert float(found.mae[row]) == pytest.approx(np.mean(np.abs(y - t)), rel=1e-12)
        r2 = 1 - np.sum((y - t) ** 2) / np.sum((t - t.mean()) ** 2)
        assert float(found.r2[row]) == pytest.approx(r2, rel=1e-12)
        if mask[:-1].all() or not mask[-1]:  # scipy cannot leave out a channel in between
            expected = wasserstein_distance(axis[mask], axis[mask], np.clip(y, 0, None), t)
            assert float(found.wasserstein[row]) == pytest.approx(expected, rel=1e-12)


def test_a_moved_peak_is_as_far_away_as_it_has_moved():
    target, prediction = torch.zeros(2, 30, dtype=torch.float64), torch.zeros(2, 30, dtype=torch.float64)
    target[:, 5] = 1.0
    prediction[0, 12], prediction[1, 5] = 3.0, 3.0
    known = torch.ones_like(target, dtype=torch.bool)
    assert channel_errors(prediction, target, known, 0.5).wasserstein.tolist() == pytest.approx([3.5, 0.0])
    same_integral = prediction / 3.0
    assert cumulative_distance(same_integral, target, known, 0.5).tolist() == pytest.approx([3.5, 0.0])
    # three times as many states: two too many from the peak to the end
    assert float(cumulative_distance(prediction, target, known, 0.5)[1]) == pytest.approx(0.5 * 2 * 25)


def test_the_errors_do_not_depend_on_the_unit_of_a_distance():
    torch.manual_seed(1)
    prediction, target = torch.rand(2, 3, 40, dtype=torch.float64)
    known = torch.ones_like(target, dtype=torch.bool)
    first, second = (channel_errors(prediction, target, known, step) for step in (20.0, 0.6))
    assert torch.equal(first.rmse, second.rmse) and torch.equal(first.r2, second.r2)
    torch.testing.assert_close(first.wasserstein * 0.03, second.wasserstein)


def test_where_nothing_is_defined():
    """No known channel, a constant, no states, no predicted states."""
    target = torch.zeros(4, 6, dtype=torch.float64)
    target[0] = torch.nan
    target[1] = 0.5
    target[3, 2] = 1.0
    prediction = torch.full_like(target, 0.1)
    prediction[3] = -0.1
    prediction.requires_grad_()
    known = ~torch.isnan(target)
    found = channel_errors(prediction, target, known, 1.0)
    nan = float("nan")
    assert found.rmse.tolist() == pytest.approx([nan, 0.4, 0.1, np.sqrt((5 * 0.01 + 1.21) / 6)], nan_ok=True)
    assert found.r2.isnan().tolist() == [True, True, True, False]
    assert found.wasserstein.isnan().tolist() == [True, False, True, False]
    assert float(found.wasserstein.detach()[3]) == pytest.approx(4.0)  # as far as beyond the upper end
    for values in (found.rmse, found.mae, found.mse, cumulative_distance(prediction, target, known, 1.0)):
        (gradient,) = torch.autograd.grad(torch.nan_to_num(values).sum(), prediction, retain_graph=True)
        assert gradient.isfinite().all() and (gradient[0] == 0).all()


def test_no_error_has_a_gradient():
    """Equal spectra: the root of zero must not make NaN."""
    target = torch.rand(2, 10, dtype=torch.float64)
    prediction = target.clone().requires_grad_()
    found = channel_errors(prediction, target, torch.ones_like(target, dtype=torch.bool), 1.0)
    found.rmse.sum().backward()
    assert found.rmse.max() < 1e-12 and (prediction.grad == 0).all()
