"""Smooth cutoff functions and cutoff radii that adapt to the number of neighbors."""

import math
from typing import NamedTuple

import torch

# TorchScript: functions cannot read module-level numbers, so constants are default arguments below.

# Margin that keeps the argument of the bump function away from the poles of its cotangent.
_BUMP_MARGIN = 1e-6
_NEWTON_STEPS = 10


class Cutoff(NamedTuple):
    """Which pairs of atoms see each other, and how they fade out; lengths in Angstrom."""

    radius: float
    width: float  # of the step at the radius
    function: str = "cosine"  # shape of the step: "cosine" or "bump"
    # If set, each atom's radius shrinks until about so many neighbors are left, counted with steps of this width, by
    # "solver" or "grid", see `adaptive_cutoffs`.
    num_neighbors: float | None = None
    count_width: float = 1.0
    method: str = "solver"


class NeighborCount(NamedTuple):
    """How many neighbors an atom shall have, and how they are counted; lengths in Angstrom."""

    number: float
    max_cutoff: float  # the largest radius
    width: float  # of the bump function that counts


def bump_cutoff(
    distances: torch.Tensor, cutoffs: torch.Tensor, width: float, margin: float = _BUMP_MARGIN
) -> torch.Tensor:
    """Infinitely smooth step: 1 below ``cutoff - width``, 0 beyond ``cutoff``.

    ``f = (1 + tanh(cot(pi s))) / 2`` with ``s = (distance - cutoff + width) / width``.

    :param distances: in Angstrom, any shape.
    :param cutoffs: in Angstrom, broadcastable to ``distances``.
    :param width: of the transition, in Angstrom.
    """
    scaled = ((distances - cutoffs + width) / width).clamp(margin, 1.0 - margin)
    return 0.5 * (1.0 + torch.tanh(1.0 / torch.tan(math.pi * scaled)))


def cosine_cutoff(distances: torch.Tensor, cutoffs: torch.Tensor, width: float) -> torch.Tensor:
    """Cosine step ``f = (1 + cos(pi s)) / 2``; arguments as in :func:`bump_cutoff`."""
    scaled = ((distances - cutoffs + width) / width).clamp(0.0, 1.0)
    return 0.5 * (1.0 + torch.cos(math.pi * scaled))


def cutoff_weights(distances: torch.Tensor, cutoffs: torch.Tensor, width: float, function: str) -> torch.Tensor:
    """The cutoff function called ``"bump"`` or ``"cosine"``."""
    if function == "bump":
        return bump_cutoff(distances, cutoffs, width)
    elif function == "cosine":
        return cosine_cutoff(distances, cutoffs, width)
    else:
        raise ValueError("cutoff_function must be 'cosine' or 'bump', got '" + function + "'")


def adaptive_cutoffs(
    distances: torch.Tensor,
    centers: torch.Tensor,
    num_atoms: int,
    wanted: NeighborCount,
    method: str,
) -> torch.Tensor:
    """A cutoff radius for every atom within which it has about as many neighbors as wanted.

    :param distances: (num_pairs,) in Angstrom.
    :param centers: (num_pairs,) central atom of each pair.
    :param num_atoms: number of atoms.
    :param wanted: number of neighbors.
    :param method: ``"solver"`` finds the root of the smooth count; ``"grid"`` averages over a grid of radii,
        which older checkpoints need.
    :return: (num_atoms,) radii in Angstrom, differentiable with respect to ``distances``.
    """
    if method == "solver":
        return _solver_cutoffs(distances, centers, num_atoms, wanted)
    elif method == "grid":
        return _grid_cutoffs(distances, centers, num_atoms, wanted)
    else:
        raise ValueError("adaptive_cutoff_method must be 'solver' or 'grid', got '" + method + "'")


def _excess_neighbors(
    radii: torch.Tensor,
    distances: torch.Tensor,
    centers: torch.Tensor,
    wanted: NeighborCount,
) -> torch.Tensor:
    """Smooth neighbor count at ``radii`` plus ``number * (r / max_cutoff)^3``, minus ``number``.

    The cubic term, the count in a uniform medium, makes the function increase strictly from ``-number`` at 0
    to a non-negative value at ``max_cutoff``, so there is exactly one root for any neighborhood.
    """
    counts = torch.zeros_like(radii).index_add(0, centers, bump_cutoff(distances, radii[centers], wanted.width))
    return counts + wanted.number * (radii / wanted.max_cutoff) ** 3 - wanted.number


def _excess_slope(
    radii: torch.Tensor,
    distances: torch.Tensor,
    centers: torch.Tensor,
    wanted: NeighborCount,
    margin: float = _BUMP_MARGIN,
) -> torch.Tensor:
    """Derivative of :func:`_excess_neighbors` with respect to the radii, from the bump's own derivative."""
    scaled = (distances - radii[centers] + wanted.width) / wanted.width
    active = (scaled > 0.0) & (scaled < 1.0)
    angle = math.pi * scaled.clamp(margin, 1.0 - margin)
    tanh = torch.tanh(1.0 / torch.tan(angle))
    slopes = 0.5 * math.pi / wanted.width * (1.0 - tanh**2) / torch.sin(angle) ** 2
    slopes = torch.where(active, slopes, torch.zeros_like(slopes))
    total = torch.zeros_like(radii).index_add(0, centers, slopes)
    return total + 3.0 * wanted.number * radii**2 / wanted.max_cutoff**3


def _solver_cutoffs(
    distances: torch.Tensor,
    centers: torch.Tensor,
    num_atoms: int,
    wanted: NeighborCount,
    newton_steps: int = _NEWTON_STEPS,
) -> torch.Tensor:
    """Newton steps inside a shrinking bracket, then one differentiable step (implicit function theorem)."""
    fixed = distances.detach()
    lower = torch.zeros(num_atoms, dtype=fixed.dtype, device=fixed.device)
    upper = torch.full_like(lower, wanted.max_cutoff)
    radii = 0.5 * upper
    for _ in range(newton_steps):
        excess = _excess_neighbors(radii, fixed, centers, wanted)
        slope = _excess_slope(radii, fixed, centers, wanted).clamp_min(1e-6)
        lower = torch.where(excess <= 0, radii, lower)
        upper = torch.where(excess <= 0, upper, radii)
        newton = radii - excess / slope
        inside = (newton >= lower) & (newton <= upper)
        radii = torch.where(inside, newton, 0.5 * (lower + upper))
    slope = _excess_slope(radii, fixed, centers, wanted).clamp_min(1e-6)
    excess = _excess_neighbors(radii, distances, centers, wanted)
    return (radii - excess / slope).clamp(wanted.max_cutoff / 16.0, wanted.max_cutoff)


def _grid_cutoffs(
    distances: torch.Tensor,
    centers: torch.Tensor,
    num_atoms: int,
    wanted: NeighborCount,
) -> torch.Tensor:
    """Gaussian-weighted mean over radii from 0.5 A in steps of ``width / 4``, centred where the count is as desired."""
    probes = torch.arange(0.5, wanted.max_cutoff, wanted.width / 4.0, dtype=distances.dtype, device=distances.device)
    if num_atoms == 0:
        return torch.zeros(0, dtype=distances.dtype, device=distances.device)
    weights = bump_cutoff(distances.unsqueeze(1), probes.unsqueeze(0), wanted.width)
    counts = torch.zeros(num_atoms, len(probes), dtype=distances.dtype, device=distances.device)
    counts = counts.index_add(0, centers, weights)
    uniform = torch.linspace(0.0, 1.0, len(probes), dtype=distances.dtype, device=distances.device) ** 3
    excess = counts + wanted.number * uniform - wanted.number
    # The width of the Gaussian is the local slope of the count, so about one probe on either side contributes.
    slope = torch.gradient(excess, dim=[1])[0].abs().clamp_min(1e-12)
    exponent = -0.5 * (excess / slope) ** 2
    # Taking the maximum over each atom's own probes keeps its radius independent of the batch.
    gaussian = torch.exp(exponent - exponent.max(dim=1, keepdim=True)[0])
    return (gaussian / gaussian.sum(dim=1, keepdim=True)) @ probes
