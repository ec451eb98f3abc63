"""Training loss of a predicted spectrum: aligned difference, its integral, and smoothness above the trusted range."""

from typing import NamedTuple

import torch
from torch.nn.functional import pad

from .alignment import best_shift

# See docs/training.md for the scan behind the default of the cumulative weight (beta).
GRADIENT_WEIGHT = 1e-4  # alpha, eV^2
CUMULATIVE_WEIGHT = 2e-4  # beta, eV^-2


class SpectralLossTerms(NamedTuple):
    """The three terms of each structure, not yet divided by its number of atoms, and the shift they share."""

    alignment: torch.Tensor  # (batch,) | states^2 / eV
    gradient: torch.Tensor  # (batch,) | states^2 / eV^3
    cumulative: torch.Tensor  # (batch,) | states^2 eV
    shift: torch.Tensor  # (batch,) | channels, int64


def spectral_loss_terms(
    prediction: torch.Tensor, target: torch.Tensor, trusted: torch.Tensor, step: float
) -> SpectralLossTerms:
    r"""Self-aligning, gradient and cumulative loss of each structure in a batch.

    With the prediction :math:`y`, the target :math:`y^*`, the step :math:`e`, the best shift
    :math:`\Delta` (:func:`~electrain.spectra.best_shift`) and the first channel :math:`t` above the trusted
    range:

    .. math::
        AL &= e \Big[ \sum_{i\,\mathrm{trusted}} (y_{\Delta + i} - y^*_i)^2 + \sum_{j < \Delta} y_j^2 \Big] \\
        GL &= e \sum_{j \ge \Delta + t} \Big( \frac{y_j - y_{j-1}}{e} \Big)^2 \\
        CL &= e \sum_{i\,\mathrm{trusted}} \Big( e \sum_{k \le i} (y_{\Delta + k} - y^*_k) \Big)^2

    (arXiv:2508.17418, eqs. 3 to 6). ``GL`` extends to the end of the prediction, beyond that of the target;
    ``CL`` integrates from the lower end of the target. Gradients are taken at the best shift only. A structure
    without any trusted channel contributes nothing.

    :param prediction: in states/eV, shape ``(batch, num_predicted)``.
    :param target: in states/eV, shape ``(batch, num_channels)``; any value, even NaN, where it is not trusted.
    :param trusted: bool, shape ``(batch, num_channels)``.
    :param step: distance between two channels, in eV.
    :raises ValueError: for inconsistent shapes.
    :raises TypeError: for a mask that is not bool.
    """
    shift = best_shift(prediction, target, trusted)
    num_predicted, num_channels = prediction.shape[1], target.shape[1]
    channel = torch.arange(num_predicted, device=prediction.device, dtype=torch.int32)
    # The target is moved to the prediction, not the other way round: the gradient of a window of the prediction would
    # have to be moved back.
    resting = torch.stack([torch.where(trusted, target, 0.0), trusted.to(target.dtype)])
    known, counted = _move(resting, shift, num_predicted).unbind()

    # Subtracted before squaring, because the expanded square would round small losses to zero in float32.
    difference = (prediction - known) * counted
    room = num_predicted - num_channels
    below = torch.where(channel[:room] < shift.unsqueeze(1), prediction[:, :room], 0.0)
    alignment = step * (_sum_of_squares(difference) + _sum_of_squares(below))

    num_trusted = (trusted * (channel[:num_channels] + 1)).amax(dim=1)
    first_above = torch.where(num_trusted > 0, shift + num_trusted, num_predicted).to(torch.int32)
    slope = torch.where(channel[1:] >= first_above.unsqueeze(1), prediction.diff(dim=1), 0.0)
    gradient = _sum_of_squares(slope) / step

    excess = difference.cumsum(dim=1) * counted
    cumulative = step**3 * _sum_of_squares(excess)
    return SpectralLossTerms(alignment, gradient, cumulative, shift)


def _sum_of_squares(values: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vecdot(values, values)


def _move(values: torch.Tensor, shift: torch.Tensor, size: int) -> torch.Tensor:
    """``size`` channels with the values (..., batch, num_channels) from channel ``shift`` on and zeros elsewhere."""
    room = size - values.shape[-1]
    rows = torch.arange(len(shift), device=values.device)
    return pad(values, (room, room)).unfold(-1, size, 1)[..., rows, room - shift, :]


def spectral_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    trusted: torch.Tensor,
    num_atoms: torch.Tensor,
    *,
    step: float,
    gradient_weight: float,
    cumulative_weight: float,
) -> torch.Tensor:
    r"""Mean of :math:`(AL + \alpha\, GL + \beta\, CL) / N_\mathrm{atoms}`, a scalar.

    The mean is over the structures that have a trusted channel.

    arXiv:2508.17418, eqs. 7 and 8; the terms and the first three arguments are those of
    :func:`spectral_loss_terms`.

    :param num_atoms: shape ``(batch,)``.
    :param step: distance between two channels, in eV.
    :param gradient_weight: :math:`\alpha`, in eV^2.
    :param cumulative_weight: :math:`\beta`, in eV^-2.
    :raises ValueError: for inconsistent shapes.
    :raises TypeError: for a mask that is not bool.
    """
    if num_atoms.shape != prediction.shape[:1]:
        # A column of atom counts would broadcast and mix the structures.
        raise ValueError(
            f"expected one number of atoms for each of the {prediction.shape[0]} structures, "
            f"got shape {tuple(num_atoms.shape)}"
        )
    terms = spectral_loss_terms(prediction, target, trusted, step)
    return mean_loss(terms, trusted, num_atoms, gradient_weight, cumulative_weight)


def mean_loss(
    terms: SpectralLossTerms,
    trusted: torch.Tensor,
    sizes: torch.Tensor,
    gradient_weight: float,
    cumulative_weight: float,
) -> torch.Tensor:
    """Combine the terms of :func:`spectral_loss_terms`; arguments as in :func:`spectral_loss`.

    :param sizes: shape ``(batch,)``, by which the loss of each structure is divided: its atoms, or its electrons.
    """
    present = trusted.any(dim=1).sum().clamp_min(1)
    total = terms.alignment + gradient_weight * terms.gradient + cumulative_weight * terms.cumulative
    return (total / sizes).sum() / present
