"""Windows of bands: which bands, relative to what, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from electrain.bands import BandStructure, band_window, centers_and_dispersions

CELL = Atoms("Si", cell=[3.0] * 3, pbc=True)
PATH = np.linspace([0, 0, 0], [0.5, 0, 0], 5)
WIDTH = np.array([0.0, 0.1, 0.2, 0.3, 0.4])


def flat_bands(*energies, **changes):
    """Bands that rise by 0.4 eV from the given energies."""
    values = np.array(energies)[None] + WIDTH[:, None]
    return BandStructure(CELL, PATH, values[None], **{"fermi_level": 0.0} | changes)


def test_of_an_insulator():
    bands = flat_bands(-9.0, -5.0, -3.0, -2.0, 2.0, 4.0, 5.0, 6.0, num_electrons=8.0)
    zero = 0.5 * (-1.6 + 2.0)
    window = band_window(bands)
    expected = np.array([-5.0, -3.0, -2.0, 2.0, 4.0, 5.0])[:, None] + WIDTH - zero
    np.testing.assert_allclose(window, expected, atol=1e-12)
    np.testing.assert_allclose(band_window(bands, 2), expected[2:4], atol=1e-12)


def test_of_a_metal_the_highest_band_that_is_occupied_anywhere_is_below():
    bands = flat_bands(-3.0, -2.0, -1.0, -0.3, 0.01, 2.0, 3.0, 4.0)
    window = band_window(bands)
    np.testing.assert_allclose(window[:, 0], [-2.0, -1.0, -0.3, 0.01, 2.0, 3.0])


def test_bands_that_are_not_there_are_nan():
    window = band_window(flat_bands(-1.0, 2.0, 3.0, num_electrons=2.0))
    assert np.isnan(window).all(axis=1).tolist() == [True, True, False, False, False, True]
    centers, dispersions = centers_and_dispersions(window)
    assert np.isnan(centers).tolist() == [True, True, False, False, False, True]
    assert np.isnan(dispersions).any(axis=1).tolist() == [True, True, False, False, False, True]


def test_centers_and_dispersions_add_up():
    window = np.random.default_rng(0).normal(size=(2, 6, 7))
    centers, dispersions = centers_and_dispersions(window)
    np.testing.assert_allclose(centers[..., None] + dispersions, window)
    np.testing.assert_allclose(dispersions.mean(axis=-1), 0.0, atol=1e-12)


def test_equal_spins_are_one_and_others_are_refused():
    bands = flat_bands(-2.0, 2.0, num_electrons=2.0)
    two = replace(bands, energies=np.concatenate([bands.energies, bands.energies]))
    np.testing.assert_allclose(band_window(two), band_window(bands))
    magnetic = replace(bands, energies=np.concatenate([bands.energies, bands.energies + 0.5]), source="iron.xml")
    with pytest.raises(ValueError, match=r"two spins that differ by 0\.500 eV in iron\.xml"):
        band_window(magnetic)


@pytest.mark.parametrize(
    ("changes", "num_bands", "message"),
    [
        ({"noncollinear": True}, 6, "got spinors"),
        ({}, 5, "an even number of bands, half below and half above, got 5"),
        ({}, 0, "got 0"),
        ({"fermi_level": -9.0}, 6, r"none below -9\.000 eV"),
    ],
)
def test_what_is_refused(changes, num_bands, message):
    with pytest.raises(ValueError, match=message):
        band_window(flat_bands(-2.0, 2.0, **changes), num_bands)


def test_spins_may_differ_outside_of_the_window():
    """The highest bands of a calculation are often not converged."""
    bands = flat_bands(-2.0, 2.0, 5.0, num_electrons=2.0)
    other = bands.energies + np.array([0.0, 0.0, 0.1])
    two = replace(bands, energies=np.concatenate([bands.energies, other]))
    np.testing.assert_allclose(band_window(two, 2), band_window(bands, 2))
    with pytest.raises(ValueError, match=r"two spins that differ by 0\.100 eV"):
        band_window(two, 4)
