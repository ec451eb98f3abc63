"""Standardised cells: the same for the same crystal, and clear about what is none."""

import builtins

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, make_supercell, molecule
from crystals import crystals, disguises, tight_binding

from electrain.structures.standard_cells import standard_cell

pytest.importorskip("pymatgen")
K_POINTS = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 3))


@pytest.mark.parametrize("name", crystals())
def test_the_same_crystal_has_the_same_cell_and_the_same_bands(name):
    given = crystals()[name]
    standard = standard_cell(given).atoms
    energies = tight_binding(standard, K_POINTS)
    for how, same in disguises(given):
        found = standard_cell(same).atoms
        np.testing.assert_allclose(found.cell[:], standard.cell[:], atol=1e-8, err_msg=how)
        # at k-points without any symmetry: a cell of the right shape may hold the crystal turned over
        np.testing.assert_allclose(tight_binding(found, K_POINTS), energies, atol=1e-8, err_msg=how)


def test_a_standardised_cell_stays_as_it_is():
    for given in crystals().values():
        once = standard_cell(given).atoms
        again = standard_cell(once)
        np.testing.assert_allclose(again.atoms.cell[:], once.cell[:], atol=1e-8)
        assert again.changes == ""


@pytest.mark.parametrize("name", ["Fe", "Cu", "Si"])
def test_strained_crystals_stay_strained(name):
    """By 1.5 % along an axis: the bands of the tetragonal crystal, not those of a cubic one."""
    atoms = bulk(name)
    atoms.set_cell(atoms.cell[:] @ np.diag([1.0, 1.0, 1.015]), scale_atoms=True)
    found = standard_cell(atoms).atoms
    assert found.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-6)
    distances = [make_supercell(one, 3 * np.eye(3)).get_all_distances(mic=True)[0] for one in (atoms, found)]
    np.testing.assert_allclose(*[np.sort(one) for one in distances], atol=1e-4)


def test_what_was_changed_is_told():
    standard = standard_cell(bulk("Si")).atoms
    assert standard_cell(bulk("Si", cubic=True)).changes == "the given cell of 8 atoms holds 4 primitive cells of 2"
    other = make_supercell(standard, [[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert standard_cell(other).changes == "the given cell is primitive with other lattice vectors"
    standard.rotate(20, "z", rotate_cell=True)
    assert standard_cell(standard).changes == "the given crystal was rotated"


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (molecule("H2O"), "got a molecule, H2O, periodic in none"),
        (fcc111("Al", (1, 1, 3), vacuum=8.0), "got a slab, Al3, periodic in 2"),
        (Atoms("C", cell=[2.0, 9.0, 9.0], pbc=[True, False, False]), "got a chain, C, periodic in 1"),
        (Atoms("Si2", cell=[4.0, 4.0, 4.0], pbc=True), "A"),
    ],
)
def test_what_is_no_crystal_is_refused(atoms, message):
    with pytest.raises(ValueError, match=message):
        standard_cell(atoms)


def test_without_pymatgen(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pymatgen"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"need pymatgen: pip install electrain\[pymatgen\]"):
        standard_cell(bulk("Si"))
