"""What counts as a structure that can be computed."""

import itertools
import re
import time
import tracemalloc

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry import complete_cell

from electrain.structures.checks import MIN_DISTANCE, check_known_elements, check_structure


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
        ([1e12, 1e12, 1e12], r"cell vectors that extend over at most 1000 A, got 1e\+12 A: wrong units"),
        ([5, 5, 2e3], "cell vectors that extend over at most 1000 A, got 2000 A"),
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
    with pytest.raises(ValueError, match="expected atoms that extend over at most 1000 A, got 100000 A: wrong units"):
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


def all_distances(atoms):
    """Distances to all images within reach, shape ``(num_atoms, num_atoms, num_images)``, and which is no shift."""
    full = atoms.copy()
    full.cell[:] = complete_cell(atoms.cell[:] * atoms.pbc[:, None])
    full.wrap(pbc=atoms.pbc, eps=0.0)
    heights = 1 / np.linalg.norm(np.linalg.inv(full.cell[:]), axis=0)
    reach = np.where(atoms.pbc, np.ceil(1 + MIN_DISTANCE / heights), 0).astype(int)
    shifts = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    vectors = full.positions[None, :, None] - full.positions[:, None, None] + shifts @ full.cell[:]
    return np.linalg.norm(vectors, axis=-1), ~shifts.any(axis=1)


def complaint_by_brute_force(atoms):
    """What the check must say: the distance of an atom from its own images first, then the closest pair."""
    distances, is_unshifted = all_distances(atoms)
    own = np.where(is_unshifted, np.inf, distances[0, 0]).min()
    if own < MIN_DISTANCE:
        return f"atom 0 (Si) and its own periodic image are {own:.3f} A apart, "
    closest = distances.min(axis=2)
    np.fill_diagonal(closest, np.inf)
    if closest.min() >= MIN_DISTANCE:
        return None
    i, j = np.unravel_index(np.argmin(closest), closest.shape)
    return f"atoms {i} (Si) and {j} (Si) are {closest.min():.3f} A apart, "


def random_structure(generator):
    """Skewed cells of all periodicities, thin and thick, with atoms inside and far outside of them."""
    pbc = generator.random(3) < 0.6
    lengths = np.exp(generator.uniform(np.log(0.3), np.log(6.0), 3))
    cell = lengths[:, None] * (np.eye(3) + generator.uniform(-0.4, 0.4, (3, 3)))
    if generator.random() < 0.3:  # the same lattice in a setting of higher indices
        i, j = generator.permutation(3)[:2]
        cell[i] += generator.integers(-4, 5) * cell[j]
    if not pbc.any() and generator.random() < 0.5:
        cell[:] = 0.0
    number = int(generator.integers(1, 13))
    positions = generator.uniform(0, 1, (number, 3)) @ (lengths[:, None] * np.eye(3) + 2.0 * np.diag(~pbc))
    positions += generator.integers(-20, 21, (number, 3)) * pbc @ cell
    return Atoms(f"Si{number}", positions=positions, cell=cell, pbc=pbc)


def test_agrees_with_all_distances_of_random_structures():
    generator = np.random.default_rng(0)
    found = {"fine": 0, "atom": 0, "atoms": 0, "too dense or thin": 0}
    for _ in range(600):
        atoms = random_structure(generator)
        expected = complaint_by_brute_force(atoms)
        try:
            check_structure(atoms)
        except ValueError as error:
            if "wrong units" in str(error):
                found["too dense or thin"] += 1
                continue
            assert expected is not None, f"{error}: {atoms}"
            assert str(error).startswith(expected), atoms
            found[expected.split()[0]] += 1
        else:
            assert expected is None, atoms
            found["fine"] += 1
    assert min(found[kind] for kind in ("fine", "atom", "atoms")) > 50, found


@pytest.mark.parametrize("pbc", list(itertools.product([True, False], repeat=3)))
def test_pairs_across_every_face_edge_and_corner(pbc):
    """Two atoms 0.3 A apart on both sides of the corner of a skewed cell, and no pair across an open face."""
    cell = np.array([[4.0, 0.0, 0.0], [1.5, 4.0, 0.0], [-1.0, 1.2, 4.0]])
    for signs in itertools.product([-1, 0, 1], repeat=3):
        vector = np.array(signs) @ cell
        if not any(signs):
            continue
        vector *= 0.3 / np.linalg.norm(vector)
        positions = np.array([-vector / 2, vector / 2])
        crossed = np.floor(positions @ np.linalg.inv(cell))  # into the cell, one way or another
        atoms = Atoms("CO", positions=positions - crossed @ cell, cell=cell, pbc=pbc)
        if (crossed[0] == crossed[1])[~np.array(pbc)].all():
            with pytest.raises(
                ValueError, match=r"atoms 0 \(C\) and 1 \(O\) are 0.300 A apart, expected at least 0.4 A"
            ):
                check_structure(atoms)
        else:
            check_structure(atoms)


@pytest.mark.parametrize("pbc", [[True, True, True], [True, False, False], False])
def test_atoms_in_one_place(pbc):
    """Of several equal pairs the first is named; 3 atoms in one place are no image of each other."""
    atoms = Atoms("HCNO", positions=[[3, 3, 3], [1, 1, 1], [1, 1, 1], [1, 1, 1]], cell=[6, 6, 6], pbc=pbc)
    with pytest.raises(ValueError, match=r"atoms 1 \(C\) and [23] \([NO]\) are 0.000 A apart"):
        check_structure(atoms)


def test_the_first_of_equally_close_pairs_is_named():
    positions = [[x, y, 0.02 + z] for x, y in np.ndindex(5, 5) for z in (0, 9.7)]
    with pytest.raises(ValueError, match=re.escape("atoms 0 (Si) and 1 (Si) are 0.300 A apart")):
        check_structure(Atoms("Si50", positions=positions, cell=[5, 5, 10], pbc=True))


@pytest.mark.parametrize("distance", [0.39, 0.41])
def test_atoms_far_outside_of_the_cell(distance):
    positions = [[1e6, 0.1, 0.1], [-1e6 + 0.1, 0.1, 3e6 + 0.1 + distance]]
    atoms = Atoms("Si2", positions=positions - np.array([[0, 0, 0], [0.1, 0, 0]]), cell=[5, 5, 5], pbc=True)
    if distance > MIN_DISTANCE:
        check_structure(atoms)
        return
    with pytest.raises(ValueError, match=r"atoms 0 \(Si\) and 1 \(Si\) are 0.390 A apart"):
        check_structure(atoms)


def test_a_wire_of_a_thousand_angstrom():
    positions = np.zeros((400, 3))
    positions[:, 2] = 2.5 * np.arange(400)
    wire = Atoms("C400", positions=positions, cell=[0, 0, 1000], pbc=[False, False, True])
    check_structure(wire)
    wire.positions[-1, 2] = 999.7
    with pytest.raises(ValueError, match=r"atoms 0 \(C\) and 399 \(C\) are 0.300 A apart"):
        check_structure(wire)


@pytest.mark.parametrize("pbc", [True, [True, True, False], [True, False, False], False])
def test_time_for_ten_thousand_atoms(pbc):
    """Takes some 15 ms. A list of all pairs takes seconds."""
    atoms = Atoms("Si10000", positions=2.5 * np.array(list(np.ndindex(20, 20, 25))), cell=[50, 50, 62.5], pbc=pbc)
    atoms.rattle(0.1, seed=0)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        check_structure(atoms)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1


def test_known_elements():
    check_known_elements(Atoms("SiC"), [1, 6, 14])
    with pytest.raises(ValueError, match="the model does not know N Fe; it knows the elements H Si"):
        check_known_elements(Atoms("FeN2Si"), {14, 1})
