"""The best rigid shift of a predicted spectrum relative to a target with its own zero of energy."""

import torch
from scipy.fft import next_fast_len
from torch.nn.functional import pad

from .axis import EnergyAxis

# Shifts whose costs differ by less than this fraction of the sum of all squares count as equal. It is larger than the
# round-off of the FFT, so the choice among equal shifts does not depend on the batch or the device.
_TIE_TOLERANCE = 1e-12


def check_spectra(prediction: torch.Tensor, target: torch.Tensor, trusted: torch.Tensor) -> None:
    """Check the shapes and the mask of a batch of spectra.

    :param prediction: shape ``(batch, num_predicted)``.
    :param target: shape ``(batch, num_channels)``, where ``num_channels <= num_predicted``.
    :param trusted: bool, shape ``(batch, num_channels)``.
    :raises ValueError: for inconsistent shapes.
    :raises TypeError: for a mask that is not bool.
    """
    if trusted.dtype != torch.bool:
        raise TypeError(f"expected a bool mask of trusted channels, got {trusted.dtype}")
    shapes = tuple(prediction.shape), tuple(target.shape), tuple(trusted.shape)
    fits = prediction.dim() == 2 and target.dim() == 2 and target.shape == trusted.shape
    if not fits or prediction.shape[0] != target.shape[0] or prediction.shape[1] < target.shape[1]:
        raise ValueError(
            "expected a prediction of shape (batch, num_predicted), a target and a mask of shape (batch, "
            f"num_channels) with num_channels <= num_predicted, got {shapes[0]}, {shapes[1]} and {shapes[2]}"
        )


@torch.no_grad()
def best_shift(prediction: torch.Tensor, target: torch.Tensor, trusted: torch.Tensor) -> torch.Tensor:
    r"""Find the shift, in channels, at which each prediction matches its target best.

    .. math:: \Delta = \operatorname*{arg\,min}_{\Delta = 0 \ldots X} \Big[
        \sum_{i\,\mathrm{trusted}} (y_{\Delta + i} - y^*_i)^2 + \sum_{j < \Delta} y_j^2 \Big]

    with ``X = num_predicted - num_channels`` (arXiv:2508.17418, eqs. 3 and 4). All shifts are evaluated at once in
    float64, with correlations and prefix sums. Among equally good shifts, the result is the smallest.

    :param prediction: shape ``(batch, num_predicted)``.
    :param target: shape ``(batch, num_channels)``; any value, even NaN, where it is not trusted.
    :param trusted: bool, shape ``(batch, num_channels)``.
    :return: int64, shape ``(batch,)``.
    :raises ValueError: for inconsistent shapes.
    :raises TypeError: for a mask that is not bool.
    """
    check_spectra(prediction, target, trusted)
    num_shifts = prediction.shape[1] - target.shape[1] + 1
    values, known = prediction.double(), torch.where(trusted, target, 0.0).double()
    squares = values**2
    square_sums = pad(squares.cumsum(dim=1), (1, 0))
    below_window = square_sums[:, :num_shifts]
    if values.is_cuda:
        in_window = _sums_by_transform(squares, trusted)
    else:
        in_window = _sums_over_runs(square_sums, trusted, num_shifts)
    cost = below_window + in_window - 2.0 * _correlation(known, values)
    scale = square_sums[:, -1:] + (known**2).sum(dim=1, keepdim=True)
    lowest = cost.amin(dim=1, keepdim=True)
    return (cost <= lowest + _TIE_TOLERANCE * scale).to(torch.uint8).argmax(dim=1)


def _correlation(known: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """``sum_i known[i] values[shift + i]`` for all shifts at which ``known`` lies completely inside ``values``."""
    num_predicted = values.shape[1]
    # The window never passes the end of the prediction, so this circular correlation does not wrap around.
    size = next_fast_len(num_predicted, real=True)
    spectrum = torch.fft.rfft(known, n=size).conj() * torch.fft.rfft(values, n=size)
    return torch.fft.irfft(spectrum, n=size)[:, : num_predicted - known.shape[1] + 1]


def _sums_by_transform(squares: torch.Tensor, trusted: torch.Tensor) -> torch.Tensor:
    """The same as :func:`_sums_over_runs`: slower in itself, but the host need not wait for the number of runs."""
    return _correlation(trusted.double(), squares)


def _sums_over_runs(prefix_sums: torch.Tensor, trusted: torch.Tensor, num_shifts: int) -> torch.Tensor:
    """Sums over the trusted channels for each shift, as differences of prefix sums at the ends of each run of channels.

    :param prefix_sums: shape ``(batch, num_predicted + 1)``.
    :return: shape ``(batch, num_shifts)``.
    """
    changes = pad(trusted.to(torch.int8), (1, 1)).diff(dim=1)  # 1 where a run begins, -1 behind its end
    rows, channels = torch.nonzero(changes, as_tuple=True)
    sums = prefix_sums.unfold(1, num_shifts, 1)[rows, channels] * -changes[rows, channels].unsqueeze(1)
    return sums.new_zeros(len(trusted), num_shifts).index_add(0, rows, sums)


def take_window(prediction: torch.Tensor, shift: torch.Tensor, size: int) -> torch.Tensor:
    """Return channels ``shift ... shift + size - 1`` of each prediction; gradients flow only into these channels.

    :param prediction: shape ``(batch, num_predicted)``.
    :param shift: first channel of each window, int64, shape ``(batch,)``, at most ``num_predicted - size``.
    :param size: number of channels in the window.
    :return: shape ``(batch, size)``.
    """
    channels = shift.unsqueeze(1) + torch.arange(size, device=shift.device)
    return prediction.gather(1, channels)


def aligned_residuals(
    prediction: torch.Tensor, target: torch.Tensor, axis: EnergyAxis
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return errors of predicted spectra on the prediction's own axis, at the best rigid shift of their targets.

    :param prediction: shape ``(num_structures, axis.grid.size)``, in states/eV.
    :param target: the same shape, NaN where it is not trusted; its first ``axis.max_shift`` channels are empty.
    :param axis: energy axis of both.
    :return: prediction minus target, of the same shape, NaN where there is no trusted target; and the shifts found by
        :func:`best_shift`, shape ``(num_structures,)``.
    """
    window, trusted = axis.window(target)
    shift = best_shift(prediction, window, trusted)
    channels = torch.arange(prediction.shape[1], device=prediction.device) - shift.unsqueeze(1)
    moved = window.gather(1, channels.clamp(0, window.shape[1] - 1))
    # Below its window a target is known to be empty; above it nothing is known.
    moved = torch.where(channels < 0, 0.0, torch.where(channels < window.shape[1], moved, torch.nan))
    moved = torch.where(trusted.any(dim=1, keepdim=True), moved, torch.nan)
    return prediction - moved, shift


def fermi_level_after_alignment(shift: torch.Tensor, target: torch.Tensor, axis: EnergyAxis) -> torch.Tensor:
    """Return the zero of each target, the DFT Fermi level, on the axis of a prediction that is aligned with it.

    :param shift: shift of the prediction, shape ``(num_structures,)``; see :func:`best_shift`.
    :param target: shape ``(num_structures, axis.grid.size)``, in states/eV, NaN where it is not trusted.
    :param axis: energy axis of both.
    :return: in eV, shape ``(num_structures,)``; NaN for a target without states in its trusted range, which matches at
        any shift.
    """
    window, trusted = axis.window(target)
    has_states = torch.where(trusted, window, 0.0).sum(dim=1) > 0
    return torch.where(has_states, axis.shift_in_eV(shift.to(target.dtype)), torch.nan)
