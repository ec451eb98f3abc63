import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from spectra_references import gaussian

from electrain.spectra import (
    EnergyGrid,
    count_electrons,
    electronic_energy,
    electronic_entropy,
    electronic_quantities,
    fermi_level,
    free_energy,
    heat_capacity,
    heat_capacity_by_differences,
)
from electrain.spectra.fermi import BOLTZMANN

GRID = EnergyGrid(-8.0, 0.1, 161)
ENERGIES = GRID.energies()
METAL = 3 * gaussian(ENERGIES, -2.0, 1.0) + 2 * gaussian(ENERGIES, 1.0, 0.7)  # five states, a minimum at 0 eV
ELECTRONS = 3.4
FUNCTIONS = [electronic_energy, electronic_entropy, free_energy, heat_capacity, heat_capacity_by_differences]


def occupation(energy, level, temperature):
    return 0.5 * (1.0 - math.tanh(0.5 * (energy - level) / (BOLTZMANN * temperature)))


def slow_integral(dos, grid, level, temperature, integrand):
    """Adaptive quadrature of the piecewise linear DOS times a function of (E, f), interval by interval."""
    energies, values = grid.energies().numpy(), dos.numpy()
    total = 0.0
    for low, high in pairwise(energies):
        pieces = [low, level, high] if low < level < high else [low, high]
        for a, b in pairwise(pieces):
            total += quad(
                lambda e: np.interp(e, energies, values) * integrand(e, occupation(e, level, temperature)),
                *(a, b),
                epsabs=1e-13,
                epsrel=1e-11,
            )[0]
    return total


@pytest.mark.parametrize("temperature", [600.0, 6000.0])
def test_energy_and_entropy_match_quadrature(temperature):
    """Equation 12 as it is written, and the entropy of independent fermions."""
    level, cold_level = (fermi_level(METAL, GRID, ELECTRONS, t) for t in (temperature, 0.0))
    warm = slow_integral(METAL, GRID, level, temperature, lambda e, f: e * f)
    cold = slow_integral(METAL, GRID, cold_level, temperature, lambda e, f: e * (e < cold_level))
    assert electronic_energy(METAL, GRID, ELECTRONS, temperature).item() == pytest.approx(warm - cold, abs=1e-9)

    def entropy(energy, f):
        return -BOLTZMANN * sum(p * math.log(p) if p > 0 else 0.0 for p in (f, 1 - f))

    expected = slow_integral(METAL, GRID, level, temperature, entropy)
    assert electronic_entropy(METAL, GRID, ELECTRONS, temperature).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("step", [0.02, 0.05])
@pytest.mark.parametrize("temperature", [0.5, 10.0, 300.0])
def test_free_electrons_have_the_coefficient_of_sommerfeld(step, temperature):
    """C = gamma T with gamma = pi^2/3 kB^2 g(E_F), for kT far below the step of the grid and above it."""
    grid = EnergyGrid(0.0, step, round(30 / step) + 1)
    dos = 0.7 * grid.energies().sqrt()
    num_electrons, level = 0.7 * 2 / 3 * 5.013**1.5, 5.013
    gamma = math.pi**2 / 3 * BOLTZMANN**2 * 0.7 * math.sqrt(level)
    analytic = heat_capacity(dos, grid, num_electrons, temperature).item()
    differences = heat_capacity_by_differences(dos, grid, num_electrons, temperature).item()
    assert analytic / temperature == pytest.approx(gamma, rel=1e-3)
    assert differences == pytest.approx(analytic, rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 300.0, 5000.0])
def test_constant_dos(temperature):
    """Far from both ends: U = gamma T^2 / 2, S = C = gamma T exactly, and a level that stays."""
    grid = EnergyGrid(-10.0, 0.25, 81)
    dos = torch.full((81,), 1.5)
    gamma = math.pi**2 / 3 * BOLTZMANN**2 * 1.5
    arguments = (dos, grid, 15.1, temperature)
    assert electronic_energy(*arguments).item() == pytest.approx(0.5 * gamma * temperature**2, rel=1e-7)
    assert electronic_entropy(*arguments).item() == pytest.approx(gamma * temperature, rel=1e-7)
    assert heat_capacity(*arguments).item() == pytest.approx(gamma * temperature, rel=1e-7)
    assert free_energy(*arguments).item() == pytest.approx(-0.5 * gamma * temperature**2, rel=1e-7)
    assert heat_capacity_by_differences(*arguments).item() == pytest.approx(gamma * temperature, rel=1e-6)


def two_levels(gap, lower, upper, step=1e-3):
    """Return two sharp levels at +- gap / 2 that hold some electrons each."""
    grid = EnergyGrid(-1.0, step, round(2 / step) + 1)
    dos = torch.zeros(grid.size, dtype=torch.float64)
    for energy, states in ((-gap / 2, lower), (gap / 2, upper)):
        dos[round((energy - grid.start) / step)] = states / step
    return dos, grid


@pytest.mark.parametrize("temperature", [900.0, 3000.0, 12000.0])
def test_two_level_system(temperature):
    """Level in the middle by symmetry: every state of either level has f = 1 / (1 + exp(gap / 2 kT)) excitations."""
    gap, states = 0.8, 2.0
    dos, grid = two_levels(gap, states, states)
    ratio = gap / (2 * BOLTZMANN * temperature)
    f = 1 / (1 + math.exp(ratio))
    arguments = (dos, grid, states, temperature)
    assert electronic_energy(*arguments).item() == pytest.approx(states * gap * f, rel=1e-4)
    entropy = -2 * states * BOLTZMANN * (f * math.log(f) + (1 - f) * math.log(1 - f))
    assert electronic_entropy(*arguments).item() == pytest.approx(entropy, rel=1e-4)
    capacity = 2 * states * BOLTZMANN * ratio**2 * f * (1 - f)
    assert heat_capacity(*arguments).item() == pytest.approx(capacity, rel=1e-4)


@pytest.mark.parametrize("temperature", [2500.0, 12000.0])
def test_two_levels_with_unequal_numbers_of_states(temperature):
    """The level moves: a quadratic equation for exp(mu / kT) from N = sum_i g_i / (1 + exp((E_i - mu) / kT))."""
    gap, lower, upper = 0.8, 2.0, 6.0
    dos, grid = two_levels(gap, lower, upper)

    def energy(t):
        # With z = exp(mu / kT) and the level's Boltzmann factors a, b: g1 z a / (1 + z a) + g2 z b / (1 + z b) = g1
        a, b = math.exp(gap / (2 * BOLTZMANN * t)), math.exp(-gap / (2 * BOLTZMANN * t))
        z = max(np.roots([upper * a * b, (upper - lower) * b, -lower]).real)
        return gap * upper * z * b / (1 + z * b)

    assert electronic_energy(dos, grid, lower, temperature).item() == pytest.approx(energy(temperature), rel=1e-4)
    capacity = (energy(temperature + 0.1) - energy(temperature - 0.1)) / 0.2
    assert heat_capacity(dos, grid, lower, temperature).item() == pytest.approx(capacity, rel=1e-4)


@pytest.mark.parametrize("temperature", [2.0, 77.0, 300.0, 2000.0, 10000.0])
def test_relations_of_thermodynamics(temperature):
    arguments = (METAL, GRID, ELECTRONS)
    energy, entropy, free = (f(*arguments, temperature).item() for f in FUNCTIONS[:3])
    assert free == pytest.approx(energy - temperature * entropy, rel=1e-12)
    assert energy > 0 > free

    change = 1e-2 * temperature
    warmer, colder = temperature + change, temperature - change
    capacity = heat_capacity(*arguments, temperature).item()

    def slope(function):
        """Fourth order."""
        near = function(*arguments, warmer) - function(*arguments, colder)
        far = function(*arguments, warmer + change) - function(*arguments, colder - change)
        return ((8 * near - far) / (12 * change)).item()

    assert slope(free_energy) == pytest.approx(-entropy, rel=1e-6)
    assert temperature * slope(electronic_entropy) == pytest.approx(capacity, rel=1e-6)
    assert heat_capacity_by_differences(*arguments, temperature).item() == pytest.approx(capacity, rel=3e-3)
    assert heat_capacity_by_differences(*arguments, temperature, change).item() == pytest.approx(capacity, rel=1e-4)


def test_low_temperatures_see_the_linear_dos_between_two_channels():
    """At 1 K, kT is a thousandth of the step: U = pi^2/6 (kB T)^2 g(E_F) with g interpolated."""
    level = fermi_level(METAL, GRID, ELECTRONS)
    density = np.interp(level, ENERGIES.numpy(), METAL.numpy())
    expected = math.pi**2 / 6 * BOLTZMANN**2 * density
    assert electronic_energy(METAL, GRID, ELECTRONS, 1.0).item() == pytest.approx(expected, rel=1e-5)
    assert electronic_entropy(METAL, GRID, ELECTRONS, 1.0).item() == pytest.approx(2 * expected, rel=1e-5)


def test_nothing_at_zero_temperature_and_without_states():
    grid = EnergyGrid(-1.0, 0.1, 21)
    insulator = torch.zeros(21, dtype=torch.float64)
    insulator[1], insulator[-2] = 20.0, 20.0
    for function in FUNCTIONS[:4]:
        assert function(METAL, GRID, ELECTRONS, 0.0).item() == 0.0
        assert abs(function(insulator, grid, 2.0, 100.0).item()) < 1e-12
    assert heat_capacity(insulator, grid, 2.0, 100.0).item() == 0.0


@pytest.mark.parametrize("function", FUNCTIONS)
def test_batches_and_supercells(function):
    """Shapes, one number of electrons per spectrum, and N cells have N times everything, intensive or not."""
    spectra = torch.stack([torch.stack([METAL, 4 * METAL]), torch.stack([METAL, METAL])])
    electrons = torch.tensor([[3.4, 4 * 3.4], [2.0, 3.4]])
    temperatures = [300.0, 1000.0, 4000.0]
    values = function(spectra, GRID, electrons, temperatures)
    assert values.shape == (2, 2, 3) and values.dtype == torch.float64
    torch.testing.assert_close(values[0, 1], 4 * values[0, 0], rtol=1e-9, atol=0.0)
    for i in range(2):
        for j in range(2):
            for k, temperature in enumerate(temperatures):
                alone = function(spectra[i, j], GRID, electrons[i, j].item(), temperature)
                assert alone.shape == () and alone.item() == values[i, j, k].item()
    assert function(spectra, GRID, 3.4, 300.0).shape == (2, 2)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_zero_of_energy_does_not_matter(function):
    moved = EnergyGrid(GRID.start + 137.31, GRID.step, GRID.size)
    values = function(METAL, GRID, ELECTRONS, [50.0, 2000.0])
    torch.testing.assert_close(function(METAL, moved, ELECTRONS, [50.0, 2000.0]), values, rtol=1e-7, atol=0.0)


@pytest.mark.parametrize("temperature", [30.0, 1000.0, 20000.0])
def test_gradient_of_the_free_energy(temperature):
    """Against differences with a level that follows the DOS, as if it were not stationary."""
    grid = EnergyGrid(-4.0, 0.5, 17)
    dos = torch.rand(17, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.3
    dos[0] = dos[-1] = 0.0
    dos.requires_grad_()
    temperatures = torch.tensor([temperature, 2 * temperature])
    free_energy(dos, grid, 2.3, temperatures).sum().backward()
    assert dos.grad.abs().max() > 0

    for channel in range(1, 16):
        change = torch.zeros(17, dtype=torch.float64)
        change[channel] = 1e-4
        above, below = (free_energy(dos.detach() + s * change, grid, 2.3, temperatures).sum() for s in (1, -1))
        assert dos.grad[channel].item() == pytest.approx(((above - below) / 2e-4).item(), abs=2e-9, rel=1e-5)


def test_gradients_of_a_batch():
    dos = torch.stack([METAL, 2 * METAL]).float().requires_grad_()
    weights = torch.tensor([[1.0, 2.0], [0.0, -1.0]], dtype=torch.float64)
    (weights * free_energy(dos, GRID, torch.tensor([3.0, 7.5]), [500.0, 5000.0])).sum().backward()
    assert dos.grad.dtype == torch.float32
    alone = dos.detach()[1].requires_grad_()
    (-free_energy(alone, GRID, 7.5, 5000.0)).backward()
    torch.testing.assert_close(dos.grad[1], alone.grad)


def test_a_second_derivative_is_refused():
    dos = METAL.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(free_energy(dos, GRID, ELECTRONS, 3000.0), dos, create_graph=True)
    with pytest.raises(RuntimeError, match="first derivatives only, got a request for second ones"):
        (gradient**2).sum().backward()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_level_outside_of_the_grid_is_an_error(function):
    with pytest.raises(ValueError, match=r"no Fermi level for 7 electrons at .* K in -8 \.\.\. 8 eV"):
        function(METAL, GRID, 7.0, 300.0)
    with pytest.raises(ValueError, match=r"spectrum 1 of 2: no Fermi level"):
        function(torch.stack([METAL, 0.1 * METAL]), GRID, ELECTRONS, 300.0)


def test_a_dos_that_the_grid_cuts_is_an_error():
    cut = EnergyGrid(-8.0, 0.1, 83)  # ends 0.2 eV above the middle of the band
    level = fermi_level(METAL[:83], cut, 3.1)
    assert 0 < cut.stop - level < 0.5
    assert electronic_entropy(METAL[:83], cut, 3.1, 50.0) > 0
    message = r"the DOS ends at 0\.2 eV with .* states/eV, .* kB T from the Fermi level at 2000 K, .*at least 15 kB T"
    with pytest.raises(ValueError, match=message):
        electronic_entropy(METAL[:83], cut, 3.1, 2000.0)
    # A band that does end there says so.
    ending = torch.cat([METAL[:83], torch.zeros(1)])
    assert electronic_entropy(ending, EnergyGrid(-8.0, 0.1, 84), 3.1, 2000.0) > 0


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 161\), two channels at least, got \(3,\)"):
        electronic_energy(METAL[:3], GRID, ELECTRONS, 300.0)
    with pytest.raises(ValueError, match=r"one per spectrum, shape \(2,\), got \(3,\)"):
        free_energy(METAL.expand(2, -1), GRID, torch.ones(3), 300.0)
    with pytest.raises(ValueError, match="temperature in K that is not negative, got -300"):
        heat_capacity(METAL, GRID, ELECTRONS, [300.0, -300.0])
    with pytest.raises(ValueError, match=r"one temperature or several, shape \(num_temperatures,\), got \(1, 1\)"):
        heat_capacity(METAL, GRID, ELECTRONS, [[300.0]])
    with pytest.raises(ValueError, match="positive interval in K, got 0"):
        heat_capacity_by_differences(METAL, GRID, ELECTRONS, 300.0, interval=0.0)
    with pytest.raises(ValueError, match=r"not negative, got -0\.3"):
        heat_capacity_by_differences(METAL, GRID, ELECTRONS, 0.2)
    with pytest.raises(ValueError, match="not finite, the first at -8 eV"):
        electronic_entropy(torch.full((161,), math.nan), GRID, ELECTRONS, 300.0)


def test_negative_values_at_the_level_are_an_error():
    """The count reaches its number at the end of a peak, falls, and passes it in the next peak only."""
    dos = gaussian(ENERGIES, -3.0, 0.3) - 0.4 * gaussian(ENERGIES, 0.0, 0.3) + gaussian(ENERGIES, 3.0, 0.3)
    assert heat_capacity(dos, GRID, 0.99, 1.0) > 0
    level = fermi_level(dos, GRID, 1.0, 1.0)
    assert count_electrons(dos, GRID, level + 0.1, 1.0) < count_electrons(dos, GRID, level, 1.0)
    with pytest.raises(ValueError, match=r"fewer electrons fit below a Fermi level higher than 0\.68.* eV at 1 K"):
        heat_capacity(dos, GRID, 1.0, 1.0)


def test_all_quantities_at_once():
    """Two spectra at three temperatures: the same as one by one, shapes included."""
    spectra, electrons = torch.stack([METAL, 0.5 * METAL]), torch.tensor([ELECTRONS, 1.1])
    temperatures = [0.0, 300.0, 4000.0]
    found = electronic_quantities(spectra, GRID, electrons, temperatures)
    single = (electronic_energy, electronic_entropy, free_energy, heat_capacity)
    for values, function in zip(found[1:], single, strict=True):
        expected = function(spectra, GRID, electrons, temperatures)
        assert values.shape == expected.shape == (2, 3)
        torch.testing.assert_close(values, expected, rtol=1e-13, atol=1e-16)
    levels = [
        [fermi_level(dos, GRID, float(n), t) for t in temperatures] for dos, n in zip(spectra, electrons, strict=True)
    ]
    torch.testing.assert_close(found.fermi_level, torch.tensor(levels, dtype=torch.float64), rtol=0, atol=0)
    assert electronic_quantities(METAL, GRID, ELECTRONS, 300.0).entropy.shape == ()
