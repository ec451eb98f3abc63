"""Resampling: extrema, gaps and high-symmetry points stay; smoothing does what its description says."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from model_bands import FREE_ELECTRON, silicon, silicon_bands

from electrain.bands import BandStructure, KPath, band_gap, k_path, resampled

pytest.importorskip("pymatgen")


@pytest.fixture(scope="module")
def path():
    return k_path(bulk("Si"))


@pytest.fixture(scope="module")
def fine():
    return silicon_bands(k_path(bulk("Si"), 701))


def test_bands_on_the_same_k_points_do_not_change(path):
    bands = silicon_bands(path)
    np.testing.assert_allclose(resampled(bands, path).energies, bands.energies, atol=1e-12)


@pytest.mark.parametrize("num_points", [60, 100, 701])
def test_extrema_gap_and_corners_are_kept(path, num_points):
    bands = silicon_bands(k_path(bulk("Si"), num_points))
    found = resampled(bands, path)
    np.testing.assert_array_equal(found.k_points, path.k_points)
    assert found.labels == path.labels
    np.testing.assert_allclose(found.energies.max(axis=1), bands.energies.max(axis=1), atol=1e-12)
    np.testing.assert_allclose(found.energies.min(axis=1), bands.energies.min(axis=1), atol=1e-12)
    assert band_gap(found).energy == pytest.approx(band_gap(bands).energy, abs=1e-12)
    corners = [index for index, _ in path.labels]
    np.testing.assert_allclose(found.energies[:, corners], silicon(path.k_points[corners])[None], atol=1e-9)


def test_energies_are_close_to_the_true_ones(path, fine):
    error = np.abs(resampled(fine, path).energies[0] - silicon(path.k_points))
    assert error[:, :8].mean() < 1e-3
    coarse = np.abs(resampled(silicon_bands(k_path(bulk("Si"), 60)), path).energies[0] - silicon(path.k_points))
    assert coarse[:, :8].mean() < 0.02


def test_without_putting_extrema_back_a_gap_would_grow(path, fine, monkeypatch):
    monkeypatch.setattr("electrain.bands.resampling._put_extrema_back", lambda *_: None)
    assert band_gap(resampled(fine, path)).energy > band_gap(fine).energy + 1e-4


def test_random_bands_never_leave_their_range_and_keep_their_order():
    """Also where neighboring bands have their extrema between the same two k-points."""
    line = KPath(Atoms("H", cell=[3.0] * 3, pbc=True), np.linspace([0, 0, 0], [0.5, 0, 0], 9), ((0, "Γ"), (8, "X")))
    random = np.random.default_rng(3)
    for _ in range(50):
        energies = np.sort(random.normal(size=(2, 31, 4)), axis=2)
        bands = BandStructure(line.atoms, np.linspace([0, 0, 0], [0.5, 0, 0], 31), energies, 0.0)
        found = resampled(bands, line).energies
        assert np.all(np.diff(found, axis=2) >= 0)
        assert np.all(found.max(axis=1) <= energies.max(axis=1) + 1e-12)
        assert np.all(found.min(axis=1) >= energies.min(axis=1) - 1e-12)
        # the highest band has room above it, and the lowest below it
        np.testing.assert_allclose(found.max(axis=1)[:, -1], energies.max(axis=1)[:, -1], atol=1e-12)
        np.testing.assert_allclose(found.min(axis=1)[:, 0], energies.min(axis=1)[:, 0], atol=1e-12)


def test_lines_in_another_order_with_jumps_repeated_points_and_other_signs(path, fine):
    expected = resampled(fine, path)
    corners = [index for index, _ in fine.labels]
    pieces = [np.arange(first, last + 1) for first, last in itertools.pairwise(corners)]
    order = np.concatenate([piece[::-1] if number % 2 else piece for number, piece in enumerate(pieces[::-1])])
    other = replace(
        fine, k_points=[1, 0, -1] - fine.k_points[order], energies=fine.energies[:, order], labels=((0, "there"),)
    )
    np.testing.assert_allclose(resampled(other, path).energies, expected.energies, atol=1e-9)


def test_a_missing_line_and_a_jump_in_its_place(path):
    bands = silicon_bands(path)
    (first, _), (last, _) = bands.labels[:2]
    kept = np.r_[first, last:256]
    jump = replace(bands, k_points=bands.k_points[kept], energies=bands.energies[:, kept], labels=())
    with pytest.raises(ValueError, match=r"path of Si2, found none between Γ, \(0, 0, 0\), and W, \(0\.\d"):
        resampled(jump, path)


def test_other_crystals_and_cells_are_refused(path):
    bands = silicon_bands(path)
    with pytest.raises(ValueError, match="same crystal, got Ge2 and Si2"):
        resampled(replace(bands, atoms=bulk("Ge")), path)
    larger = bands.atoms.copy()
    larger.set_cell(1.02 * larger.cell[:], scale_atoms=True)
    with pytest.raises(ValueError, match=r"Si2 in the cell of the path, 3\.8396 .* got 3\.9164"):
        resampled(replace(bands, atoms=larger), path)
    with pytest.raises(ValueError, match="positive smoothing in 1/A, got -1"):
        resampled(bands, path, smoothing=-1.0)


def test_smoothing_moves_edges_as_described(path, fine):
    gaps = [band_gap(resampled(fine, path, smoothing)).energy for smoothing in (0.05, 0.1)]
    assert gaps == pytest.approx([1.194, 1.261], abs=2e-3)
    # one parabola: E0 + FREE_ELECTRON q^2 / m
    cell = Atoms("H", cell=[3.0] * 3, pbc=True)
    line = KPath(cell, np.linspace([-0.5, 0, 0], [0.5, 0, 0], 801), ((0, "X"), (800, "X")))
    energies = FREE_ELECTRON / 0.1 * (2 * np.pi / 3.0 * line.k_points[:, 0]) ** 2
    bands = BandStructure(cell, line.k_points, energies[None, :, None], 1.0)
    assert resampled(bands, line, 0.05).energies.min() == pytest.approx(0.095, abs=1e-3)
