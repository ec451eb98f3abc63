"""Training, validation and test sets that keep related structures together."""

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PARTS = ("train", "validation", "test")

# An element is held out only if the training set has it in this many groups, because errors for elements that are rare
# in training say nothing about a model. (metatrain requires one.)
_MIN_TRAINING_GROUPS = 3


class Identity(NamedTuple):
    """What a split needs to know about a structure.

    :param formula: reduced formula, in Hill order.
    :param elements: chemical symbols, in alphabetical order.
    :param subset: its subset, e.g. ``"bulk"``.
    :param parent: name of the structure that this one was made from, or ``None``.
    :param name: its own ``id``, or ``None``.
    :param part: the part given by its ``split``, or ``None``.
    """

    formula: str
    elements: tuple[str, ...]
    subset: str = "all"
    parent: str | None = None
    name: str | None = None
    part: str | None = None


@dataclass(frozen=True)
class Split:
    """Which structure belongs to which part.

    :param train: indices of the structures, ascending.
    :param validation: indices of the structures, ascending; the same as ``train`` if none could be held out.
    :param test: indices of the structures, ascending; empty if its share is 0 or none could be held out.
    :param grouped_by: ``"parent or formula"``; ``"parent"`` if that gives too few groups, and ``"structure"`` if there
        are too few parents; ``"given"`` if the split was given.
    """

    train: list[int]
    validation: list[int]
    test: list[int]
    grouped_by: str

    @property
    def validates_on_training_set(self) -> bool:
        """Whether nothing could be held out."""
        return self.validation == self.train


def identity_of(atoms: Atoms) -> Identity:
    """Read ``subset``, ``parent``, ``id`` and ``split`` from a structure's ``info``."""
    keys = ("subset", "parent", "id", "split")
    info = {key: sys.intern(str(atoms.info[key])) for key in keys if key in atoms.info}
    return Identity(
        formula=sys.intern(atoms.get_chemical_formula(mode="hill", empirical=True)),
        elements=tuple(sorted(set(atoms.get_chemical_symbols()))),
        subset=info.get("subset", "all"),
        parent=info.get("parent"),
        name=info.get("id"),
        part=info.get("split"),
    )


def split_structures(
    structures: Sequence[Atoms], *, shares: tuple[float, float, float] = (8, 1, 1), seed: int = 0
) -> Split:
    """Split by groups of related structures, close to the shares in every subset; see :func:`split_identities`."""
    return split_identities([identity_of(atoms) for atoms in structures], shares=shares, seed=seed)


def split_identities(
    identities: Sequence[Identity], *, shares: tuple[float, float, float] = (8, 1, 1), seed: int = 0
) -> Split:
    """Split by groups of related structures, close to the shares in every subset.

    A group contains the structures with the same ``parent`` (and that parent) or the same reduced formula, so rattled
    and strained copies always stay together. If this gives fewer groups than parts (a single compound), structures are
    grouped by parent only, and, if there are still too few, not at all. Every element of the validation and test set
    occurs in at least three groups of the training set (at least one, if a set has too few groups).

    If no structures can be held out, the test set is empty, and the validation set is the training set.

    :param identities: at least one.
    :param shares: shares of training, validation and test set, in any scale; only the test share may be 0.
    :param seed: random seed of the order of groups.
    :raises ValueError: for no structures, or invalid shares.
    """
    check_shares(shares)
    if not identities:
        raise ValueError("expected at least one structure to split, got none")
    fractions = np.array(shares, dtype=float) / sum(shares)
    groups, grouped_by = _groups(identities, int(np.count_nonzero(fractions)))
    order = [groups[index] for index in np.random.default_rng(seed).permutation(len(groups))]
    parts = _assign(order, identities, fractions)
    _fill_empty_parts(parts, identities, fractions)
    train, validation, test = (sorted(index for group in part for index in group) for part in parts)
    return Split(train, validation or train, test, grouped_by)


def given_split(identities: Sequence[Identity], grouped_by: str = "given") -> Split:
    """Split as given by the structures' own ``split``; without a validation set, the training set takes its place.

    :param identities: identities with a ``part`` each, at least one of them ``"train"``.
    :param grouped_by: what stays together, see :class:`Split`.
    """
    train, validation, test = (
        [index for index, identity in enumerate(identities) if identity.part == part] for part in PARTS
    )
    return Split(train, validation or train, test, grouped_by)


def check_shares(shares: tuple[float, float, float]) -> None:
    """Check the shares of a split.

    :raises ValueError: unless there are three, finite, the last at least 0 and the others positive.
    """
    valid = len(shares) == 3 and min(shares[:2]) > 0 and shares[2] >= 0 and math.isfinite(sum(shares))
    if not valid:
        raise ValueError(
            f"expected shares train:validation:test, e.g. 8:1:1, of which only the last may be 0, got {shares}"
        )


def _groups(identities: Sequence[Identity], num_parts: int) -> tuple[list[list[int]], str]:
    """Groups of related structures: at least as many as parts, unless there are fewer structures."""
    groups = related_structures(identities, by_formula=True)
    if len(groups) >= num_parts:
        return groups, "parent or formula"
    groups = related_structures(identities, by_formula=False)
    if len(groups) >= num_parts and len(groups) < len(identities):
        return groups, "parent"
    return [[index] for index in range(len(identities))], "structure"


def related_structures(identities: Sequence[Identity], *, by_formula: bool) -> list[list[int]]:
    """Groups of structures connected, also indirectly, by a parent (including the parent itself) or a formula."""
    parents = {identity.parent for identity in identities if identity.parent is not None}
    nodes: dict[tuple[str, str], int] = {}  # parents and formulas, numbered after the structures
    pairs = []
    for index, identity in enumerate(identities):
        name = identity.name if identity.parent is None else identity.parent
        keys = [("formula", identity.formula)] * by_formula
        if name is not None and name in parents:
            keys.append(("parent", name))
        for key in keys:
            pairs.append((index, nodes.setdefault(key, len(identities) + len(nodes))))
    size = len(identities) + len(nodes)
    first, second = zip(*pairs, strict=True) if pairs else ((), ())
    _, labels = connected_components(coo_array((np.ones(len(pairs)), (first, second)), shape=(size, size)))
    groups: dict[int, list[int]] = {}
    for index in range(len(identities)):
        groups.setdefault(int(labels[index]), []).append(index)
    return list(groups.values())


def _elements(group: Sequence[int], identities: Sequence[Identity]) -> set[str]:
    return {element for index in group for element in identities[index].elements}


def _assign(order: list[list[int]], identities: Sequence[Identity], fractions: np.ndarray) -> list[list[list[int]]]:
    """First collect a training set with every element, then put each group where it is needed most."""
    sizes = Counter(identity.subset for identity in identities)
    missing = {subset: n * fractions for subset, n in sizes.items()}
    parts: list[list[list[int]]] = [[], [], []]
    training_groups: Counter[str] = Counter()
    later = []
    for group in order:
        elements = _elements(group, identities)
        if min(training_groups[element] for element in elements) >= _MIN_TRAINING_GROUPS:
            later.append(group)
            continue
        training_groups.update(elements)
        parts[0].append(group)
        for index in group:
            missing[identities[index].subset][0] -= 1
    for group in later:
        subsets = Counter(identities[index].subset for index in group)
        part = int(np.argmax(sum(number * missing[subset] for subset, number in subsets.items())))
        parts[part].append(group)
        for subset, number in subsets.items():
            missing[subset][part] -= number
    return parts


def _fill_empty_parts(parts: list[list[list[int]]], identities: Sequence[Identity], fractions: np.ndarray) -> None:
    """Small sets: move the smallest group into a part that is empty, if other groups still contain its elements."""
    for part in (1, 2):
        if fractions[part] == 0 or parts[part]:
            continue
        occurrences = Counter(element for group in parts[0] for element in _elements(group, identities))
        for position in sorted(range(len(parts[0])), key=lambda position: len(parts[0][position])):
            if all(occurrences[element] > 1 for element in _elements(parts[0][position], identities)):
                parts[part] = [parts[0].pop(position)]
                break
