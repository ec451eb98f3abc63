"""Calibration of uncertainties: the errors of held-out structures, compared with estimates from their features.

The last-layer prediction rigidity (Bigi et al., 10.1088/2632-2153/ad805f) gives the uncertainty of a prediction that
is linear in the features f of a structure, up to a factor, as :math:`s = (f^T C^{-1} f)^{1/2}` with the regularised
covariance C of the training set's features. Here the factor is found for every property (every channel of a spectrum)
from the structures that have a value of it.
"""

import math

import torch
from metatrain.llpr.calibration import GaussianCRPSCalibrator

# Regularisers to try, as multiples of the mean eigenvalue of the covariance. With smaller ones, the triangular solve is
# meaningless in single precision.
_RELATIVE_REGULARIZERS = [10.0**exponent for exponent in range(-6, 5)]


def best_regularizer(covariance: torch.Tensor, features: torch.Tensor, residuals: torch.Tensor) -> float:
    r"""Find the regulariser for which held-out errors are most likely.

    With the best multiplier for each regulariser, the Gaussian likelihood is largest where
    :math:`\log \langle r^2 / s^2 \rangle + \langle \log s^2 \rangle` is smallest, averaged over samples.

    :param covariance: (num_features, num_features), float64.
    :param features: (num_samples, num_features) of held-out samples.
    :param residuals: (num_samples, num_properties), NaN where unknown; squares are averaged over the properties.
    """
    known = torch.isfinite(residuals)
    present = known.any(dim=1)
    squares = torch.where(known, residuals, 0.0)[present].double().square().sum(dim=1) / known[present].sum(dim=1)
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance.double())
    projected = (features[present].double() @ eigenvectors).square()
    scale = float(eigenvalues.mean())

    def cost(regularizer: float) -> float:
        variances = (projected / (eigenvalues.clamp_min(0.0) + regularizer)).sum(dim=1)
        return float((squares / variances).mean().log() + variances.log().mean())

    return min((scale * factor for factor in _RELATIVE_REGULARIZERS), key=cost)


def multipliers(residuals: torch.Tensor, deviations: torch.Tensor, method: str) -> torch.Tensor:
    """Return the factor between errors and uncalibrated uncertainties, for each property.

    :param residuals: (num_samples, num_properties), NaN where unknown.
    :param deviations: (num_samples,) uncalibrated uncertainties.
    :param method: ``"squared_residuals"`` (root mean square of the ratios), ``"absolute_residuals"`` (their mean
        absolute value, times the Gaussian factor) or ``"crps"``, as for metatrain's ``llpr``.
    :return: (num_properties,) float64, NaN for a property that is unknown for all samples.
    :raises ValueError: for another method.
    """
    residuals, deviations = residuals.double(), deviations.double().unsqueeze(1)
    known = torch.isfinite(residuals)
    ratios = torch.where(known, residuals / deviations, 0.0)
    count = known.sum(dim=0)
    if method == "squared_residuals":
        return (ratios.square().sum(dim=0) / count).sqrt()
    if method == "absolute_residuals":
        return math.sqrt(0.5 * math.pi) * ratios.abs().sum(dim=0) / count
    if method == "crps":
        found = residuals.new_full((residuals.shape[1],), torch.nan)
        for index in count.nonzero().flatten().tolist():
            rows = known[:, index]
            calibrator = GaussianCRPSCalibrator()
            calibrator.update(
                uncertainty_name="", residuals=residuals[rows, index], uncertainties=deviations[rows].squeeze(1)
            )
            found[index] = calibrator.finalize()[""]
        return found
    raise ValueError(
        f"expected the calibration method 'squared_residuals', 'absolute_residuals' or 'crps', got {method!r}"
    )


def nearest_known(known: torch.Tensor) -> torch.Tensor:
    """Find the nearest known channel of each channel, which may be itself: (num_channels,) bool -> int64.

    :raises ValueError: if no channel is known.
    """
    indices = known.nonzero().flatten()
    if len(indices) == 0:
        raise ValueError("expected at least one known channel, got none")
    channels = torch.arange(len(known), device=known.device)
    return indices[(channels.unsqueeze(1) - indices).abs().argmin(dim=1)]


def correlated_modes(residuals: torch.Tensor, deviations: torch.Tensor, num_modes: int) -> torch.Tensor:
    r"""Find spectra whose random sums fluctuate as the errors of held-out spectra do.

    With independent standard normal numbers z, the channels of :math:`\sum_k z_k M_k` have unit variance and, in
    the space of the leading principal components, the correlation of the errors in units of their uncalibrated
    uncertainties.

    :param residuals: (num_samples, num_channels), NaN where unknown.
    :param deviations: (num_samples,) uncalibrated uncertainties.
    :param num_modes: maximum number of principal components.
    :return: (num_modes, num_channels) float64; zero beyond the number of samples, and for channels without errors.
    """
    ratios = residuals.double() / deviations.double().unsqueeze(1)
    # An unknown error counts as zero: the matrix of correlations stays positive, and its entries become smaller.
    ratios = torch.where(torch.isfinite(ratios), ratios, 0.0)
    sizes = ratios.square().sum(dim=0).sqrt()
    ratios = torch.where(sizes > 0, ratios / sizes, 0.0)
    # A randomised decomposition, which is exact for few samples and fast for many.
    rank = min(num_modes, *ratios.shape)
    _, standard_deviations, components = torch.svd_lowrank(ratios, q=rank, niter=4)
    modes = standard_deviations.unsqueeze(1) * components.T
    captured = modes.square().sum(dim=0).sqrt()
    modes = torch.where(captured > 0, modes / captured, 0.0)
    missing = num_modes - len(modes)
    return torch.cat([modes, modes.new_zeros(missing, modes.shape[1])])
