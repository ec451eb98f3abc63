"""Multipliers, regularisers and principal components of errors, against slow references and statistics."""

import math

import pytest
import torch

from electrain.uncertainty.calibration import (
    best_regularizer,
    correlated_modes,
    multipliers,
    nearest_known,
)

NAN = torch.nan
METHODS = ("squared_residuals", "absolute_residuals", "crps")


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_multipliers_of_known_values():
    residuals = torch.tensor([[1.0, NAN, -3.0], [-4.0, NAN, NAN], [NAN, 6.0, 1.0]], dtype=torch.float64)
    deviations = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    squared = [math.sqrt((1.0 + 4.0) / 2), 2.0, math.sqrt((9.0 + 1.0 / 9.0) / 2)]
    absolute = [math.sqrt(math.pi / 2) * mean for mean in (1.5, 2.0, (3.0 + 1.0 / 3.0) / 2)]
    for method, expected in (("squared_residuals", squared), ("absolute_residuals", absolute)):
        found = multipliers(residuals, deviations, method)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-14, atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_multipliers_find_the_scale_of_gaussian_errors(method):
    deviations = random(20000, seed=1).exp()
    scales = torch.tensor([0.3, 7.0], dtype=torch.float64)
    residuals = scales * deviations.unsqueeze(1) * random(20000, 2)
    residuals[:5000, 1] = NAN
    torch.testing.assert_close(multipliers(residuals, deviations, method), scales, rtol=0.02, atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_properties_without_values_have_no_multiplier(method):
    residuals = torch.stack([random(50), torch.full((50,), NAN, dtype=torch.float64)], dim=1)
    assert multipliers(residuals, torch.ones(50), method).isfinite().tolist() == [True, False]


def test_unknown_method():
    with pytest.raises(ValueError, match="'squared_residuals', 'absolute_residuals' or 'crps', got 'median'"):
        multipliers(torch.ones(2, 1), torch.ones(2), "median")


def test_regularizer_is_the_most_likely_one():
    """Against the Gaussian density of the errors themselves, with the multiplier fitted on a fine grid."""
    train, features = random(30, 6) * torch.tensor([3.0, 1.0, 1.0, 0.1, 0.1, 0.01]), random(40, 6, seed=1)
    covariance = train.T @ train
    residuals = random(40, 1, seed=2) * features.norm(dim=1, keepdim=True)
    residuals[3] = NAN
    scale = float(torch.linalg.eigvalsh(covariance).mean())

    def likelihood(regularizer):
        inverse = torch.linalg.inv(covariance + regularizer * torch.eye(6, dtype=torch.float64))
        variances = torch.einsum("ni,ij,nj->n", features, inverse, features)
        known = [row for row in range(40) if row != 3]
        densities = [
            torch.distributions.Normal(0.0, (factor * variances[known]).sqrt()).log_prob(residuals[known, 0]).sum()
            for factor in torch.logspace(-4, 6, 301, dtype=torch.float64)
        ]
        return max(map(float, densities))

    candidates = [scale * 10.0**exponent for exponent in range(-6, 5)]
    best = max(candidates, key=likelihood)
    assert candidates[0] < best < candidates[-1]
    assert best_regularizer(covariance, features, residuals) == pytest.approx(best, rel=1e-12)


def test_nearest_known():
    known = torch.tensor([False, False, True, True, False, False, False, True, False])
    assert nearest_known(known).tolist() == [2, 2, 2, 3, 3, 3, 7, 7, 7]
    with pytest.raises(ValueError, match="expected at least one known channel, got none"):
        nearest_known(torch.zeros(3, dtype=torch.bool))


def smooth_errors(count, size=40):
    """Errors with a correlation length of three channels, and sizes that grow with the energy."""
    distance = torch.arange(size).unsqueeze(1) - torch.arange(size)
    correlation = torch.exp(-0.5 * (distance.double() / 3.0) ** 2)
    factor = torch.linalg.cholesky(correlation + 1e-9 * torch.eye(size, dtype=torch.float64))
    return random(count, size) @ factor.T * torch.linspace(0.5, 2.0, size, dtype=torch.float64), correlation


def test_modes_have_unit_variance_and_the_correlation_of_the_errors():
    residuals, correlation = smooth_errors(20000)
    deviations = random(20000, seed=5).exp()
    modes = correlated_modes(residuals * deviations.unsqueeze(1), deviations, 40)
    torch.testing.assert_close(modes.square().sum(dim=0), torch.ones(40, dtype=torch.float64), rtol=1e-12, atol=0)
    torch.testing.assert_close(modes.T @ modes, correlation, rtol=0, atol=0.05)


def test_few_modes_hold_the_correlation_of_neighbors():
    residuals, correlation = smooth_errors(2000)
    modes = correlated_modes(residuals, torch.ones(2000), 12)
    assert modes.shape == (12, 40)
    found = modes.T @ modes
    torch.testing.assert_close(found.diagonal(), torch.ones(40, dtype=torch.float64), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.diagonal(1), correlation.diagonal(1), rtol=0, atol=0.1)


def test_unknown_errors_and_missing_samples():
    residuals, _ = smooth_errors(5)
    residuals[2, 30:] = NAN
    residuals[:, 39] = NAN
    modes = correlated_modes(residuals, torch.ones(5), 8)
    assert modes.shape == (8, 40) and modes.isfinite().all()
    assert not modes[5:].any() and not modes[:, 39].any()
    torch.testing.assert_close(modes[:, :39].square().sum(dim=0), torch.ones(39, dtype=torch.float64))
