"""Comparing unit cells."""

import numpy as np
import pytest
from ase.build import bulk

from electrain.structures.cells import is_same_cell


@pytest.mark.parametrize("name", ["Si", "Mg"])
def test_cells_are_the_same_in_any_orientation(name):
    atoms, turned = bulk(name), bulk(name)
    turned.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
    assert is_same_cell(turned.cell[:], atoms.cell[:])
    assert is_same_cell(-turned.cell[:], atoms.cell[:])  # inverted
    assert not is_same_cell(turned.cell[:] * 1.001, atoms.cell[:])
    assert is_same_cell(turned.cell[:] * 1.001, atoms.cell[:], tolerance=0.01)
    assert not is_same_cell(atoms.cell[:] @ np.diag([1.0, 1.0, 1.01]), atoms.cell[:])


def test_other_vectors_of_the_same_lattice_are_another_cell():
    cell = bulk("Si").cell[:]
    assert not is_same_cell([cell[0], cell[1], cell[2] + cell[0]], cell)
    assert not is_same_cell(bulk("Mg").cell[[2, 1, 0]], bulk("Mg").cell[:])
