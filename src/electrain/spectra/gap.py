"""Band gaps: from eigenvalues by filling states, and from a density of states with a threshold."""

import math

import torch

from .broadening import as_spin_channels
from .grid import EnergyGrid

# Electron counts are read from files; a number of filled bands this close to an integer counts as an integer.
_FILLING_TOLERANCE = 1e-6


def gap_from_eigenvalues(eigenvalues: torch.Tensor, num_electrons: float) -> float:
    r"""Band gap :math:`\max(0, E_\mathrm{CBM} - E_\mathrm{VBM})`, in eV, after filling the lowest states.

    Zero for a metal (bands overlap) and if :func:`band_edges` finds no integer number of filled bands. Arguments and
    errors are as for :func:`band_edges`.
    """
    edges = band_edges(eigenvalues, num_electrons)
    return 0.0 if edges is None else max(0.0, edges[1] - edges[0])


def band_edges(eigenvalues: torch.Tensor, num_electrons: float) -> tuple[float, float] | None:
    r"""Highest filled and lowest empty state, :math:`E_\mathrm{VBM}` and :math:`E_\mathrm{CBM}`, in eV.

    At every k-point the lowest ``num_electrons / 2`` states are filled, or, with two spins, the lowest
    ``num_electrons`` of both together. In a metal the first may be above the second. The result is ``None`` if
    that number is not an integer, e.g. for an odd number of electrons without spin polarisation.

    :param eigenvalues: in eV, shape ``(num_k, num_bands)`` or ``(1, num_k, num_bands)`` with two electrons
        per state, or ``(2, num_k, num_bands)`` with one.
    :param num_electrons: number of electrons in the cell.
    :raises ValueError: for another shape, values that are not finite, a number of electrons that is not
        positive, or no empty band.
    """
    num_spin, num_k, _ = as_spin_channels(eigenvalues).shape
    states = as_spin_channels(eigenvalues).transpose(0, 1).reshape(num_k, -1).sort(dim=1).values
    if not (math.isfinite(num_electrons) and num_electrons > 0):
        raise ValueError(f"expected a positive number of electrons, got {num_electrons}")
    filling = num_electrons / (2 if num_spin == 1 else 1)
    if math.floor(filling + _FILLING_TOLERANCE) >= states.shape[1]:
        raise ValueError(
            f"{num_electrons:g} electrons fill {filling:g} states per k-point: expected more of them, one of "
            f"which is not filled, got {states.shape[1]}"
        )
    num_filled = round(filling)
    if abs(filling - num_filled) > _FILLING_TOLERANCE:
        return None
    return float(states[:, num_filled - 1].max()), float(states[:, num_filled].min())


def gap_errors(predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Errors of predicted gaps that can be compared with their uncertainties.

    A metal that is predicted as one has no gap that could be off: both are cut off at zero, however sure the model is.

    :param predicted: in eV, any shape.
    :param true: in eV, the same shape; NaN if unknown.
    :return: predicted minus true gaps in eV; NaN if unknown, and for metals that are predicted as such.
    """
    return torch.where((predicted > 0) | (true > 0), predicted - true, torch.nan)


def gap_from_dos(dos: torch.Tensor, grid: EnergyGrid, fermi_level: float, threshold: float) -> float:
    """Width, in eV, of the range around the Fermi level in which the DOS stays below a threshold.

    The DOS is linear between channels. The gap is zero if the DOS at the Fermi level is not below the threshold.
    Broadening reduces the gap by a few smearings, depending on the threshold.

    :param dos: in states/eV, shape ``(grid.size,)``.
    :param grid: energies of its channels.
    :param fermi_level: in eV.
    :param threshold: in states/eV.
    :raises ValueError: for another shape of the DOS, values that are not finite, a threshold that is not
        positive, a Fermi level outside the grid, or a DOS that stays below the threshold on one side.
    """
    excess = grid.checked(dos) - threshold
    if not threshold > 0:
        raise ValueError(f"expected a positive threshold in states/eV, got {threshold}")
    position = (fermi_level - grid.start) / grid.step
    if not 0 <= position <= grid.size - 1:
        raise ValueError(f"the Fermi level, {fermi_level:g} eV, is outside the grid, {grid}")
    below, above = math.floor(position), math.ceil(position)
    fraction = position - below
    if (1 - fraction) * excess[below] + fraction * excess[above] >= 0:
        return 0.0

    states = (excess >= 0).nonzero().flatten()
    valence, conduction = states[states <= below], states[states >= above]
    for side, found in (("below", valence), ("above", conduction)):
        if found.numel() == 0:
            raise ValueError(
                f"the DOS does not reach {threshold:g} states/eV {side} the Fermi level, "
                f"{fermi_level:g} eV, in {grid}: the gap has no edge there"
            )
    return grid.step * (_edge(excess, int(conduction[0]), -1) - _edge(excess, int(valence[-1]), 1))


def _edge(excess: torch.Tensor, channel: int, direction: int) -> float:
    """Position, in channels, at which the DOS passes the threshold between a channel with states and its neighbor."""
    inside, outside = float(excess[channel]), float(excess[channel + direction])
    return channel + direction * inside / (inside - outside)
