"""From eigenvalues and k-point weights to a density of states and the energies at which it can be trusted."""

import math

import torch

from .grid import EnergyGrid

# exp(-8**2 / 2) is 1e-14: what is cut off is lost in the round-off of the peak anyway.
_REACH_IN_SMEARINGS = 8.0

# A channel may lie this much above the trusted range, in units of the step: both numbers carry round-off.
_CHANNEL_TOLERANCE = 1e-6

# Gaussians are evaluated in blocks of at most this many values (32 MiB in float64).
_BLOCK_VALUES = 2**22


def as_spin_channels(eigenvalues: torch.Tensor) -> torch.Tensor:
    """Check eigenvalues and give them a leading spin dimension.

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
    r"""Density of states of one structure, with every eigenvalue broadened to a Gaussian.

    .. math:: \mathrm{DOS}(E) = \sum_{s,n,k} w_k \, g(E - \epsilon_{snk}), \qquad
        g(x) = \frac{1}{\sqrt{2\pi\sigma^2}} e^{-x^2 / 2\sigma^2}

    (arXiv:2508.17418, eqs. 1 and 2). A state outside of the grid contributes only the tail that reaches into
    it. With weights that sum to 2 (one spin channel) or to 1 (two, which are added up), the integral up to
    the Fermi level is the number of electrons.

    :param eigenvalues: in eV, shape ``(num_k, num_bands)`` or ``(num_spin, num_k, num_bands)``.
    :param weights: one weight per k-point, shape ``(num_k,)``, in states.
    :param grid: the energies at which the DOS is wanted.
    :param smearing: standard deviation of the Gaussian, in eV.
    :return: shape ``(grid.size,)``, in states/eV, in the type and on the device of ``eigenvalues``.
    :raises ValueError: for shapes that do not fit, values that are not finite, negative weights, or a
        smearing that is not positive.
    """
    channels_of_spins = as_spin_channels(eigenvalues)
    _check_smearing(smearing)
    num_spin, num_k, num_bands = channels_of_spins.shape
    _check_weights(weights, num_k)
    centers = channels_of_spins.reshape(-1).double()
    heights = weights.to(centers).reshape(1, num_k, 1).expand(num_spin, num_k, num_bands).reshape(-1)
    heights = heights / math.sqrt(2.0 * math.pi * smearing**2)

    reach = math.ceil(_REACH_IN_SMEARINGS * smearing / grid.step) + 1
    offsets = torch.arange(-reach, reach + 1, device=centers.device)
    # Margins take the channels that fall outside of the grid, so that no index needs a case of its own.
    margin = offsets.numel()
    padded = torch.zeros(grid.size + 2 * margin, dtype=torch.float64, device=centers.device)
    per_block = max(1, _BLOCK_VALUES // margin)
    for center, height in zip(centers.split(per_block), heights.split(per_block), strict=True):
        nearest = ((center.detach() - grid.start) / grid.step).round()
        nearest = nearest.clamp(-reach - 1, grid.size + reach).long()
        channel = nearest.unsqueeze(1) + offsets
        # A product with whole numbers would be rounded to the default type, single precision.
        distance = (grid.start + grid.step * channel.double() - center.unsqueeze(1)) / smearing
        gaussian = height.unsqueeze(1) * torch.exp(-0.5 * distance**2)
        padded = padded.index_add(0, (channel + margin).reshape(-1), gaussian.reshape(-1))
    return padded[margin : margin + grid.size].to(eigenvalues.dtype)


def highest_trusted_energy(eigenvalues: torch.Tensor, smearing: float) -> float:
    r"""Energy up to which a DOS made of finitely many bands can be trusted, in eV.

    :math:`E_\mathrm{max} = \min_{s,k} \max_n \epsilon_{snk} - 3 \sigma`: above it, bands that were not
    computed would contribute (arXiv:2508.17418, section IV.3).

    :param eigenvalues: in eV, shape ``(num_k, num_bands)`` or ``(num_spin, num_k, num_bands)``.
    :param smearing: standard deviation of the Gaussian, in eV.
    :raises ValueError: as :func:`density_of_states`.
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
