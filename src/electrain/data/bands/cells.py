"""Whether the cell of a crystal is the standardised primitive one, to which k-points of the same lattice refer."""

import numpy as np
from ase import Atoms

from electrain.structures.standard_cells import standard_cell

_TOLERANCE = 0.01  # relative, of squares of lengths


def is_standard_cell(atoms: Atoms) -> bool | None:
    """Compare a cell, in any orientation, with :func:`~electrain.structures.standard_cells.standard_cell`.

    :return: ``None`` without pymatgen, which knows the standard.
    """
    try:
        standard = standard_cell(atoms).atoms
    except ImportError:
        return None
    except ValueError:  # no symmetry, not even translations
        return False
    if len(standard) != len(atoms):
        return False
    found, expected = atoms.cell[:] @ atoms.cell[:].T, standard.cell[:] @ standard.cell[:].T
    return bool(np.abs(found - expected).max() < _TOLERANCE * np.abs(expected).max())
