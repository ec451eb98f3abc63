"""Paths of k-points are told from meshes and random points."""

import numpy as np
import pytest
import spglib
from ase.build import bulk
from ase.lattice import all_variants

from electrain.data.bands.path import check_path

CRYSTALS = {
    "fcc": bulk("Si"),
    "bcc": bulk("Fe"),
    "hexagonal": bulk("ZnO", "wurtzite", a=3.25, c=5.2),
    "cubic": bulk("CsCl", "cesiumchloride", a=4.12),
}


def without_repetitions(k_points):
    return k_points[np.concatenate([[True], np.abs(np.diff(k_points, axis=0)).max(axis=1) > 1e-6])]


@pytest.mark.parametrize("num_k", [40, 100, 256])
def test_paths_of_all_lattices(num_k):
    lattices = [lattice for lattice in all_variants() if lattice.ndim == 3]
    assert len(lattices) > 20
    for lattice in lattices:
        check_path(without_repetitions(lattice.bandpath(npoints=num_k).kpts))


def test_one_line():
    check_path(np.linspace([0, 0, 0], [0.5, 0, 0], 3))


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # of spglib
@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize("num_k", [2, 3, 4, 6, 9, 12])
def test_meshes(crystal, num_k):
    """Whole, in both orders, and reduced by symmetry."""
    atoms = CRYSTALS[crystal]
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    for shift in (0, 1):
        mapping, addresses = spglib.get_ir_reciprocal_mesh([num_k] * 3, cell, is_shift=[shift] * 3)
        whole = (addresses + 0.5 * shift) / num_k
        for mesh in (whole, np.array(sorted(map(tuple, whole % 1))), whole[np.unique(mapping)]):
            with pytest.raises(ValueError, match=r"those of a mesh, or random ones|at least 3 different k-points"):
                check_path(mesh)


def test_random_points():
    with pytest.raises(ValueError, match="use electrain prepare without --bands"):
        check_path(np.random.default_rng(0).uniform(-0.5, 0.5, (60, 3)))


def test_cartesian_coordinates():
    """The same path in 1/A, with 2 pi."""
    atoms = bulk("Cu", a=2.4)
    cartesian = 2 * np.pi * atoms.cell.bandpath("GXWK", npoints=40).kpts @ atoms.cell.reciprocal()[:]
    with pytest.raises(ValueError, match=r"expected fractional coordinates .* got 2\.6.*Cartesian"):
        check_path(without_repetitions(cartesian))
    with pytest.raises(ValueError, match="finite coordinates of k-points"):
        check_path(np.full((5, 3), np.nan))
