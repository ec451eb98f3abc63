"""Errors of spectra that are compared channel by channel, one number for each structure."""

from typing import NamedTuple

import torch

_TINY = 1e-30


class ChannelErrors(NamedTuple):
    """Errors of each structure, shape ``(batch,)``; NaN where they are not defined."""

    rmse: torch.Tensor  # in the unit of the spectra, as all but the last two
    mae: torch.Tensor
    mse: torch.Tensor  # its square
    r2: torch.Tensor  # coefficient of determination
    wasserstein: torch.Tensor  # in the unit of the axis


def channel_errors(prediction: torch.Tensor, target: torch.Tensor, known: torch.Tensor, step: float) -> ChannelErrors:
    r"""Compare spectra channel by channel.

    With the prediction :math:`y`, the target :math:`t`, and means over the known channels of one structure,

    .. math::
        \mathrm{MSE} = \langle (y - t)^2 \rangle, \quad \mathrm{RMSE} = \sqrt{\mathrm{MSE}}, \quad
        \mathrm{MAE} = \langle |y - t| \rangle, \quad
        R^2 = 1 - \frac{\mathrm{MSE}}{\langle (t - \langle t \rangle)^2 \rangle}

    (Lee et al., "Density of States Prediction of Crystalline Materials via Prompt-guided Multi-Modal Transformer",
    NeurIPS 2023, where they are then averaged over structures), and the Wasserstein distance of both spectra, each
    normalised to an integral of one,

    .. math::
        WD = e \sum_i \Big| \frac{\sum_{j \le i} y^+_j}{\sum_j y^+_j} - \frac{\sum_{j \le i} t_j}{\sum_j t_j} \Big|

    with the step :math:`e` and :math:`y^+ = \max(y, 0)`. It is the mean distance by which states have to be moved. A
    prediction without states is as far away as one beyond the upper end of the axis.

    No error is defined for a structure without known channels, R^2 for a target that is constant, and WD for one
    without states.

    :param prediction: shape ``(batch, num_channels)``.
    :param target: of the same shape; any value, even NaN, where it is not known.
    :param known: bool, of the same shape.
    :param step: distance between two channels.
    """
    number = known.sum(dim=1)
    divisor = number.clamp_min(1)  # where there is nothing to divide, the gradient is zero instead of NaN
    expected = torch.where(known, target, 0.0)
    difference = torch.where(known, prediction - expected, 0.0)
    mse = difference.square().sum(dim=1) / divisor
    mean = expected.sum(dim=1, keepdim=True) / divisor.unsqueeze(1)
    variance = torch.where(known, expected - mean, 0.0).square().sum(dim=1) / divisor
    r2 = torch.where(variance > 0, 1.0 - mse / variance, torch.nan)
    positive = torch.where(known, prediction, 0.0).clamp_min(0.0)
    distance = _distance(_cumulative(positive, positive), _cumulative(expected, expected), known, step)
    wasserstein = torch.where(expected.sum(dim=1) > 0, distance, torch.nan)
    mae = difference.abs().sum(dim=1) / divisor
    found = ChannelErrors(mse.clamp_min(_TINY).sqrt(), mae, mse, r2, wasserstein)  # a root has no gradient at zero
    return ChannelErrors(*(torch.where(number > 0, values, torch.nan) for values in found))


def cumulative_distance(
    prediction: torch.Tensor, target: torch.Tensor, known: torch.Tensor, step: float
) -> torch.Tensor:
    r"""Distance of the cumulative spectra of each structure, in units of the integral of the target.

    .. math:: \frac{e}{\sum_j t_j} \sum_i \Big| \sum_{j \le i} y_j - \sum_{j \le i} t_j \Big|

    It is the Wasserstein distance of :func:`channel_errors` for a prediction with the integral of the target. Another
    integral counts as well, because as a loss the distance of normalised spectra would leave the height of the
    prediction open.

    :return: in the unit of the axis, shape ``(batch,)``; NaN for a target without states.
    """
    expected = torch.where(known, target, 0.0)
    predicted = torch.where(known, prediction, 0.0)
    distance = _distance(_cumulative(predicted, expected), _cumulative(expected, expected), known, step)
    return torch.where(expected.sum(dim=1) > 0, distance, torch.nan)


def _cumulative(spectra: torch.Tensor, normalised_by: torch.Tensor) -> torch.Tensor:
    return spectra.cumsum(dim=1) / normalised_by.sum(dim=1, keepdim=True).clamp_min(_TINY)


def _distance(first: torch.Tensor, second: torch.Tensor, known: torch.Tensor, step: float) -> torch.Tensor:
    return step * torch.where(known, (first - second).abs(), 0.0).sum(dim=1)
