"""Harmonic oscillators on an axis, against closed forms: Einstein's, Debye's, and their limits."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from electrain.spectra.fermi import BOLTZMANN
from electrain.spectra.fixed_axis import FixedAxis
from electrain.spectra.harmonic import HarmonicIntegrals, HarmonicQuantities
from electrain.spectra.units import EV_PER

KELVIN = [0.0, 0.001, 0.5, 3.0, 30.0, 300.0, 3000.0, 1e6, 1e12]


def einstein(energy, kelvin):
    """One mode of that energy in eV, written as in textbooks."""
    if kelvin == 0.0 or energy / (BOLTZMANN * kelvin) > 600.0:
        return HarmonicQuantities(energy / 2, 0.0, energy / 2, 0.0)
    x, width = energy / (BOLTZMANN * kelvin), BOLTZMANN * kelvin
    occupation = 1.0 / math.expm1(x)
    logarithm = math.log(-math.expm1(-x)) if x < 1.0 else math.log1p(-math.exp(-x))
    capacity = BOLTZMANN * (x / (2.0 * math.sinh(x / 2.0))) ** 2
    entropy = BOLTZMANN * (x * occupation - logarithm)
    return HarmonicQuantities(energy * (occupation + 0.5), entropy, energy / 2 + width * logarithm, capacity)


def peak(axis, channel):
    """A triangle of one state, two steps wide at its foot: as narrow as the axis allows."""
    states = np.zeros(axis.size)
    states[channel] = 1.0 / axis.step
    return states


def assert_quantities(found, expected, **tolerance):
    for name, one, other in zip(HarmonicQuantities._fields, found, np.array(expected).T, strict=True):
        np.testing.assert_allclose(one, other, err_msg=name, **tolerance)


@pytest.mark.parametrize("unit", ["THz", "cm^-1", "meV", "eV"])
def test_einstein(unit):
    """A delta peak at 25 meV in any unit."""
    factor = EV_PER[unit]
    axis = FixedAxis(0.0, 1e-5 / factor, 4001, unit)
    integrals = HarmonicIntegrals(axis, KELVIN)
    states = peak(axis, 2500)
    # the triangle has a variance of step^2 / 6, so the error is (step / 25 meV)^2 times a few
    assert_quantities(
        integrals.quantities(states), [einstein(0.025, kelvin) for kelvin in KELVIN], rtol=2e-4, atol=1e-30
    )
    assert abs(integrals.zero_point_energy(states) - 0.0125) < 1e-12
    assert abs(integrals.number(states) - 1.0) < 1e-12


@pytest.mark.parametrize("start", [0.0, 0.003, -0.013, 0.07])
def test_integrals_are_exact(start):
    """Numbers drawn at random in channels coarser than kB T, also where zero is between two of them."""
    axis = FixedAxis(start, 0.02, 6, "eV")
    states = np.random.default_rng(0).uniform(0.0, 20.0, axis.size)
    positions = axis.values().numpy()
    kelvin = [0.0, 4.0, 70.0, 300.0, 5000.0]
    found = HarmonicIntegrals(axis, kelvin).quantities(states)

    def integral(quantity, temperature):
        ends = {max(start, 0.0), *positions[positions > 0.0]}
        near = BOLTZMANN * temperature * np.array([1e-4, 0.01, 0.3, 1, 4, 15])
        ends = sorted(ends | {end for end in near if min(ends) < end < max(ends)})

        def integrand(energy):
            return np.interp(energy, positions, states) * einstein(energy, temperature)[quantity]

        parts = [quad(integrand, a, b, epsabs=1e-16, epsrel=1e-12, limit=200)[0] for a, b in pairwise(ends)]
        return sum(parts)

    expected = [[integral(quantity, temperature) for quantity in range(4)] for temperature in kelvin]
    assert_quantities(found, expected, rtol=1e-9, atol=1e-18)


def debye(theta, kelvin, modes=3):
    """Textbook formulas with the Debye function; theta in K."""
    y = theta / kelvin
    capacity = quad(lambda x: x**4 * math.exp(-x) / math.expm1(-x) ** 2 if x else 0.0, 0.0, min(y, 300.0))[0]
    function = 3.0 / y**3 * quad(lambda x: x**3 / math.expm1(x) if x else 0.0, 0.0, min(y, 300.0))[0]
    energy = modes * BOLTZMANN * (3.0 / 8.0 * theta + kelvin * function)
    logarithm = math.log1p(-math.exp(-y))
    entropy = modes * BOLTZMANN * (4.0 / 3.0 * function - logarithm)
    free = modes * BOLTZMANN * (3.0 / 8.0 * theta + kelvin * (logarithm - function / 3.0))
    return HarmonicQuantities(energy, entropy, free, modes * BOLTZMANN * 3.0 / y**3 * capacity)


def test_debye():
    """Silicon's 645 K; the axis ends where the spectrum does, so it is cut off there exactly."""
    theta, kelvin = 645.0, [5.0, 20.0, 100.0, 300.0, 1000.0, 1e5]
    cutoff = BOLTZMANN * theta / EV_PER["THz"]
    axis = FixedAxis(0.0, cutoff / 4000, 4001, "THz")
    states = 9.0 * axis.values().numpy() ** 2 / cutoff**3
    integrals = HarmonicIntegrals(axis, kelvin)
    assert_quantities(integrals.quantities(states), [debye(theta, one) for one in kelvin], rtol=2e-4, atol=0.0)
    # the law of the cube of the temperature
    cold = integrals.quantities(states).heat_capacity[0]
    np.testing.assert_allclose(cold, 3 * BOLTZMANN * 4 / 5 * math.pi**4 * (5.0 / theta) ** 3, rtol=1e-3)


def smooth():
    axis = FixedAxis(0.0, 0.25, 81, "THz")
    frequencies = axis.values().numpy()
    return axis, frequencies**2 * np.exp(-((frequencies / 8.0) ** 4))


def test_limits():
    """Dulong and Petit's law, with its first correction; the third law; F = U - T S; derivatives."""
    axis, states = smooth()
    modes = HarmonicIntegrals(axis, 0.0).number(states)
    found = HarmonicIntegrals(axis, KELVIN).quantities(states)
    zero_point = HarmonicIntegrals(axis, 0.0).zero_point_energy(states)
    np.testing.assert_allclose(found.heat_capacity[-2:] / (modes * BOLTZMANN), 1.0, atol=1e-8)
    assert found.internal_energy[0] == found.free_energy[0] == pytest.approx(zero_point, rel=1e-14)
    assert found.entropy[0] == found.heat_capacity[0] == 0.0
    assert np.all(np.diff(found.entropy) > 0)
    # straight to zero below the first channel, so that the entropy goes with the square of the temperature
    np.testing.assert_allclose(found.entropy[1] / found.entropy[2], (0.001 / 0.5) ** 2, rtol=1e-4)
    heat = np.array(KELVIN) * found.entropy
    np.testing.assert_allclose(found.free_energy, found.internal_energy - heat, rtol=1e-12, atol=1e-12)
    kelvin, step = 150.0, 0.05
    around = HarmonicIntegrals(axis, [kelvin - step, kelvin, kelvin + step]).quantities(states)
    slope = (around.internal_energy[2] - around.internal_energy[0]) / (2 * step)
    np.testing.assert_allclose(slope, around.heat_capacity[1], rtol=1e-6)
    slope = (around.free_energy[2] - around.free_energy[0]) / (2 * step)
    np.testing.assert_allclose(-slope, around.entropy[1], rtol=1e-6)


def test_states_at_zero_and_below():
    """States down to zero frequency count with their exact integrals, and imaginary ones are counted and left out."""
    axis = FixedAxis(-2.0, 0.5, 25, "THz")
    states = np.full(axis.size, 0.3)
    integrals = HarmonicIntegrals(axis, [0.0, 10.0, 1e5])
    assert abs(integrals.number(states) - 3.6) < 1e-12
    assert abs(integrals.number_of_imaginary(states) - 0.6) < 1e-12
    positive = HarmonicIntegrals(FixedAxis(0.0, 0.5, 21, "THz"), [0.0, 10.0, 1e5]).quantities(states[:21])
    assert_quantities(integrals.quantities(states), np.array(positive).T, rtol=1e-12, atol=0.0)
    # a constant g has C = g pi^2/3 kB^2 T, and S the same, in the cold
    expected = 0.3 / EV_PER["THz"] * math.pi**2 / 3 * BOLTZMANN**2 * 10.0
    np.testing.assert_allclose([positive.heat_capacity[1], positive.entropy[1]], expected, rtol=1e-9)
    nothing = HarmonicIntegrals(FixedAxis(-3.0, 0.5, 5, "THz"), [0.0, 300.0])
    assert nothing.number(states[:5]) == nothing.number_of_imaginary(states[:5]) > 0.5
    assert not np.any(nothing.quantities(states[:5]))


@pytest.mark.parametrize("kelvin", [-1.0, 1e-4, math.nan, math.inf])
def test_wrong_temperatures(kelvin):
    with pytest.raises(ValueError, match=rf"expected temperatures of 0 K, or at least 0\.001 K, got {kelvin:g}"):
        HarmonicIntegrals(smooth()[0], [300.0, kelvin])
