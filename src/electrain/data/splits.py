"""Training, validation and test sets that keep related structures together."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PARTS = ("train", "validation", "test")

# An element is held out only if the training set has it in this many groups: errors for elements that training hardly
# saw say nothing about a model. (metatrain demands one.)
_MIN_TRAINING_GROUPS = 3


@dataclass(frozen=True)
class Split:
    """Which structure belongs to which part.

    :param train: indices of the structures, ascending.
    :param validation: indices of the structures, ascending.
    :param test: indices of the structures, ascending; empty if no share was asked for.
    :param grouped_by: ``"parent or formula"``, or ``"structure"`` if there were too few groups.
    """

    train: list[int]
    validation: list[int]
    test: list[int]
    grouped_by: str


def split_structures(
    structures: Sequence[Atoms], *, shares: tuple[float, float, float] = (8, 1, 1), seed: int = 0
) -> Split:
    """Split by groups of related structures, near the shares in every subset.

    One group are the structures of the same ``info["parent"]`` (and that parent) or of the same reduced
    formula: rattled and strained copies never end up on two sides. Every element of the validation
    and test set occurs in at least three groups of the training set (in one at least, where a set has too few
    groups). With fewer groups than parts (a single compound) every structure is a group of its own.

    :param structures: ``info["subset"]`` names the subset.
    :param shares: of training, validation and test set, in any scale; only the test share may be 0.
    :param seed: of the random order of groups.
    :raises ValueError: for shares that make no sense, or if nothing can be held out.
    """
    check_shares(shares)
    fractions = np.array(shares, dtype=float) / sum(shares)
    groups = _groups(structures)
    grouped_by = "parent or formula"
    if len(groups) < np.count_nonzero(fractions):
        groups, grouped_by = [[index] for index in range(len(structures))], "structure"
    order = [groups[index] for index in np.random.default_rng(seed).permutation(len(groups))]
    parts = _assign(order, structures, fractions)
    _fill_empty_parts(parts, structures, fractions)
    train, validation, test = (sorted(index for group in part for index in group) for part in parts)
    return Split(train, validation, test, grouped_by)


def check_shares(shares: tuple[float, float, float]) -> None:
    """Check the shares of a split.

    :raises ValueError: unless there are three, finite, the last at least 0 and the others positive.
    """
    valid = len(shares) == 3 and min(shares[:2]) > 0 and shares[2] >= 0 and math.isfinite(sum(shares))
    if not valid:
        raise ValueError(f"expected shares train:validation:test such as 8:1:1, only the last may be 0, got {shares}")


def _groups(structures: Sequence[Atoms]) -> list[list[int]]:
    """Connected by the same parent (or by being it) or the same formula, also through others."""
    parents = {str(atoms.info["parent"]) for atoms in structures if "parent" in atoms.info}
    nodes: dict[tuple[str, str], int] = {}  # parents and formulas, numbered after the structures
    pairs = []
    for index, atoms in enumerate(structures):
        name = str(atoms.info.get("parent", atoms.info.get("id", "")))
        for key in [("formula", _formula(atoms))] + [("parent", name)] * (name in parents):
            pairs.append((index, nodes.setdefault(key, len(structures) + len(nodes))))
    size = len(structures) + len(nodes)
    first, second = zip(*pairs, strict=True) if pairs else ((), ())
    _, labels = connected_components(coo_array((np.ones(len(pairs)), (first, second)), shape=(size, size)))
    groups: dict[int, list[int]] = {}
    for index in range(len(structures)):
        groups.setdefault(int(labels[index]), []).append(index)
    return list(groups.values())


def _formula(atoms: Atoms) -> str:
    return atoms.get_chemical_formula(mode="hill", empirical=True)


def _subset(atoms: Atoms) -> str:
    return str(atoms.info.get("subset", "all"))


def _elements(groups: Sequence[Sequence[int]], structures: Sequence[Atoms]) -> set[str]:
    return {symbol for group in groups for index in group for symbol in structures[index].symbols}


def _assign(order: list[list[int]], structures: Sequence[Atoms], fractions: np.ndarray) -> list[list[list[int]]]:
    """Collect a training set that knows every element first, then put each group where it is missed most."""
    missing = {subset: n * fractions for subset, n in Counter(map(_subset, structures)).items()}
    parts: list[list[list[int]]] = [[], [], []]
    training_groups: Counter[str] = Counter()
    later = []
    for group in order:
        elements = _elements([group], structures)
        if min(training_groups[element] for element in elements) >= _MIN_TRAINING_GROUPS:
            later.append(group)
            continue
        training_groups.update(elements)
        parts[0].append(group)
        for index in group:
            missing[_subset(structures[index])][0] -= 1
    for group in later:
        part = int(np.argmax(np.sum([missing[_subset(structures[index])] for index in group], axis=0)))
        parts[part].append(group)
        for index in group:
            missing[_subset(structures[index])][part] -= 1
    return parts


def _fill_empty_parts(parts: list[list[list[int]]], structures: Sequence[Atoms], fractions: np.ndarray) -> None:
    """Small sets: move the smallest group into a part that got nothing, if others still hold its elements."""
    for part in (1, 2):
        if fractions[part] == 0 or parts[part]:
            continue
        for group in sorted(parts[0], key=len):
            rest = [other for other in parts[0] if other is not group]
            if _elements([group], structures) <= _elements(rest, structures):
                parts[0], parts[part] = rest, [group]
                break
        else:
            raise ValueError(
                f"nothing can be held out for the {PARTS[part]} set: each of the {len(structures)} "
                "structures (with those related to it) is the only one with some element; "
                "add structures of these elements"
            )
