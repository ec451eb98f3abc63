"""Crystal systems that spglib finds, and those that are given."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.spacegroup import crystal

from electrain.structures.crystal_systems import (
    CRYSTAL_SYSTEMS,
    crystal_system,
    crystal_system_number,
    given_crystal_system,
    read_crystal_system,
)


def lattice(lengths, angles=(90, 90, 90)):
    return Atoms("Po", cell=[*lengths, *angles], pbc=True)


@pytest.mark.parametrize(
    "atoms, expected",
    [
        (bulk("Si"), "cubic"),
        (bulk("Mg"), "hexagonal"),
        (crystal(["Si", "O"], [(0.4697, 0, 0), (0.4135, 0.2669, 0.1191)], spacegroup=152,
                 cellpar=[4.916, 4.916, 5.405, 90, 90, 120]), "trigonal"),
        (lattice((3, 3, 4)), "tetragonal"),
        (lattice((3, 4, 5)), "orthorhombic"),
        (lattice((3, 4, 5), (90, 100, 90)), "monoclinic"),
        (lattice((3, 4, 5), (80, 100, 75)), "triclinic"),
        (molecule("H2O"), None),
        (Atoms("Si2", cell=[5, 5, 5], pbc=True), None),  # on top of each other
    ],
)  # fmt: skip
def test_crystal_systems(atoms, expected):
    assert crystal_system(atoms) == expected
    number = crystal_system_number(atoms)
    assert (number == 0) if expected is None else (CRYSTAL_SYSTEMS[number - 1] == expected)
    assert read_crystal_system(atoms) == number
    if expected:
        turned = atoms.copy()
        turned.rotate(37, (1, 2, 3), rotate_cell=True)
        assert crystal_system(turned) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [("cubic", 1), ("Trigonal", 3), (0, 0), (7, 7), (2.0, 2), (np.int64(4), 4), ("5", 5), (None, 1)],
)
def test_given(given, expected):
    """In place of what spglib finds, as for a cell of a molecular dynamics run at 300 K."""
    atoms = bulk("Si")
    atoms.info["crystal_system"] = given
    assert read_crystal_system(atoms) == expected
    assert given_crystal_system(atoms) == (None if given is None else expected)


@pytest.mark.parametrize("given", ["hR", 8, -1, 1.5, np.nan, np.zeros(3), ""])
def test_given_wrongly(given):
    atoms = bulk("Si")
    atoms.info["crystal_system"] = given
    message = r"expected one of cubic, .*, triclinic, or its number from 1 to 7 in this order .* as crystal_system"
    with pytest.raises(ValueError, match=message):
        read_crystal_system(atoms)
