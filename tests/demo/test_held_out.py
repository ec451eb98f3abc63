"""Held-out comparisons."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from electrain.data import Calculation, dos_target
from electrain.data.targets import choose_axis
from electrain.demo.held_out import compare
from electrain.results import ElectronicStructure


def calculation(symbol="Si", seed=0):
    random = np.random.default_rng(seed)
    filled, empty = random.uniform(-8, -1, (5, 4)), random.uniform(1, 9, (5, 6))
    weights = random.uniform(0.2, 1.0, 5)
    return Calculation(
        atoms=bulk(symbol),
        eigenvalues=np.sort(np.hstack([filled, empty]), axis=1)[None],
        weights=2 * weights / weights.sum(),
        fermi_level=0.0,
        source="made up",
        num_electrons=8.0,
    )


def prediction(calculation, axis, *, channels, fermi_level, gap=1.0):
    """The calculation's own density of states, moved down by some channels; nothing above the trusted range."""
    values = torch.roll(torch.nan_to_num(dos_target(calculation, axis)), -channels)
    energies = axis.grid.energies().numpy() - fermi_level
    return ElectronicStructure(calculation.atoms, energies, values.numpy(), gap, fermi_level)


def test_compare_finds_shift_and_fermi_level():
    silicon = calculation()
    axis = choose_axis([silicon], step=0.05, smearing=0.3, max_shift=10.0)
    result = prediction(silicon, axis, channels=30, fermi_level=-1.2)
    comparison = compare(silicon, result, axis)
    assert comparison.error == pytest.approx(0, abs=1e-12)
    assert comparison.fermi_level_error == pytest.approx(-1.2 + 30 * 0.05)
    assert comparison.band_gap_error == pytest.approx(1.0 - comparison.dft_band_gap)
    known = ~torch.isnan(comparison.target)
    torch.testing.assert_close(comparison.predicted[known], comparison.target[known])
    assert comparison.energies[0] == pytest.approx(axis.target_grid.start)


def test_compare_equals_a_slow_reference():
    silicon = calculation()
    axis = choose_axis([silicon], step=0.1, smearing=0.3, max_shift=2.0)
    noise = np.random.default_rng(1).normal(size=axis.grid.size)
    result = prediction(silicon, axis, channels=7, fermi_level=0.0)
    noisy = ElectronicStructure(result.atoms, result.energies, result.density_of_states + noise, 0.0, 0.0)
    target = dos_target(silicon, axis).numpy()[axis.max_shift :]
    known = np.isfinite(target)
    squares = []
    for shift in range(axis.max_shift + 1):
        window = noisy.density_of_states[shift : shift + len(target)]
        below = noisy.density_of_states[:shift]
        squares.append(((window - target)[known] ** 2).sum() + (below**2).sum())
    expected = np.sqrt(min(squares) / target[known].sum())
    assert compare(silicon, noisy, axis).error == pytest.approx(expected, rel=1e-10)


def test_missing_heads_have_no_error():
    silicon = calculation()
    axis = choose_axis([silicon], step=0.05, smearing=0.3, max_shift=10.0)
    values = torch.nan_to_num(dos_target(silicon, axis)).numpy()
    comparison = compare(silicon, ElectronicStructure(silicon.atoms, axis.grid.energies().numpy(), values), axis)
    assert comparison.fermi_level_error is None
    assert comparison.band_gap_error is None
