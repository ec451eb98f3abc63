"""Preparing predicted spectra for interpretation: removing noise, and overlaying them on other spectra."""

import math
from typing import NamedTuple

import torch

from .alignment import best_shift
from .grid import EnergyGrid

# Defaults of :func:`denoise`, as in the published PET-MAD-DOS.
THRESHOLD = 0.1  # states/eV per atom
SHARPNESS = 100.0  # atoms eV/state

_REACH_IN_SMEARINGS = 8.0  # where Gaussians are cut off: exp(-8**2 / 2) is 1e-14

_CHANNEL_TOLERANCE = 1e-6  # in units of the step, because energies carry round-off


def gaussian_filter(dos: torch.Tensor, grid: EnergyGrid, smearing: float) -> torch.Tensor:
    r"""Weighted mean of the channels around each one, :math:`w \propto e^{-(E - E')^2 / 2 \sigma^2}`.

    Near the ends of the grid, the weights of the existing channels are normalised to one, because nothing is known
    beyond them.

    :param dos: in states/eV, shape ``(..., grid.size)``.
    :param grid: energies of its channels.
    :param smearing: :math:`\sigma`, in eV.
    :return: float64, same shape.
    :raises ValueError: for another shape, or a smearing that is not positive.
    """
    _check_shape(dos, grid)
    if not (math.isfinite(smearing) and smearing > 0):
        raise ValueError(f"expected a positive smearing in eV, got {smearing}")
    reach = math.ceil(_REACH_IN_SMEARINGS * smearing / grid.step)
    distances = grid.step / smearing * torch.arange(-reach, reach + 1, dtype=torch.float64, device=dos.device)
    weights = torch.exp(-0.5 * distances**2)[None, None]
    rows = dos.double().reshape(-1, 1, grid.size)
    filtered = torch.nn.functional.conv1d(rows, weights, padding=reach)
    present = torch.nn.functional.conv1d(torch.ones_like(rows[:1]), weights, padding=reach)
    return (filtered / present).reshape(dos.shape)


def denoise(
    dos: torch.Tensor,
    grid: EnergyGrid,
    fermi_level: float | torch.Tensor,
    num_electrons: float | torch.Tensor,
    num_atoms: int | torch.Tensor,
    *,
    smearing: float,
    threshold: float = THRESHOLD,
    sharpness: float = SHARPNESS,
) -> torch.Tensor:
    r"""Remove noise where there are no states, and rescale the DOS so that the electrons fill it up to the Fermi level.

    .. math:: \mathrm{DOS}'(E) = a\, \mathrm{DOS}(E)\, \sigma\big(s\, [(g * \mathrm{DOS})(E) / N_\mathrm{atoms}
        - d]\big), \qquad \int_{-\infty}^{E_\mathrm{F}} dE\, \mathrm{DOS}'(E) = N

    with the logistic function :math:`\sigma`, a Gaussian filter g, threshold d and sharpness s; the second equation
    determines a. The procedure is that of the published PET-MAD-DOS calculator. It also treats real states below the
    threshold as noise: the band edges of an insulator, or the DOS of a semimetal at the Fermi level. For heat
    capacities, use the DOS as predicted.

    :param dos: in states/eV, shape ``(..., grid.size)``.
    :param grid: energies of its channels.
    :param fermi_level: predicted by the model, in eV on ``grid``: one number, or one per spectrum, shape ``(...)``.
    :param num_electrons: number of valence electrons of the structure, likewise.
    :param num_atoms: number of atoms of the structure, likewise.
    :param smearing: width of the filter, in eV: the smearing of the training data.
    :param threshold: d, in states/eV per atom.
    :param sharpness: s, in atoms eV/state: the factor goes from 0.27 to 0.73 within 2/s of the threshold.
    :return: float64, same shape as ``dos``.
    :raises ValueError: for inconsistent shapes, values that are not finite, a Fermi level outside the grid,
        or a DOS without electrons up to the Fermi level once the noise is removed.
    """
    _check_shape(dos, grid)
    if not torch.isfinite(dos).all():
        raise ValueError("expected a finite DOS, got NaN or infinity")
    level, electrons, atoms = (_per_spectrum(value, dos) for value in (fermi_level, num_electrons, num_atoms))
    if not ((level >= grid.start) & (level <= grid.stop)).all():
        raise ValueError(f"expected a Fermi level inside the grid, {grid}, got {level.flatten().tolist()} eV")
    if not ((electrons > 0) & torch.isfinite(electrons) & (atoms > 0)).all():
        raise ValueError(
            f"expected positive numbers of electrons and atoms, got {electrons.flatten().tolist()} and "
            f"{atoms.flatten().tolist()}"
        )
    filtered = gaussian_filter(dos, grid, smearing) / atoms.unsqueeze(-1)
    kept = dos.double() * torch.sigmoid(sharpness * (filtered - threshold))
    count = _count_below(kept, grid, level)
    if not (count > 0).all():
        raise ValueError(
            f"no electrons are left below the Fermi level, {level.flatten().tolist()} eV: expected a DOS above "
            f"{threshold:g} states/eV per atom there"
        )
    return kept * (electrons / count).unsqueeze(-1)


class Overlay(NamedTuple):
    """A spectrum shifted onto the energy axis of another one."""

    shift: float  # eV, to be added to the spectrum's own energies
    dos: torch.Tensor  # (reference_grid.size,) | states/eV, float64; NaN where the spectrum is not known
    difference: float  # root mean square over the channels that were compared | states/eV


def overlay(
    dos: torch.Tensor,
    grid: EnergyGrid,
    reference: torch.Tensor,
    reference_grid: EnergyGrid,
    max_shift: float,
) -> Overlay:
    r"""Shift a spectrum rigidly so that it matches another one as well as possible.

    The shift, within :math:`\pm` ``max_shift`` and in whole channels of the reference, minimises the sum of squared
    differences. As in the training of PET-MAD-DOS (:func:`~electrain.spectra.best_shift`), this includes states below
    the grid of the reference, where there should be none. Energies at which the spectrum is not known for all of these
    shifts are not compared.

    :param dos: in states/eV, shape ``(grid.size,)``; zero below its grid.
    :param grid: energies of its channels, in eV from any zero.
    :param reference: in states/eV, shape ``(reference_grid.size,)``; NaN where it is not known.
    :param reference_grid: energies of its channels, in eV from any zero.
    :param max_shift: in eV.
    :raises ValueError: for inconsistent shapes, a DOS that is not finite, a negative shift, or spectra without
        common energies.
    """
    values = grid.checked(dos)
    if tuple(reference.shape) != (reference_grid.size,):
        raise ValueError(f"expected a reference of shape ({reference_grid.size},), got {tuple(reference.shape)}")
    if not (math.isfinite(max_shift) and max_shift >= 0):
        raise ValueError(f"expected a shift in eV that is not negative, got {max_shift}")
    step = reference_grid.step
    most = math.floor(max_shift / step + _CHANNEL_TOLERANCE)
    known = reference.detach().to("cpu", torch.float64)
    energies = reference_grid.energies()
    trusted = torch.isfinite(known) & (energies + most * step <= grid.stop + _CHANNEL_TOLERANCE * grid.step)
    if not trusted.any():
        raise ValueError(
            f"the spectrum on {grid} and the reference on {reference_grid} have no energies in common for shifts of "
            f"up to {max_shift:g} eV"
        )
    # Channel c of the extended axis, moved up by `most - shift` channels, coincides with channel c - shift.
    extended = EnergyGrid(reference_grid.start - most * step, step, reference_grid.size + 2 * most)
    prediction = interpolated(values, grid, extended.energies()).nan_to_num()
    channels = int(best_shift(prediction[None], known[None], trusted[None])[0])
    shift = step * (most - channels)
    moved = interpolated(values, grid, energies - shift)
    difference = (moved - known)[trusted].square().mean().sqrt()
    return Overlay(shift, moved, float(difference))


def interpolated(dos: torch.Tensor, grid: EnergyGrid, energies: torch.Tensor) -> torch.Tensor:
    """Interpolate a spectrum linearly at other energies.

    :param dos: in states/eV, shape ``(..., grid.size)``.
    :param grid: energies of its channels.
    :param energies: in eV, shape ``(num_energies,)``.
    :return: float64, shape ``(..., num_energies)``: zero below the grid, where there are no states, and NaN above
        it, where nothing is known.
    :raises ValueError: for another shape, or a grid with one channel.
    """
    _check_shape(dos, grid)
    if grid.size < 2:
        raise ValueError(f"expected a spectrum of two channels at least, got {grid}")
    positions = (energies.to(dos.device, torch.float64) - grid.start) / grid.step
    positions = torch.where(positions.abs() < _CHANNEL_TOLERANCE, 0.0, positions)
    beyond = positions > grid.size - 1 + _CHANNEL_TOLERANCE
    lower = positions.floor().long().clamp(0, grid.size - 2)
    fraction = positions - lower
    spectra = dos.double()
    values = (1.0 - fraction) * spectra[..., lower] + fraction * spectra[..., lower + 1]
    values = torch.where(positions < 0, 0.0, values)
    return torch.where(beyond, torch.nan, values)


def _count_below(dos: torch.Tensor, grid: EnergyGrid, level: torch.Tensor) -> torch.Tensor:
    """Number of electrons up to a level inside the grid; the DOS is linear between channels. Shape ``(...)``."""
    position = (level - grid.start) / grid.step
    channel = position.floor().long().clamp(0, max(grid.size - 2, 0)).unsqueeze(-1)
    fraction = (position.unsqueeze(-1) - channel).clamp(0.0, 1.0)
    cold = torch.nn.functional.pad((0.5 * grid.step * (dos[..., 1:] + dos[..., :-1])).cumsum(-1), (1, 0))
    here, above = dos.gather(-1, channel), dos.gather(-1, (channel + 1).clamp_max(grid.size - 1))
    part = grid.step * fraction * (here + 0.5 * fraction * (above - here))
    return (cold.gather(-1, channel) + part).squeeze(-1)


def _check_shape(dos: torch.Tensor, grid: EnergyGrid) -> None:
    if dos.dim() == 0 or dos.shape[-1] != grid.size:
        raise ValueError(f"expected spectra of shape (..., {grid.size}), got {tuple(dos.shape)}")


def _per_spectrum(value: float | torch.Tensor, dos: torch.Tensor) -> torch.Tensor:
    values = torch.as_tensor(value, dtype=torch.float64, device=dos.device)
    if values.dim() > 0 and values.shape != dos.shape[:-1]:
        raise ValueError(
            f"expected one number or one per spectrum, shape {tuple(dos.shape[:-1])}, got {tuple(values.shape)}"
        )
    return values.expand(dos.shape[:-1])
