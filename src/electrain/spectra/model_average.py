"""The mean of the spectra that several models predict for one structure, each with its own zero of energy."""

from typing import NamedTuple

import torch
from torch.nn.functional import pad

from .alignment import best_shift
from .axis import EnergyAxis


class ModelAverage(NamedTuple):
    """Mean and spread of the predictions of several models, on an axis whose zero is the mean of theirs."""

    mean: torch.Tensor  # (num_channels,) | states/eV, float64
    standard_deviation: torch.Tensor  # (num_channels,) | states/eV; of a sample, so NaN for a single model
    spectra: torch.Tensor  # (num_models, num_channels) | states/eV, of each model after alignment
    shifts: torch.Tensor  # (num_models,) | channels by which each spectrum was moved down, int64; see `moved_down`
    fermi_levels: torch.Tensor | None  # (num_models,) | eV, of each model after alignment; their mean is the common one


@torch.no_grad()
def average_models(spectra: torch.Tensor, axis: EnergyAxis, fermi_levels: torch.Tensor | None = None) -> ModelAverage:
    r"""Align the spectra that several models predict for one structure, and average them.

    The loss does not change if a prediction is shifted (:func:`best_shift`), so every model has its own zero of energy,
    another one for every structure, and the mean of predictions as they are is a mean of displaced spectra. Here, model
    m is moved by :math:`s_m` channels, at which it matches the first model best, and all models by :math:`-\bar s`,
    rounded, so that none of them defines the zero:

    .. math:: s_m = \operatorname*{arg\,min}_{|s| \leq X} \Big[ \sum_{i = 0}^{N - 1 - X}
        (y_{m, i + s} - y_{1, i})^2 + \sum_{j < s} y_{m, j}^2 \Big], \qquad
        \bar y_i = \frac{1}{M} \sum_m y_{m, i + s_m - \bar s}

    (arXiv:2508.17418, eqs. 3 and 4, with shifts in both directions). The order of the models after the first does not
    matter. Alternatives (Fermi levels, the mean as reference, fractions of channels) were not better, see
    benchmarks/results/ensembles.md.

    :param spectra: in states/eV, shape ``(num_models, num_channels)``.
    :param axis: energy axis of all models, with the largest shift X.
    :param fermi_levels: in eV, each on its model's own axis, shape ``(num_models,)``.
    :raises ValueError: for other shapes or no model.
    """
    if spectra.dim() != 2 or len(spectra) == 0 or spectra.shape[1] != axis.grid.size:
        raise ValueError(
            f"expected spectra of shape (num_models, {axis.grid.size}) of at least one model, got "
            f"{tuple(spectra.shape)}"
        )
    if fermi_levels is not None and fermi_levels.shape != spectra.shape[:1]:
        raise ValueError(
            f"expected one Fermi level for each of the {len(spectra)} models, got shape {tuple(fermi_levels.shape)}"
        )
    values = spectra.double()
    shifts = _shifts_onto(values[0], values, axis.max_shift)
    shifts = shifts - shifts.double().mean().round().long()
    aligned = moved_down(values, shifts)
    mean = aligned.mean(dim=0)
    variance = (aligned - mean).square().sum(dim=0) / (len(values) - 1)
    levels = None if fermi_levels is None else fermi_levels.double() - axis.grid.step * shifts.double()
    return ModelAverage(mean, variance.sqrt(), aligned, shifts, levels)


def moved_down(spectra: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Move spectra down by whole channels on an axis that stays where it is.

    Below the axis, a spectrum has no states. Above it nothing is known, and the value of its last channel is continued.

    :param spectra: shape ``(num_spectra, num_channels)``.
    :param shifts: int64, shape ``(num_spectra,)``; negative to move up.
    :return: the same shape.
    """
    channels = torch.arange(spectra.shape[1], device=spectra.device) + shifts.unsqueeze(1)
    return torch.where(channels < 0, 0.0, spectra.gather(1, channels.clamp(0, spectra.shape[1] - 1)))


def _shifts_onto(reference: torch.Tensor, spectra: torch.Tensor, largest: int) -> torch.Tensor:
    """Shifts of at most ``largest`` channels, up or down, at which spectra match a reference best."""
    # The highest channels of the reference are not compared: beyond the axis, nothing is known of a moved spectrum.
    target = reference[: len(reference) - largest].expand(len(spectra), -1)
    return best_shift(pad(spectra, (largest, 0)), target, torch.ones_like(target, dtype=torch.bool)) - largest
