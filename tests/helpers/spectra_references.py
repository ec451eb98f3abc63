"""Slow, obvious versions of what is tested here: one structure, one channel, one shift at a time."""

import math

import torch


def slow_density_of_states(eigenvalues, weights, grid, smearing):
    """Equations 1 and 2 by loops over spins, k-points and bands."""
    energies = grid.energies()
    dos = torch.zeros_like(energies)
    spins = eigenvalues if eigenvalues.dim() == 3 else eigenvalues[None]
    for of_spin in spins:
        for of_k, weight in zip(of_spin, weights, strict=True):
            for eigenvalue in of_k:
                gaussian = torch.exp(-((energies - eigenvalue) ** 2) / (2 * smearing**2))
                dos += weight * gaussian / math.sqrt(2 * math.pi * smearing**2)
    return dos


def slow_costs(prediction, target, trusted):
    """Return the sum of squares of one structure at every shift, as a list."""
    costs = []
    for shift in range(len(prediction) - len(target) + 1):
        cost = sum(float(prediction[j]) ** 2 for j in range(shift))
        for i in range(len(target)):
            if trusted[i]:
                cost += (float(prediction[shift + i]) - float(target[i])) ** 2
        costs.append(cost)
    return costs


def slow_terms(prediction, target, trusted, step):
    """Alignment, gradient and cumulative term of one structure, as numbers."""
    costs = slow_costs(prediction, target, trusted)
    shift = costs.index(min(costs))
    num_trusted = sum(bool(flag) for flag in trusted)
    alignment = step * costs[shift]
    gradient, running, cumulative = 0.0, 0.0, 0.0
    if num_trusted:
        for j in range(shift + num_trusted, len(prediction)):
            gradient += step * (float(prediction[j] - prediction[j - 1]) / step) ** 2
    for i in range(num_trusted):
        running += step * float(prediction[shift + i] - target[i])
        cumulative += step * running**2
    return alignment, gradient, cumulative


def lower_channels(lengths, num_channels):
    """Masks of the lowest channels, bool, shape ``(batch, num_channels)``."""
    return torch.arange(num_channels) < torch.as_tensor(lengths)[:, None]


def random_batch(seed, lengths, num_channels=23, max_shift=9):
    """Noise as prediction and target, NaN where the target is not trusted."""
    generator = torch.Generator().manual_seed(seed)
    trusted = lower_channels(lengths, num_channels)
    batch = len(lengths)
    prediction = torch.randn(batch, num_channels + max_shift, generator=generator, dtype=torch.float64)
    target = torch.rand(batch, num_channels, generator=generator, dtype=torch.float64)
    return prediction, torch.where(trusted, target, torch.nan), trusted


def gaussian(energies, center, width):
    """One normalised peak."""
    return torch.exp(-((energies - center) ** 2) / (2 * width**2)) / math.sqrt(2 * math.pi * width**2)
