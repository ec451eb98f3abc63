"""Whether the cell of a crystal is the standardised primitive one, to which k-points of the same lattice refer."""

from ase import Atoms

from electrain.structures.cells import is_same_cell
from electrain.structures.standard_cells import standard_cell

_TOLERANCE = 0.01  # cells of files have been rounded, or relaxed without symmetry


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
    return len(standard) == len(atoms) and is_same_cell(atoms.cell[:], standard.cell[:], _TOLERANCE)
