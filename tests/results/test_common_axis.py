"""Results on one axis, on which zero is the Fermi level of each."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, molecule
from made_up_results import make_result

from electrain.results import Ensemble, Uncertainty, stack


@pytest.fixture
def results():
    """Two axes that are not multiples of their step, one shorter than the other."""
    water, silicon = make_result(molecule("H2O"), per_atom=True), make_result(bulk("Si"))
    shift = 0.3172
    silicon = replace(silicon, energies=silicon.energies[:-9] - shift, density_of_states=silicon.density_of_states[:-9])
    return [water, silicon]


def test_stack(results):
    found = stack(results)
    assert found.density_of_states.shape == (2, len(found.energies))
    assert found.energies[0] <= results[1].energies[0] and found.energies[-1] <= results[1].energies[-1] + 1e-9
    np.testing.assert_allclose(np.diff(found.energies), 0.05)
    assert np.abs(found.energies).min() < 1e-12  # the Fermi level is one of the channels
    np.testing.assert_array_equal(found.num_atoms, [3, 2])
    np.testing.assert_array_equal(found.band_gap, [9.0, 9.0])
    assert [atoms.get_chemical_formula() for atoms in found.atoms] == ["H2O", "Si2"]
    states = found.density_of_states.sum(axis=1) * 0.05
    np.testing.assert_allclose(states, [24.0, 12.0], rtol=1e-9)


def test_electrons_are_kept(results):
    for result in results:
        for step in (0.02, 0.05, 0.11):
            moved = result.on_axis(step * np.arange(-500, 100))
            assert moved.num_electrons == pytest.approx(result.num_electrons, rel=1e-6)
            assert moved.fermi_level == result.fermi_level


def test_everything_moves(results):
    water = results[0]
    spread = Uncertainty(0.1 + np.linspace(0, 1, 800), 0.2, 0.3)
    members = Ensemble(np.stack([water.density_of_states, 2 * water.density_of_states]), np.ones(2), np.ones(2))
    moved = replace(water, uncertainty=spread, ensemble=members).on_axis(np.linspace(-15, 10, 501))
    np.testing.assert_allclose(moved.local_density_of_states.sum(axis=0), moved.density_of_states, atol=1e-10)
    np.testing.assert_allclose(moved.ensemble.density_of_states[1], 2 * moved.density_of_states, atol=1e-10)
    expected = 0.1 + (moved.energies - water.energies[0]) / np.ptp(water.energies)
    np.testing.assert_allclose(moved.uncertainty.density_of_states, expected)
    assert moved.uncertainty[1:] == (0.2, 0.3)


def test_given_energies(results):
    axis = np.arange(-10.0, 5.0, 0.1)
    np.testing.assert_array_equal(stack(results, axis).energies, axis)
    assert stack(iter(results)).density_of_states.shape[0] == 2


def test_different_steps(results):
    coarse = results[0].on_axis(np.arange(-20.0, 15.0, 0.17))
    found = stack([coarse, results[1]])
    np.testing.assert_allclose(np.diff(found.energies), 0.05)
    np.testing.assert_allclose(found.density_of_states.sum(axis=1) * 0.05, [24.0, 12.0], rtol=1e-9)


def test_without_fermi_levels(results):
    unknown = [replace(result, fermi_level=None, band_gap=None) for result in results]
    assert np.isnan(stack(unknown).fermi_level).all() and np.isnan(stack(unknown).band_gap).all()
    with pytest.raises(ValueError, match="some of the results have no Fermi level, so there is no common zero"):
        stack([results[0], unknown[1]])


def test_axes_that_are_none(results):
    with pytest.raises(ValueError, match="expected at least one result, got none"):
        stack([])
    for axis in ([1.0], [0.0, 1.0, 3.0], [1.0, 0.0], [[0.0, 1.0]], []):
        with pytest.raises(ValueError, match="expected equidistant, ascending energies, at least two, got"):
            results[0].on_axis(axis)
    with pytest.raises(ValueError, match=r"expected energies inside -20\.012 \.\.\. 19\.938 eV"):
        results[0].on_axis(np.arange(0.0, 30.0))
