"""What counts as a structure that can be computed."""

import pytest
from ase import Atoms
from ase.build import bulk

from electrain.structures import check_structure


@pytest.mark.parametrize("shares", [{"Si": 0.6, "Ge": 0.4}, {"Si": 0.5}])
def test_disordered_sites_are_refused(shares):
    """ASE reads them as their most abundant element."""
    atoms = bulk("Si")
    atoms.info["occupancy"] = {"0": {"Si": 1.0}, "1": shares}
    with pytest.raises(ValueError, match=r"every site fully occupied by one element, got Si 0\.\d.* at site 1"):
        check_structure(atoms)


def test_occupancies_of_an_ordered_crystal_are_fine():
    atoms = bulk("Si")
    atoms.info["occupancy"] = {"0": {"Si": 1.0}}
    check_structure(atoms)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([1e12, 1e12, 1e12], r"cell vectors that reach over at most 1000 A, got 1e\+12 A: wrong units"),
        ([5, 5, 2e3], "cell vectors that reach over at most 1000 A, got 2000 A"),
        ([5, 5, 1e-9], r"at least 0.045 A\^3 per atom, got 2.5e-08 A\^3: wrong units"),
        ([500, 500, 0.04], "a cell at least 0.05 A thick, got 0.04 A: wrong units"),
        ([0.3, 5, 5], "atom 0 .* and its own periodic image are 0.300 A apart"),
    ],
)
def test_cells_that_neighbour_lists_cannot_be_made_of(cell, message):
    with pytest.raises(ValueError, match=message):
        check_structure(Atoms("Si", cell=cell, pbc=True))


def test_a_thin_oblique_cell_is_fine():
    """The cell of silicon in a setting of high indices: many thin layers."""
    cell = bulk("Si").cell[:]
    oblique = [cell[0], cell[1] + 5 * cell[0], cell[2] + 3 * cell[0] + 6 * cell[1]]
    check_structure(Atoms("Si", cell=oblique, pbc=True))


@pytest.mark.parametrize("pbc", [[True, True, False], [True, False, False], False])
def test_atoms_far_apart(pbc):
    check_structure(Atoms("Si2", positions=[[0, 0, 0], [0, 100, 100]], cell=[5, 5, 5], pbc=pbc))
    with pytest.raises(ValueError, match="expected atoms that reach over at most 1000 A, got 100000 A: wrong units"):
        check_structure(Atoms("Si2", positions=[[0, 0, 0], [0, 0, 1e5]], cell=[5, 5, 5], pbc=pbc))


def test_positions_outside_of_the_cell_mean_the_atoms_inside():
    check_structure(Atoms("Si2", positions=[[0, 0, 0], [0, 0, 1e5 + 2.5]], cell=[5, 5, 5], pbc=True))


def test_what_is_no_element():
    with pytest.raises(ValueError, match="expected chemical elements, got atomic number 0 for atom 1"):
        check_structure(Atoms("SiX", positions=[[0, 0, 0], [0, 0, 2.5]]))
