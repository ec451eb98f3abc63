"""The free energy of hot electrons as TorchScript, against the exact integrals and known results."""

import math

import pytest
import torch
from spectra_references import gaussian

from electrain.spectra import EnergyGrid, fermi_level, free_energy
from electrain.spectra.electronic_free_energy import HotElectrons
from electrain.spectra.fermi import BOLTZMANN

GRID = EnergyGrid(-8.0, 0.1, 161)
ENERGIES = GRID.energies()
SPECTRA = torch.stack(
    [
        3 * gaussian(ENERGIES, -2.0, 1.0) + 2 * gaussian(ENERGIES, 1.0, 0.7),
        5 * gaussian(ENERGIES, 0.0, 1.4),
        4 * gaussian(ENERGIES, -3.0, 0.9) + 4 * gaussian(ENERGIES, 2.0, 0.9),
    ]
)
ELECTRONS = torch.tensor([3.4, 1.2, 4.0], dtype=torch.float64)


@pytest.mark.parametrize("temperature", [3.0, 300.0, 3000.0, 6000.0])
def test_equals_the_free_energy_and_its_derivatives(temperature):
    """Several spectra at once, scripted; the reference is exact and written independently."""
    module = torch.jit.script(HotElectrons(GRID, temperature))
    spectra, reference = SPECTRA.clone().requires_grad_(), SPECTRA.clone().requires_grad_()
    found = module(spectra, ELECTRONS)
    expected = free_energy(reference, GRID, ELECTRONS, temperature)
    torch.testing.assert_close(found[:2], expected[:2], rtol=1e-7, atol=1e-15)
    # The reference has Fermi levels in the middle of where a millionth of the electrons is missing or too many: far
    # off for the third one, which has them in a gap.
    torch.testing.assert_close(found[2], expected[2], rtol=1e-4, atol=1e-12)
    found[:2].sum().backward()
    expected[:2].sum().backward()
    torch.testing.assert_close(spectra.grad, reference.grad, rtol=1e-5, atol=1e-14)
    assert expected[0] < 0


def test_levels():
    levels = HotElectrons(GRID, 3000.0).levels(SPECTRA, ELECTRONS)
    for row in range(3):
        for temperature, level in ((0.0, levels.cold), (3000.0, levels.hot)):
            expected = fermi_level(SPECTRA[row], GRID, float(ELECTRONS[row]), temperature)
            assert float(level[row]) == pytest.approx(expected, abs=1e-5)


def test_free_electrons():
    """Sommerfeld: F = -pi^2 / 6 DOS(mu) (kB T)^2, the next order is (kB T / mu)^2 smaller."""
    grid = EnergyGrid(0.0, 0.002, 8001)
    dos = grid.energies().sqrt()
    level, temperature = 5.0, 600.0
    electrons = 2 / 3 * level**1.5
    found = HotElectrons(grid, temperature)(dos[None], torch.tensor([electrons], dtype=torch.float64))
    expected = -(math.pi**2) / 6 * math.sqrt(level) * (BOLTZMANN * temperature) ** 2
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_derivatives_by_finite_differences():
    module = HotElectrons(GRID, 4000.0)
    directions = torch.stack([gaussian(ENERGIES, center, 0.5) for center in (-1.0, 0.0, 0.4, 2.0)])

    def energies(amplitudes, electrons):
        return module(SPECTRA[:2] + amplitudes @ directions, electrons)

    amplitudes = torch.full((2, 4), 0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(energies, (amplitudes, ELECTRONS[:2].clone().requires_grad_()))


def test_negative_values_count_as_zero():
    module = HotElectrons(GRID, 3000.0)
    noisy = SPECTRA - 0.01
    assert (noisy < 0).any()
    torch.testing.assert_close(module(noisy, ELECTRONS), module(noisy.clamp_min(0.0), ELECTRONS))


def test_shares_add_up():
    """A structure in two parts with the levels of the whole."""
    module = HotElectrons(GRID, 5000.0)
    levels = module.levels(SPECTRA[:1] + SPECTRA[1:2], ELECTRONS[:1] + ELECTRONS[1:2])
    whole = module(SPECTRA[:1] + SPECTRA[1:2], ELECTRONS[:1] + ELECTRONS[1:2])
    parts = sum(module.at_levels(SPECTRA[i : i + 1], ELECTRONS[i : i + 1], levels) for i in range(2))
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize(
    ("temperature", "spectra", "electrons", "message"),
    [
        (0.0, SPECTRA, ELECTRONS, "expected a positive electronic temperature in K, got 0"),
        (5e-324, SPECTRA, ELECTRONS, "expected a positive electronic temperature in K, got 4.9"),
        (math.nan, SPECTRA, ELECTRONS, "expected a positive electronic temperature in K, got nan"),
        (
            300.0,
            SPECTRA,
            3 * ELECTRONS,
            r"no Fermi level inside .* structure 0 holds 4.999.* at most, got 10.2",
        ),
        (300.0, SPECTRA, 0 * ELECTRONS, "no Fermi level inside the energy grid"),
        (300.0, SPECTRA * torch.nan, ELECTRONS, "expected a finite density of states"),
        (9000.0, torch.ones_like(SPECTRA), ELECTRONS, "closer than 15 kB T to the Fermi level, -4.6.* eV, at 9000.0 K"),
    ],
)
def test_errors(temperature, spectra, electrons, message):
    with pytest.raises(ValueError, match=message):
        HotElectrons(GRID, temperature)(spectra, electrons)


def test_too_hot_for_the_axis():
    """However little the DOS has at its end: of the states above it nothing is known."""
    with pytest.raises(ValueError, match=r"^1e\+09 K is too hot for this model's axis, .*at most 18,567 K"):
        HotElectrons(GRID, 1e9)
    assert float(SPECTRA[1, -1]) < 1e-6 * float(SPECTRA[1].max())
    level = float(HotElectrons(GRID, 300.0).levels(SPECTRA[1:2], ELECTRONS[1:2]).cold)
    limit = (GRID.stop - level) / (10 * BOLTZMANN)
    assert limit < 18_000
    module = torch.jit.script(HotElectrons(GRID, 1.001 * limit))
    with pytest.raises(
        torch.jit.Error, match=r"K is too hot for this model's axis, which ends .* above the Fermi level"
    ):
        module(SPECTRA[1:2], ELECTRONS[1:2])
