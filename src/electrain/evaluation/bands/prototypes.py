"""The nearest compound of a training set: the same prototype, then the closest composition."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.structures.crystal_systems import space_group

_NOBLE_GASES = (2, 10, 18, 36, 54, 86, 118)
_NUM_ELEMENTS = _NOBLE_GASES[-1]
_NUM_GROUPS = 18


class Nearest(NamedTuple):
    """The nearest compound of each structure.

    :param indices: in the training set; -1 if there is none.
    :param same_prototype: whether it has the same prototype.
    """

    indices: NDArray[np.int64]
    same_prototype: NDArray[np.bool_]


def nearest_compounds(training: Sequence[Atoms], structures: Sequence[Atoms], *, leave_out_own: bool) -> Nearest:
    """Find the nearest compound of a training set for each structure.

    Compounds have the same prototype if they have the same space group (spglib, tolerance 0.1 A) and the same numbers
    of atoms of their elements in the reduced formula, such as 1 and 2 in Na2O and CaF2. Among those with the same
    prototype, or among all if there are none, the nearest is the one at the smallest :func:`distances`; of several,
    the first.

    :param training: structures of the training set.
    :param structures: for which the nearest one is looked for.
    :param leave_out_own: whether both are the same list, and no structure may be its own neighbor.
    """
    positions, own = _cumulative_fractions(training), _cumulative_fractions(structures)
    members: dict[object, list[int]] = {}
    for index, atoms in enumerate(training):
        members.setdefault(_prototype(atoms), []).append(index)
    indices, same = np.full(len(structures), -1), np.zeros(len(structures), dtype=bool)
    for index, atoms in enumerate(structures):
        others = np.arange(len(training))
        if leave_out_own:
            others = others[others != index]
        alike = np.intersect1d(members.get(_prototype(atoms), []), others)
        candidates = alike if len(alike) else others
        if len(candidates):
            distance = np.abs(positions[candidates] - own[index]).sum(axis=1)
            # equal ones differ by rounding
            indices[index] = candidates[int(np.round(distance, 9).argmin())]
            same[index] = len(alike) > 0
    return Nearest(indices, same)


def distances(one: Atoms, others: Sequence[Atoms]) -> NDArray[np.float64]:
    r"""Distances of compositions: how far atoms have to be moved through the periodic table to make one the other.

    Elements are numbered down each group and from group to group: H, Li, ..., Fr, Be, ..., with the lanthanides and
    actinides in group 3. With the fractions :math:`x_i` of the elements with number i, the distance is
    :math:`\sum_j |\sum_{i \le j} (x_i - y_i)|`, the mean number of steps of an atom. This is the element mover's
    distance of Hargreaves et al., Chem. Mater. 32, 10610 (2020), with a simpler numbering.

    :return: shape ``(len(others),)``.
    """
    return np.asarray(np.abs(_cumulative_fractions(others) - _cumulative_fractions([one])).sum(axis=1))


def group_of(number: int) -> int:
    """Return the group of an element, from 1 to 18; lanthanides and actinides are in group 3."""
    last = next(last for last in _NOBLE_GASES if number <= last)
    first = 1 + max((before for before in _NOBLE_GASES if before < number), default=0)
    if number == last:
        return _NUM_GROUPS
    if number - first < 2:
        return 1 + number - first
    return max(3, _NUM_GROUPS - (last - number))


def _cumulative_fractions(structures: Sequence[Atoms]) -> NDArray[np.float64]:
    """Fractions of all elements up to each one, shape ``(num_structures, 118)``."""
    order = sorted(range(1, 1 + _NUM_ELEMENTS), key=lambda number: (group_of(number), number))
    counts = np.array([np.bincount(atoms.numbers, minlength=1 + _NUM_ELEMENTS) for atoms in structures])
    return np.asarray(np.cumsum(counts[:, order] / counts.sum(axis=1, keepdims=True), axis=1))


def _prototype(atoms: Atoms) -> tuple[int | None, tuple[int, ...]]:
    counts = np.unique(atoms.numbers, return_counts=True)[1]
    return space_group(atoms), tuple(sorted((counts // np.gcd.reduce(counts)).tolist()))
