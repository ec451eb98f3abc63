"""Whether the energies of a data set can be learned."""

from collections.abc import Mapping, Sequence

import numpy as np

from electrain.interface.quantities import ENERGY

from .table import Row
from .valence import composition

_ENOUGH = 0.5  # share of structures with energies from which on they are trained on
# Share of the training structures, at least, that one energy for each element cannot fit exactly. What it cannot fit is
# what a network learns, and it sets the scale by which energies and forces are divided.
_LEFT = 0.1


def why_not_learned(parts: Mapping[str, Sequence[Row]]) -> str:
    """Return a sentence that says why the energies in the files are not learned, empty if they are.

    :param parts: structures of each part.
    """
    if len({row.code for rows in parts.values() for row in rows}) > 1:
        return "They come from several DFT codes, whose energies have different zeros."
    known = {name: [row for row in rows if ENERGY in row.known] for name, rows in parts.items()}
    if min(len(known[name]) / len(rows) for name, rows in parts.items()) < _ENOUGH:
        return "Few structures have energies."
    if _num_fitted_exactly(known["train"]) > (1.0 - _LEFT) * len(known["train"]):
        return "The training set is too small for its elements: one energy for each of them leaves nothing to learn."
    return ""


def _num_fitted_exactly(rows: Sequence[Row]) -> int:
    """How many of the structures one energy for each element can fit whatever theirs are: the rank of compositions."""
    counts = [composition(row) for row in rows]
    symbols = sorted({symbol for count in counts for symbol in count})
    if len(symbols) <= (1.0 - _LEFT) * len(rows):
        return len(symbols)  # at most; compositions of large data sets are not looked at
    return int(np.linalg.matrix_rank([[count.get(symbol, 0.0) for symbol in symbols] for count in counts]))
