"""What counts as a structure that can be computed."""

import pytest
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
