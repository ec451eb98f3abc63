"""Bands along a path: checks, lengths, edges."""

import itertools

import numpy as np
import pytest
from ase import Atoms

from electrain.bands import BandStructure

CELL = Atoms("Si", cell=[[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]], pbc=True)
PATH = np.linspace([0.0, 0.0, 0.0], [0.5, 0.0, 0.5], 21)


def bands(**changes):
    """A valence band with its top at the first k-point and a conduction band with its bottom at the last one, in eV."""
    along = np.linspace(0.0, 1.0, 21)
    energies = np.stack([-along, 2.0 - 0.5 * along], axis=1)[None]
    values = {"atoms": CELL, "k_points": PATH, "energies": energies, "fermi_level": 0.2, "num_electrons": 2.0}
    return BandStructure(**values | changes)


def test_lengths_of_the_path_are_those_of_cartesian_steps():
    reciprocal = 2 * np.pi * np.linalg.inv(CELL.cell[:]).T
    expected = [0.0]
    for before, after in itertools.pairwise(PATH):
        expected.append(expected[-1] + np.linalg.norm((after - before) @ reciprocal))
    np.testing.assert_allclose(bands().distances(), expected, atol=1e-12)
    assert bands().distances()[-1] == pytest.approx(2 * np.pi / 4.0)  # from the center to X of a cube of 4 A


def test_jumps_are_long_steps():
    """From X to K = U + G, to Gamma; the first point of the second line is given twice."""
    second = np.linspace([0.375, 0.375, 0.75], [0.0, 0.0, 0.0], 21)
    k_points = np.concatenate([PATH, second[:1], second])
    found = bands(k_points=k_points, energies=np.zeros((1, 43, 2)))
    assert np.flatnonzero(found.jumps()).tolist() == [20]
    assert not bands().jumps().any()
    assert not bands(k_points=np.zeros((21, 3))).jumps().any()


def test_edges_and_the_middle_of_the_gap():
    assert bands().edges() == pytest.approx((0.0, 1.5))
    assert bands().zero() == pytest.approx(0.75)
    assert bands(num_electrons=None).edges() == pytest.approx((0.0, 1.5))  # from the Fermi level


@pytest.mark.parametrize(
    "changes",
    [{"num_electrons": 3.0}, {"num_electrons": None, "fermi_level": -0.5}, {"num_electrons": None, "fermi_level": 9.0}],
)
def test_a_metal_has_no_edges_and_keeps_its_fermi_level(changes):
    found = bands(**changes)
    assert found.edges() is None
    assert found.zero() == found.fermi_level


def test_spinors_hold_one_electron():
    assert bands(num_electrons=1.0, noncollinear=True).edges() == pytest.approx((0.0, 1.5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"energies": np.zeros((21, 2))}, "shape \\(1 or 2 spins, k-points, bands\\), got \\(21, 2\\)"),
        ({"k_points": PATH[1:]}, "each of 21 k-points, got an array of shape \\(20, 3\\)"),
        ({"k_points": np.full((21, 3), np.nan)}, "finite coordinates"),
        ({"fermi_level": np.inf}, "finite Fermi level"),
        ({"energies": np.tile([1.0, 0.0], (1, 21, 1))}, "band 1 lies below 0 at k-point 0"),
        ({"labels": ((0, "Γ"), (21, "X"))}, "k-points 0 to 20, got one of k-point 21"),
    ],
)
def test_inconsistent_bands_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        bands(**changes)
