"""The self-aligning loss as the published model was trained with: every shift by brute force.

Written from the description in the PET-MAD-DOS paper (arXiv:2508.17418, IV.3): the squared difference of every window
of the prediction at once, a minimum over them, then the terms at the best shift.
"""

import torch


def brute_force_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    trusted: torch.Tensor,
    num_atoms: torch.Tensor,
    *,
    step: float,
    gradient_weight: float,
    cumulative_weight: float,
) -> torch.Tensor:
    """Arguments and result as of :func:`electrain.spectra.losses.spectral_loss`; targets are finite everywhere."""
    size = target.shape[1]
    with torch.no_grad():
        windows = prediction.unfold(1, size, 1)
        squares = (((windows - target.unsqueeze(1)) * trusted.unsqueeze(1)) ** 2).sum(dim=2)
        below = torch.nn.functional.pad((prediction**2).cumsum(dim=1), (1, 0))[:, : windows.shape[1]]
        shift = (squares + below).argmin(dim=1)
    channels = torch.arange(prediction.shape[1], device=prediction.device)
    window = prediction.gather(1, shift.unsqueeze(1) + channels[:size])
    difference = (window - target) * trusted
    alignment = (difference**2).sum(dim=1) + (prediction**2 * (channels < shift.unsqueeze(1))).sum(dim=1)
    first_above = shift + trusted.sum(dim=1)
    slope = prediction.diff(dim=1) / step * (channels[1:] >= first_above.unsqueeze(1))
    cumulative = (((step * difference.cumsum(dim=1)) * trusted) ** 2).sum(dim=1)
    total = alignment + gradient_weight * (slope**2).sum(dim=1) + cumulative_weight * cumulative
    return (step * total / num_atoms).mean()
