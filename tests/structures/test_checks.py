"""What counts as a structure that can be computed."""

import itertools
import tracemalloc

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from electrain.structures.checks import check_structure


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


@pytest.mark.parametrize("pbc", [[True, True, False], [False, True, False], [False, False, True], False])
@pytest.mark.parametrize("cell", [[5, 5, 5], [[5, 0, 0], [1, 4, 0], [0, 1, 6]], [[5, 0, 0], [0, 4, 2], [5, 0, 1]]])
def test_close_atoms_are_found_whatever_the_cell_of_open_directions(pbc, cell):
    """Also where atoms are outside of it, and against all distances within some images."""
    generator = np.random.default_rng(0)
    atoms = Atoms("Si20", positions=generator.uniform(-7, 12, (20, 3)), cell=cell, pbc=pbc)
    shifts = [range(-9, 10) if is_periodic else (0,) for is_periodic in atoms.pbc]
    images = np.array([np.array(shift) @ atoms.cell[:] for shift in itertools.product(*shifts)])
    for _ in range(40):  # ever denser, until two are too close
        vectors = atoms.positions[:, None, None] - atoms.positions[None, :, None] + images
        distances = np.linalg.norm(vectors, axis=-1)
        distances[distances < 1e-9] = np.inf
        if distances.min() < 0.4:
            break
        check_structure(atoms)
        atoms.positions[-1] += 0.15 * (atoms.positions[0] + [0.1, 0.1, 0.1] - atoms.positions[-1])
    with pytest.raises(ValueError, match=rf"are {distances.min():.3f} A apart"):
        check_structure(atoms)


@pytest.mark.parametrize("pbc", [[True, True, False], False])
def test_dependent_cell_vectors_of_open_directions_are_none(pbc):
    check_structure(Atoms("Si", cell=[[5, 0, 0], [0, 5, 0], [5, 0, 0]], pbc=pbc))


def test_many_atoms_without_a_cell_take_little_memory():
    atoms = Atoms("H2000", positions=3.0 * np.array(list(np.ndindex(20, 10, 10))))
    tracemalloc.start()
    check_structure(atoms)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200e6  # a list of all pairs takes a gigabyte


def test_atoms_that_left_the_cell_along_a_slab():
    check_structure(Atoms("Si2", positions=[[0, 0, 0], [6002.5, 0, 0]], cell=[5, 5, 5], pbc=[True, True, False]))


def test_positions_outside_of_the_cell_mean_the_atoms_inside():
    check_structure(Atoms("Si2", positions=[[0, 0, 0], [0, 0, 1e5 + 2.5]], cell=[5, 5, 5], pbc=True))


def test_what_is_no_element():
    with pytest.raises(ValueError, match="expected chemical elements, got atomic number 0 for atom 1"):
        check_structure(Atoms("SiX", positions=[[0, 0, 0], [0, 0, 2.5]]))
