"""The tight-binding model that pretraining/ learns from, against closed forms and symmetries."""

import numpy as np
import pytest
import tight_binding as tb
from ase import Atoms
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation

ROTATION = Rotation.from_euler("xyz", [0.3, 1.1, -0.7]).as_matrix()


def rotated(atoms):
    turned = atoms.copy()
    turned.set_cell(atoms.cell @ ROTATION.T)
    turned.positions = atoms.positions @ ROTATION.T
    return turned


def test_two_atoms_of_hydrogen():
    """Bonding and antibonding level, at the orbital's energy minus and plus the hopping."""
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 1.0]])
    hopping = 1.32 * 7.62 / (1 + np.exp((1.0 - 4.6) / 0.35))
    radius = tb.element(1).radius
    hopping *= np.exp(-1.5 * (1.0 / (2 * radius) - 1.15))
    found = tb.tight_binding(atoms)
    assert found.gap == pytest.approx(2 * hopping, rel=1e-9)
    assert found.fermi_level == pytest.approx(tb.element(1).energies[0], abs=1e-9)


@pytest.mark.parametrize("atoms", [bulk("GaAs", "zincblende", a=5.65), bulk("Fe"), molecule("CH4")])
def test_hamiltonians_are_hermitian(atoms):
    matrices = tb.hamiltonians(atoms, np.array([[0.0, 0.0, 0.0], [0.13, 0.27, -0.41]]))
    np.testing.assert_allclose(matrices, matrices.conj().transpose(0, 2, 1), atol=1e-12)


@pytest.mark.parametrize("atoms", [bulk("GaAs", "zincblende", a=5.65), bulk("Ti"), molecule("CH3CH2OH")])
def test_rotations_change_nothing(atoms):
    atoms.rattle(0.1, seed=1)
    found, again = tb.tight_binding(atoms), tb.tight_binding(rotated(atoms))
    np.testing.assert_allclose(again.local, found.local, atol=1e-8)
    assert again.gap == pytest.approx(found.gap, abs=1e-8)


def test_cells_of_any_size_have_the_same_levels():
    """At k-points that fold onto each other."""
    cell = bulk("Si")
    points = np.array([[0.1, 0.2, 0.3], [0.6, 0.2, 0.3]])
    levels = np.sort(np.linalg.eigvalsh(present(tb.hamiltonians(cell, points))), axis=None)
    folded = np.linalg.eigvalsh(present(tb.hamiltonians(cell * (2, 1, 1), np.array([[0.2, 0.2, 0.3]]))))
    np.testing.assert_allclose(np.sort(folded, axis=None), levels, atol=1e-9)


def present(matrices):
    exists = np.flatnonzero(~np.isnan(matrices[0].diagonal()))
    return matrices[:, exists[:, None], exists]


def test_states_are_counted():
    """All eight orbitals of diamond's two atoms are between -24 and 12 eV, with two electrons each."""
    found = tb.tight_binding(bulk("Ge"))
    assert found.local.sum() * 0.5 == pytest.approx(16, rel=0.01)
    assert (found.local >= 0).all() and found.local[:, 2].max() == 0


def test_distance_between_orbitals():
    """Two-center integrals along z: sigma, pi and delta bonds are diagonal, with Harrison's numbers."""
    iron = tb.element(26)
    block = tb.hoppings([iron], [iron], np.array([[0.0, 0.0, 2.4]]))[0]
    smooth = 1 / (1 + np.exp((2.4 - 4.6) / 0.35))
    assert block[0, 0] == pytest.approx(-1.32 * 7.62 / 2.4**2 * smooth, rel=1e-9)
    assert block[3, 3] == pytest.approx(2.22 * 7.62 / 2.4**2 * smooth, rel=1e-9)
    assert block[1, 1] == pytest.approx(-0.63 * 7.62 / 2.4**2 * smooth, rel=1e-9)
    dd = 7.62 * 0.8**3 / 2.4**5 * smooth
    np.testing.assert_allclose(np.diag(block[4:, 4:]), np.array([0, 8.75, 8.75, 0, -16.2]) * dd, rtol=1e-9, atol=1e-12)
    pd = 7.62 * 0.8**1.5 / 2.4**3.5 * smooth
    assert block[3, 8] == pytest.approx(-2.95 * pd, rel=1e-9)
    assert block[1, 6] == pytest.approx(1.36 * pd, rel=1e-9)
    assert block[0, 8] == pytest.approx(-3.16 * pd, rel=1e-9)


def test_gaps_of_metals_insulators_and_noble_gases():
    assert tb.tight_binding(bulk("Al")).gap == 0
    assert tb.tight_binding(bulk("Na")).gap == 0  # one electron half fills a band
    assert tb.tight_binding(bulk("C", "diamond", a=3.57)).gap > 3
    assert tb.tight_binding(bulk("Ne", "fcc", a=4.4)).gap == float("inf")  # no orbital is empty


def test_overlapping_bands_have_no_gap():
    levels = np.array([[0.0, 1.0, 3.0], [0.5, 2.0, 2.5]])
    assert tb.gap_of_bands(levels, 2) == pytest.approx(0.5)
    assert tb.gap_of_bands(levels, 4) == pytest.approx(0.5)
    assert tb.gap_of_bands(levels - np.array([0, 0, 1]), 4) == 0
    assert tb.gap_of_bands(levels, 3) == 0
