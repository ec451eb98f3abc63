"""Rows of the table: fingerprints, duplicates and the way through a file."""

import json
import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from electrain.data import make_sample
from electrain.data.table import duplicates, fingerprint, make_row, row_from_list
from electrain.interface.quantities import ENERGY

STRUCTURES = {
    "crystal": bulk("SiC", "zincblende", a=4.36),
    "surface": fcc111("Al", (1, 2, 3), vacuum=5.0),
    "molecule": molecule("CH3CH2OH"),
}


@pytest.fixture(params=STRUCTURES)
def structure(request):
    return STRUCTURES[request.param].copy()


def test_other_digits_are_the_same_structure(structure):
    expected = fingerprint(structure)
    for decimals in (6, 8):
        rounded = structure.copy()
        rounded.set_cell(structure.cell[:].round(decimals))
        rounded.positions = structure.positions.round(decimals)
        assert fingerprint(rounded) == expected


def test_order_and_image_of_atoms_mean_nothing(structure):
    order = np.random.default_rng(0).permutation(len(structure))
    moved = structure[order]
    if structure.pbc.any():
        moved.positions += 3 * structure.cell[0] - structure.cell[1]
    assert fingerprint(moved) == fingerprint(structure)


@pytest.mark.parametrize("change", ["position", "element", "cell", "boundary"])
def test_another_structure(structure, change):
    other = structure.copy()
    if change == "position":
        other.positions[-1, 0] += 0.01
    elif change == "element":
        other.numbers[0] += 1
    elif change == "cell":
        other.set_cell(np.diag([5.0, 5.0, 5.0]) if not other.pbc.any() else other.cell[:] * 1.01)
        other.pbc = True if not structure.pbc.any() else structure.pbc
    else:
        other.set_cell(other.cell.complete())
        other.pbc = ~other.pbc
    assert fingerprint(other) != fingerprint(structure)


def test_the_cell_of_an_open_direction_means_nothing():
    slab = fcc111("Al", (1, 1, 2), vacuum=5.0)
    taller = slab.copy()
    taller.set_cell(slab.cell[:] + np.diag([0, 0, 7.0]))
    assert fingerprint(taller) == fingerprint(slab)


def test_two_atoms_that_swap_elements():
    first = Atoms("SiC", positions=[[0, 0, 0], [2, 0, 0]], cell=[5, 5, 5], pbc=True)
    second = Atoms("CSi", positions=[[0, 0, 0], [2, 0, 0]], cell=[5, 5, 5], pbc=True)
    assert fingerprint(first) != fingerprint(second)


def test_rows_survive_json(make_calculation):
    atoms = bulk("Si")
    atoms.info = {"id": "silicon", "subset": "bulk"}
    for calculation in (make_calculation(atoms=atoms, values={ENERGY: -3.0}), make_calculation(num_electrons=None)):
        row = make_row(3, 14, calculation, make_sample(calculation, step=0.05, smearing=0.3))
        again = row_from_list(json.loads(json.dumps(row)))
        assert type(again) is type(row)
        for name, value in row._asdict().items():
            found = getattr(again, name)
            assert found == value or (math.isnan(found) and math.isnan(value)), name


def test_the_first_of_equal_structures_stays(make_calculation):
    calculations = [make_calculation(atoms=bulk(name), num_electrons=None) for name in ("Si", "Ge", "Si", "Si")]
    rows = [make_row(0, i, c, make_sample(c, step=0.05, smearing=0.3)) for i, c in enumerate(calculations)]
    assert duplicates(rows) == {2: 0, 3: 0}


def test_of_equal_structures_the_one_stays_of_which_most_is_known(make_calculation):
    known = [
        {"num_electrons": None},
        {"values": {ENERGY: -3.0}},
        {"num_electrons": None, "values": {ENERGY: -3.0}},
        {"values": {ENERGY: -3.0}},
    ]
    calculations = [make_calculation(atoms=bulk("Si"), **values) for values in known]
    rows = [make_row(0, i, c, make_sample(c, step=0.05, smearing=0.3)) for i, c in enumerate(calculations)]
    assert duplicates(rows) == {0: 1, 2: 1, 3: 1}
