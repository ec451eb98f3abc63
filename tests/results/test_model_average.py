"""Results of several models as one result."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from made_up_results import STEP, make_result

from electrain.results import Ensemble, Uncertainty, average_results
from electrain.spectra import EnergyAxis, EnergyGrid

AXIS = EnergyAxis(EnergyGrid(-21.512, STEP, 800), max_shift=40)  # the own axis of the results
CLOSE = {"rtol": 0, "atol": 1e-9}
SHIFTS = (0, 13, -13)  # channels; zero on average, so that the common zero is that of the first model


def moved(spectra, shift):
    """Spectra of a model whose zero of energy lies this many channels lower; their ends are empty."""
    return np.roll(spectra, shift, axis=-1)


def of_models(shifts=SHIFTS, factors=(0.9, 1.0, 1.1), per_atom=False):
    """The same spectrum times a factor, on axes with other zeros."""
    results = []
    for shift, factor in zip(shifts, factors, strict=True):
        one = make_result(bulk("Si"), per_atom=per_atom)
        local = one.local_density_of_states
        results.append(
            replace(
                one,
                energies=one.energies - STEP * shift,  # relative to a Fermi level that is moved as well
                density_of_states=factor * moved(one.density_of_states, shift),
                local_density_of_states=None if local is None else factor * moved(local, shift),
                band_gap=9.0 * factor,
                fermi_level=-1.5 + STEP * shift,
            )
        )
    return results


def test_zeros_of_the_models_do_not_matter():
    expected = make_result(bulk("Si"))
    result = average_results(of_models(), AXIS)
    np.testing.assert_allclose(result.energies, expected.energies, **CLOSE)
    np.testing.assert_allclose(result.density_of_states, expected.density_of_states, **CLOSE)
    np.testing.assert_allclose([result.band_gap, result.fermi_level], [9.0, -1.5], **CLOSE)
    np.testing.assert_allclose(result.num_electrons, expected.num_electrons, rtol=1e-9)
    # 0.9, 1 and 1.1 have a standard deviation of 0.1
    np.testing.assert_allclose(result.uncertainty.density_of_states, 0.1 * expected.density_of_states, **CLOSE)
    np.testing.assert_allclose(result.uncertainty[1:], [0.9, 0.0], **CLOSE)
    factors = np.array([0.9, 1.0, 1.1])
    members = factors[:, None] * expected.density_of_states
    np.testing.assert_allclose(result.ensemble.density_of_states, members, **CLOSE)
    np.testing.assert_allclose(result.ensemble.band_gap, 9 * factors, **CLOSE)
    np.testing.assert_allclose(result.ensemble.fermi_level, [-1.5] * 3, **CLOSE)
    capacities = [replace(expected, density_of_states=row).heat_capacity(5000).values for row in members]
    found = result.heat_capacity(5000)
    assert found.uncertainty[0] == pytest.approx(np.std(capacities, ddof=1), rel=1e-6) and found.uncertainty[0] > 0


def test_fermi_levels_that_differ_relative_to_the_states():
    results = of_models()
    results[1] = replace(results[1], fermi_level=results[1].fermi_level + 0.3)
    result = average_results(results, AXIS)
    np.testing.assert_allclose(result.fermi_level, -1.4, **CLOSE)
    np.testing.assert_allclose(result.energies[0], AXIS.grid.start + 1.4, **CLOSE)
    np.testing.assert_allclose(result.uncertainty.fermi_level, np.std([0, 0.3, 0], ddof=1), **CLOSE)


def test_atoms_sum_to_the_whole():
    result = average_results(of_models(per_atom=True), AXIS)
    expected = make_result(bulk("Si"), per_atom=True)
    np.testing.assert_allclose(result.local(), expected.local(), **CLOSE)
    np.testing.assert_allclose(result.local().sum(axis=0), result.density_of_states, **CLOSE)


def test_without_fermi_level_and_gap():
    results = [replace(item, fermi_level=None, band_gap=None) for item in of_models()]
    result = average_results(results, AXIS)
    assert (result.band_gap, result.fermi_level) == (None, None)
    assert result.uncertainty[1:] == (None, None) and result.ensemble[1:] == (None, None)
    np.testing.assert_allclose(result.energies, AXIS.grid.energies(), **CLOSE)
    np.testing.assert_allclose(result.density_of_states, make_result(bulk("Si")).density_of_states, **CLOSE)


def with_uncertainty(result, shift, spread):
    """Two members of a model's own ensemble, one standard deviation below and above its prediction, or a bit more."""
    dos = result.density_of_states
    own = np.sqrt(2) * spread
    return replace(
        result,
        uncertainty=Uncertainty(moved(np.linspace(0, spread, 800), shift), spread, 2 * spread),
        ensemble=Ensemble(
            np.stack([(1 - own) * dos, (1 + own) * dos]),
            result.band_gap + np.array([-own, own]),
            result.fermi_level + np.array([-own, own]),
        ),
    )


def test_models_with_uncertainties():
    """Variances add, and the ensemble has all members of all models, each on the axis of the first model."""
    spreads = (0.1, 0.2, 0.4)
    results = [with_uncertainty(*pair) for pair in zip(of_models(), SHIFTS, spreads, strict=True)]
    result = average_results(results, AXIS)
    within = np.mean(np.square(spreads))
    np.testing.assert_allclose(result.uncertainty.band_gap, np.sqrt(within + 0.9**2), **CLOSE)
    np.testing.assert_allclose(result.uncertainty.fermi_level, 2 * np.sqrt(within), **CLOSE)
    middle = slice(100, 700)
    profile = np.linspace(0, 1, 800)
    between = 0.1 * make_result(bulk("Si")).density_of_states
    expected = np.sqrt(within * profile**2 + between**2)
    np.testing.assert_allclose(result.uncertainty.density_of_states[middle], expected[middle], **CLOSE)
    assert result.ensemble.density_of_states.shape == (6, 800)
    np.testing.assert_allclose(result.ensemble.density_of_states.mean(axis=0), result.density_of_states, **CLOSE)
    np.testing.assert_allclose(result.ensemble.fermi_level.reshape(3, 2).mean(axis=1), [-1.5] * 3, **CLOSE)
    np.testing.assert_allclose(result.ensemble.band_gap.reshape(3, 2).mean(axis=1), [8.1, 9.0, 9.9], **CLOSE)
    alone = [replace(item, ensemble=None) for item in results]
    assert average_results(alone, AXIS).ensemble is None
