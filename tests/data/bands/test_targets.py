"""Bands on another number of k-points of their own path."""

import numpy as np
import pytest
from band_paths import SI, band_energies, made_up_bands, path_of

from electrain.data.bands.targets import band_targets


@pytest.mark.parametrize("num_k_points", [12, 50, 301])
def test_bands_between_the_given_k_points(num_k_points):
    """Against the bands themselves; the given points are dense."""
    bands = made_up_bands(num_k=400)
    targets = band_targets(bands, 6, num_k_points)
    assert targets.k_points.shape == (num_k_points, 3) and targets.energies.shape == (6, num_k_points)
    exact = band_energies(targets.k_points)[:, 1:7].T - bands.zero()
    # Extrema are moved onto the closest point of the line; elsewhere, the bands are smooth.
    assert np.median(np.abs(targets.energies - exact)) < 1e-4
    edges = bands.edges()
    assert targets.energies[2].max() == pytest.approx(edges[0] - bands.zero(), abs=1e-12)
    assert targets.energies[3].min() == pytest.approx(edges[1] - bands.zero(), abs=1e-12)


def test_corners_and_jumps_of_the_path():
    """No k-point lies between K and U, and every corner is one with its own energies."""
    bands = made_up_bands(num_k=100, labels=((0, "Γ"), (99, "X")))
    points = path_of().special_points
    targets = band_targets(bands, 10, 64)
    where = [int(np.abs(targets.k_points - points[name]).sum(axis=1).argmin()) for name in "GXWKU"]
    assert where[4] == where[3] + 1
    for index, name in zip(where, "GXWKU", strict=True):
        np.testing.assert_allclose(targets.k_points[index], points[name], atol=1e-12)
    np.testing.assert_allclose(targets.energies[4:9, where[0]], band_energies(np.zeros((1, 3)))[0, 3:8] - bands.zero())
    steps = np.diff(targets.k_points @ SI.cell.reciprocal()[:], axis=0)
    lengths = np.delete(np.linalg.norm(steps, axis=1), where[3])
    assert lengths.max() < 1.5 * lengths.min()  # divided evenly, lines of different lengths
    assert targets.labels == ((0, "Γ"), (63, "X"))


def test_a_path_of_this_number_stays():
    bands = made_up_bands()
    targets = band_targets(bands, 6, 30)
    np.testing.assert_array_equal(targets.k_points, bands.k_points)
    np.testing.assert_allclose(targets.energies, bands.energies[0, :, 1:7].T - bands.zero())


def test_too_few_k_points():
    with pytest.raises(ValueError, match="expected at least 6 k-points, the corners of the path, got 5"):
        band_targets(made_up_bands(), 6, 5)
    assert band_targets(made_up_bands(), 6, 6).k_points.shape == (6, 3)
