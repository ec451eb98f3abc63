"""Noise removed from spectra, and spectra laid over each other."""

import math

import pytest
import torch
from spectra_references import gaussian

from electrain.spectra import EnergyGrid, count_electrons
from electrain.spectra.postprocessing import denoise, gaussian_filter, interpolated, overlay

GRID = EnergyGrid(-8.0, 0.1, 161)
ENERGIES = GRID.energies()
INSULATOR = 8 * gaussian(ENERGIES, -3.0, 0.5) + 6 * gaussian(ENERGIES, 4.0, 0.6)


def noisy(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return INSULATOR + 0.05 * torch.randn(GRID.size, generator=generator, dtype=torch.float64)


def slow_denoise(dos, level, electrons, atoms, smearing, threshold, sharpness):
    """Channel by channel, as the formula says."""
    kept = []
    for i in range(GRID.size):
        weights = [math.exp(-0.5 * ((i - j) * GRID.step / smearing) ** 2) for j in range(GRID.size)]
        filtered = sum(w * float(d) for w, d in zip(weights, dos, strict=True)) / sum(weights) / atoms
        kept.append(float(dos[i]) / (1 + math.exp(-sharpness * (filtered - threshold))))
    kept = torch.tensor(kept, dtype=torch.float64)
    return kept * electrons / count_electrons(kept, GRID, level)


def test_denoise_matches_its_definition():
    expected = slow_denoise(noisy(), 0.53, 8.0, 2, 0.3, 0.1, 100.0)
    torch.testing.assert_close(denoise(noisy(), GRID, 0.53, 8.0, 2, smearing=0.3), expected, rtol=1e-10, atol=1e-12)
    expected = slow_denoise(noisy(), -3.0, 3.0, 2, 0.2, 0.2, 40.0)
    found = denoise(noisy(), GRID, -3.0, 3.0, 2, smearing=0.2, threshold=0.2, sharpness=40.0)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_denoise_removes_noise_and_keeps_the_electrons():
    found = denoise(noisy(), GRID, 0.53, 8.0, 2, smearing=0.3)
    assert count_electrons(found, GRID, 0.53) == pytest.approx(8.0, abs=1e-12)
    assert found[(ENERGIES > -0.5) & (ENERGIES < 1.5)].abs().max() < 1e-3  # the gap
    assert noisy()[(ENERGIES > -0.5) & (ENERGIES < 1.5)].abs().max() > 0.05
    # of a spectrum without noise, little is taken away
    torch.testing.assert_close(denoise(INSULATOR, GRID, 0.5, 8.0, 2, smearing=0.3), INSULATOR, atol=0.25, rtol=0)


def test_denoise_spectra_together_and_per_atom():
    """A supercell has the same spectrum per atom; each of several spectra is treated as if it were alone."""
    spectra = torch.stack([noisy(0), 3 * noisy(0), noisy(1)]).float()
    levels, electrons = torch.tensor([0.5, 0.5, -3.0]), torch.tensor([8.0, 24.0, 5.0])
    together = denoise(spectra, GRID, levels, electrons, torch.tensor([2, 6, 2]), smearing=0.3)
    assert together.dtype == torch.float64
    torch.testing.assert_close(together[1], 3 * together[0], rtol=1e-5, atol=1e-6)
    alone = denoise(spectra[2], GRID, -3.0, 5.0, 2, smearing=0.3)
    torch.testing.assert_close(together[2], alone, rtol=1e-12, atol=1e-14)


def test_gaussian_filter():
    torch.testing.assert_close(gaussian_filter(torch.ones(2, GRID.size), GRID, 0.3), torch.ones(2, GRID.size).double())
    wide = gaussian_filter(gaussian(ENERGIES, 0.0, 0.4), GRID, 0.3)
    torch.testing.assert_close(wide, gaussian(ENERGIES, 0.0, 0.5), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fermi_level": 9.0}, r"expected a Fermi level inside the grid, -8 \.\.\. 8 eV .*, got \[9.0\] eV"),
        ({"num_electrons": 0.0}, r"expected positive numbers of electrons and atoms, got \[0.0\] and \[2.0\]"),
        ({"num_electrons": torch.ones(3)}, r"one number or one per spectrum, shape \(\), got \(3,\)"),
        ({"smearing": 0.0}, "expected a positive smearing in eV, got 0"),
        ({"dos": torch.zeros(GRID.size)}, r"no electrons are left below the Fermi level, \[0.0\] eV: expected a DOS"),
        ({"dos": torch.full((GRID.size,), torch.nan)}, "expected a finite DOS"),
        ({"dos": torch.zeros(3)}, r"expected spectra of shape \(\.\.\., 161\), got \(3,\)"),
    ],
)
def test_denoise_errors(changes, message):
    arguments = {"dos": INSULATOR, "fermi_level": 0.0, "num_electrons": 8.0, "num_atoms": 2, "smearing": 0.3}
    arguments |= changes
    with pytest.raises(ValueError, match=message):
        denoise(grid=GRID, **arguments)


@pytest.mark.parametrize("shift", [-2.3, 0.0, 1.7])
def test_overlay_finds_a_shift(shift):
    """Grids of other steps and ends, a reference that ends at 5 eV."""
    grid = EnergyGrid(-12.0, 0.05, 440)  # up to 9.95 eV
    own = grid.energies()
    dos = 8 * gaussian(own, -3.0 - shift, 0.5) + 6 * gaussian(own, 4.0 - shift, 0.6)
    reference = torch.where(ENERGIES < 5.0, INSULATOR, torch.nan)
    found = overlay(dos, grid, reference, GRID, max_shift=3.0)
    assert found.shift == pytest.approx(shift, abs=1e-9)
    assert found.difference < 1e-3
    torch.testing.assert_close(found.dos[ENERGIES < 5.0], INSULATOR[ENERGIES < 5.0], rtol=0, atol=2e-3)
    assert torch.isnan(found.dos[9.95 + shift + 1e-6 < ENERGIES]).all()


def test_overlay_is_the_best_one():
    """No shift within the limits is better, by brute force; the limit itself holds."""
    dos = noisy(3) + 3 * gaussian(ENERGIES, 1.0, 0.4)
    reference = torch.where(ENERGIES < 6.0, INSULATOR, torch.nan)

    def cost(channels):
        moved = torch.zeros(GRID.size, dtype=torch.float64)
        for i in range(GRID.size):
            moved[i] = dos[i - channels] if 0 <= i - channels < GRID.size else 0.0
        compared = ENERGIES < 6.0
        lost = dos[: max(0, -channels)].square().sum()
        return float((moved - INSULATOR)[compared].square().sum() + lost)

    costs = {channels: cost(channels) for channels in range(-15, 16)}
    found = overlay(dos, GRID, reference, GRID, max_shift=1.5)
    assert found.shift == pytest.approx(GRID.step * min(costs, key=costs.get))
    assert abs(overlay(dos, GRID, torch.roll(reference, 40), GRID, max_shift=1.5).shift) <= 1.5 + 1e-9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": torch.zeros(3)}, r"expected a reference of shape \(161,\), got \(3,\)"),
        ({"max_shift": -1.0}, "expected a shift in eV that is not negative, got -1"),
        ({"max_shift": 17.0}, "have no energies in common for shifts of up to 17 eV"),
        ({"dos": torch.zeros(3)}, r"expected one spectrum of shape \(161,\)"),
    ],
)
def test_overlay_errors(changes, message):
    arguments = {"dos": INSULATOR, "reference": INSULATOR, "max_shift": 1.0} | changes
    with pytest.raises(ValueError, match=message):
        overlay(grid=GRID, reference_grid=GRID, **arguments)


def test_interpolated():
    energies = torch.tensor([-9.0, -8.0 - 1e-12, -8.0, 0.04, 8.0, 8.0 + 1e-9, 8.1], dtype=torch.float64)
    line = torch.stack([ENERGIES, 2 * ENERGIES])
    expected = torch.tensor([0.0, -8.0, -8.0, 0.04, 8.0, 8.0, torch.nan], dtype=torch.float64)
    found = interpolated(line, GRID, energies)
    torch.testing.assert_close(found, torch.stack([expected, 2 * expected]), equal_nan=True)
    with pytest.raises(ValueError, match="two channels at least"):
        interpolated(torch.ones(1), EnergyGrid(0.0, 1.0, 1), energies)
