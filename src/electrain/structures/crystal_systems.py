"""Crystal systems of structures: by name, and as the numbers that models read."""

import math
import warnings
from typing import Any

from ase import Atoms
from spglib import get_symmetry_dataset

CRYSTAL_SYSTEMS = ("cubic", "hexagonal", "trigonal", "tetragonal", "orthorhombic", "monoclinic", "triclinic")
# first space group of each, in the order of the International Tables
_FIRST_GROUPS = {
    195: "cubic",
    168: "hexagonal",
    143: "trigonal",
    75: "tetragonal",
    16: "orthorhombic",
    3: "monoclinic",
    1: "triclinic",
}
TOLERANCE = 0.1  # A, that of the Materials Project
KEY = "crystal_system"  # of ``atoms.info``


def space_group(atoms: Atoms) -> int | None:
    """Return the number of the space group found by spglib (tolerance 0.1 A); ``None`` if a structure is no crystal."""
    if not atoms.pbc.all():
        return None
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    with warnings.catch_warnings():
        # spglib announces that it will raise errors instead of returning nothing, whether or not there is one
        warnings.simplefilter("ignore", DeprecationWarning)
        found = get_symmetry_dataset(cell, TOLERANCE)
    return None if found is None else int(found.number)


def crystal_system(atoms: Atoms) -> str | None:
    """Return the crystal system of the :func:`space_group`; ``None`` if a structure is no crystal."""
    number = space_group(atoms)
    return None if number is None else next(system for first, system in _FIRST_GROUPS.items() if number >= first)


def crystal_system_number(atoms: Atoms) -> int:
    """Return the number of the crystal system found by spglib: 1 (cubic) to 7 (triclinic), 0 if it is no crystal."""
    name = crystal_system(atoms)
    return 0 if name is None else 1 + CRYSTAL_SYSTEMS.index(name)


def given_crystal_system(atoms: Atoms) -> int | None:
    """Return the number of the crystal system in ``atoms.info["crystal_system"]``, ``None`` if there is none.

    It may be there by its name or as a number.

    :raises ValueError: for anything that is neither a crystal system nor a number from 0 to 7.
    """
    value: Any = atoms.info.get(KEY)
    if value is None:
        return None
    if isinstance(value, str) and value.lower() in CRYSTAL_SYSTEMS:
        return 1 + CRYSTAL_SYSTEMS.index(value.lower())
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if number in range(1 + len(CRYSTAL_SYSTEMS)):
        return int(number)
    raise ValueError(
        f"expected one of {', '.join(CRYSTAL_SYSTEMS)}, or its number from 1 to {len(CRYSTAL_SYSTEMS)} in this order "
        f"(0: unknown), as {KEY} in atoms.info, got {value!r}"
    )


def read_crystal_system(atoms: Atoms) -> int:
    """Return the number in ``atoms.info``, see :func:`given_crystal_system`, otherwise that which spglib finds."""
    given = given_crystal_system(atoms)
    return crystal_system_number(atoms) if given is None else given
