"""From eigenvalues and k-point weights to a density of states and the energies at which it can be trusted."""

import math

import torch

from .grid import EnergyGrid

# exp(-8**2 / 2) is 1e-14: the neglected tail is lost in the round-off of the peak anyway.
_REACH_IN_SMEARINGS = 8.0

# A channel may lie this much above the trusted range, in units of the step, because both numbers carry round-off.
_CHANNEL_TOLERANCE = 1e-6

# States are at most this far from the point about which their Gaussian is expanded, and the expansion ends when its
# terms are lost in the round-off of the peak.
_EXPANSION_IN_SMEARINGS = 0.25
_SMALLEST_TERM = 1e-17

# Gaussians are evaluated in blocks of at most this many values (32 MiB in float64).
_BLOCK_VALUES = 2**22


def as_spin_channels(eigenvalues: torch.Tensor) -> torch.Tensor:
    """Check eigenvalues and add a leading spin dimension if they have none.

    :param eigenvalues: in eV, shape ``(num_k, num_bands)`` or ``(num_spin, num_k, num_bands)``, where
        ``num_spin`` is 1 or 2.
    :return: the same values, shape ``(num_spin, num_k, num_bands)``.
    :raises ValueError: for another shape, no values at all, or values that are not finite.
    """
    shape = tuple(eigenvalues.shape)
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[0] > 2):
        raise ValueError(
            "expected eigenvalues of shape (num_k, num_bands) or (num_spin, num_k, num_bands) with one or "
            f"two spins, got {shape}"
        )
    finite = torch.isfinite(eigenvalues)
    if not finite.all():
        first = tuple((~finite).nonzero()[0].tolist())
        raise ValueError(
            f"{int((~finite).sum())} of {eigenvalues.numel()} eigenvalues are not finite, the first at index {first}"
        )
    return eigenvalues if len(shape) == 3 else eigenvalues.unsqueeze(0)


def density_of_states(
    eigenvalues: torch.Tensor, weights: torch.Tensor, grid: EnergyGrid, smearing: float
) -> torch.Tensor:
    r"""Density of states of one structure, with every eigenvalue broadened by a Gaussian.

    .. math:: \mathrm{DOS}(E) = \sum_{s,n,k} w_k \, g(E - \epsilon_{snk}), \qquad
        g(x) = \frac{1}{\sqrt{2\pi\sigma^2}} e^{-x^2 / 2\sigma^2}

    (arXiv:2508.17418, eqs. 1 and 2). A state outside the grid contributes only the tail that extends into
    it. With weights that sum to 2 (one spin channel) or to 1 (two channels, which are summed), the integral up to
    the Fermi level is the number of electrons.

    :param eigenvalues: in eV, shape ``(num_k, num_bands)`` or ``(num_spin, num_k, num_bands)``.
    :param weights: one weight per k-point, shape ``(num_k,)``, in states.
    :param grid: the energies at which the DOS is evaluated.
    :param smearing: standard deviation of the Gaussian, in eV.
    :return: shape ``(grid.size,)``, in states/eV, with the dtype and device of ``eigenvalues``.
    :raises ValueError: for inconsistent shapes, values that are not finite, negative weights, or a
        smearing that is not positive.
    """
    channels_of_spins = as_spin_channels(eigenvalues)
    _check_smearing(smearing)
    num_spin, num_k, num_bands = channels_of_spins.shape
    _check_weights(weights, num_k)
    centers = channels_of_spins.reshape(-1).double()
    heights = weights.to(centers).reshape(1, num_k, 1).expand(num_spin, num_k, num_bands).reshape(-1)
    heights = heights / math.sqrt(2.0 * math.pi * smearing**2)

    refinement = math.ceil(grid.step / (2 * _EXPANSION_IN_SMEARINGS * smearing))
    step = grid.step / refinement
    size = (grid.size - 1) * refinement + 1
    reach = math.ceil(_REACH_IN_SMEARINGS * smearing / step) + 1
    # Points from `reach` below the grid to `reach` above it; states further away do not contribute.
    point = ((centers.detach() - grid.start) / step).round() + reach
    inside = (point >= 0) & (point < size + 2 * reach)
    point, centers, heights = point[inside], centers[inside], heights[inside]
    offsets = (centers - (grid.start + step * (point - reach))) / smearing
    moments = _moments(point.long(), offsets, heights, size + 2 * reach)
    distances = torch.arange(-reach, reach + 1, device=centers.device)
    kernels = _expanded_gaussian(step / smearing * distances.to(centers), len(moments))
    # The margins hold the tails that lie outside the grid.
    padded = torch.zeros(size + 4 * reach, dtype=torch.float64, device=centers.device)
    for points in moments.detach().any(dim=0).nonzero().split(max(1, _BLOCK_VALUES // len(distances))):
        tails = moments[:, points[:, 0]].T @ kernels
        padded = padded.index_add(0, (points + distances + reach).reshape(-1), tails.reshape(-1))
    return padded[2 * reach : 2 * reach + size : refinement].to(eigenvalues.dtype)


def _moments(point: torch.Tensor, offsets: torch.Tensor, heights: torch.Tensor, num_points: int) -> torch.Tensor:
    r"""Sums over the states at each point, :math:`\sum_i h_i d_i^p`, for every order p of the expansion.

    :param point: index of the point of each state, shape ``(num_states,)``.
    :param offsets: distance of each state from its point, in smearings, same shape.
    :param heights: same shape.
    :return: shape ``(num_orders, num_points)``.
    """
    zeros = torch.zeros(num_points, dtype=offsets.dtype, device=offsets.device)
    orders, largest, order = [], 1.0, 0
    # |He_p(x)| exp(-x^2 / 4) < 1.1 sqrt(p!)
    while largest > _SMALLEST_TERM:
        orders.append(zeros.index_add(0, point, heights))
        order += 1
        heights = heights * offsets
        largest *= _EXPANSION_IN_SMEARINGS / math.sqrt(order)
    return torch.stack(orders)


def _expanded_gaussian(distances: torch.Tensor, num_orders: int) -> torch.Tensor:
    r"""Factors of the moments: :math:`e^{-(x - d)^2 / 2} = \sum_p d^p \, \mathrm{He}_p(x) \, e^{-x^2 / 2} / p!`.

    :param distances: x, shape ``(num_points,)``.
    :return: :math:`\mathrm{He}_p(x) e^{-x^2 / 2} / p!`, shape ``(num_orders, num_points)``.
    """
    previous, current = torch.zeros_like(distances), torch.exp(-0.5 * distances**2)
    orders = []
    for order in range(num_orders):
        orders.append(current)
        # He_p+1 = x He_p - p He_p-1, both divided by their factorials
        previous, current = current, (distances * current - previous) / (order + 1)
    return torch.stack(orders)


def highest_trusted_energy(eigenvalues: torch.Tensor, smearing: float) -> float:
    r"""Energy up to which a DOS from finitely many bands can be trusted, in eV.

    :math:`E_\mathrm{max} = \min_{s,k} \max_n \epsilon_{snk} - 3 \sigma`, because bands that were not
    computed would contribute above it (arXiv:2508.17418, section IV.3).

    :param eigenvalues: in eV, shape ``(num_k, num_bands)`` or ``(num_spin, num_k, num_bands)``.
    :param smearing: standard deviation of the Gaussian, in eV.
    :raises ValueError: as for :func:`density_of_states`.
    """
    _check_smearing(smearing)
    return float(as_spin_channels(eigenvalues).amax(dim=-1).amin()) - 3.0 * smearing


def trusted_channels(grid: EnergyGrid, highest_energy: float) -> torch.Tensor:
    """Which channels of a grid lie in the trusted range: bool, shape ``(grid.size,)``.

    :param grid: energies of the channels.
    :param highest_energy: upper end of the trusted range in eV, see :func:`highest_trusted_energy`.
    """
    return grid.energies() <= highest_energy + _CHANNEL_TOLERANCE * grid.step


def _check_smearing(smearing: float) -> None:
    if not (math.isfinite(smearing) and smearing > 0):
        raise ValueError(f"expected a positive smearing in eV, got {smearing}")


def _check_weights(weights: torch.Tensor, num_k: int) -> None:
    if tuple(weights.shape) != (num_k,):
        raise ValueError(
            f"expected one weight for each of the {num_k} k-points of the eigenvalues, shape ({num_k},), "
            f"got {tuple(weights.shape)}"
        )
    # Written so that NaN fails too.
    valid = weights >= 0
    if not (valid.all() and torch.isfinite(weights).all()):
        raise ValueError(
            f"expected finite k-point weights that are not negative, got values from {float(weights.min())} "
            f"to {float(weights.max())}"
        )
