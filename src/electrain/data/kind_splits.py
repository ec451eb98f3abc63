"""Splits out of distribution: training on some kinds of crystals, validation and test on others.

Kinds are numbers of elements, or crystal systems (DOSTransformer paper, appendix A.2).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from electrain.structures.crystal_systems import CRYSTAL_SYSTEMS

from .splits import Identity, related_structures

SPECIES, CRYSTAL_SYSTEM = "species", "crystal-system"
# Those of the paper
_TRAINED_ON = {SPECIES: ("2", "3"), CRYSTAL_SYSTEM: CRYSTAL_SYSTEMS[:5]}
_WHAT = {SPECIES: "number of elements", CRYSTAL_SYSTEM: "crystal system"}


class KindSplit(NamedTuple):
    """What a split goes by.

    :param by: ``"species"`` (number of elements) or ``"crystal-system"``.
    :param train: kinds that are in the training set.
    """

    by: str
    train: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return f"{self.by}={','.join(self.train)}"


class Placed(NamedTuple):
    """Where a structure belongs.

    :param part: ``"train"``, ``"validation"`` or ``"test"``; ``None`` if it is left out.
    :param reason: why it is left out, otherwise empty.
    """

    part: str | None
    reason: str = ""


def read_kind_split(text: str) -> KindSplit | None:
    """Read ``"species"``, ``"species=2,3"``, ``"crystal-system"`` or ``"crystal-system=cubic,hexagonal"``.

    :return: ``None`` for any other kind of split.
    :raises ValueError: for kinds that do not exist, or that leave nothing to test on.
    """
    by, _, names = text.partition("=")
    if by not in _TRAINED_ON:
        return None
    if "=" not in text:
        return KindSplit(by, _TRAINED_ON[by])
    kinds = tuple(names.split(","))
    if by == SPECIES:
        if not all(kind.isdecimal() and int(kind) > 0 for kind in kinds):
            raise ValueError(f"expected numbers of elements to train on, such as species=2,3, got {text!r}")
        return KindSplit(by, tuple(str(int(kind)) for kind in kinds))
    if not set(kinds) < set(CRYSTAL_SYSTEMS):
        raise ValueError(
            f"expected some of the crystal systems {', '.join(CRYSTAL_SYSTEMS)} to train on, but not all of them, got "
            f"{text!r}"
        )
    return KindSplit(by, kinds)


def checked_split(split: object) -> Any:
    """Return a split with its text, if it is one, read.

    :raises ValueError: for a text that is no split out of distribution, and as for :func:`read_kind_split`.
    """
    if not isinstance(split, str):
        return split
    found = read_kind_split(split)
    if found is None:
        raise ValueError(f"expected a split by {' or '.join(_TRAINED_ON)}, got {split!r}")
    return found


def split_by_kind(
    identities: Sequence[Identity], systems: Sequence[str | None], chosen: KindSplit, *, seed: int = 0
) -> list[Placed]:
    """Put structures of the chosen kinds into the training set; halve the others into validation and test set.

    Structures with the same parent or reduced formula, directly or through others, stay in the same part. So one of
    another kind is left out if its compound is in the training set, and so is one with an element that is not.

    :param identities: all structures.
    :param systems: their crystal systems; not used to split by the number of elements.
    :param chosen: kinds to train on.
    :param seed: random seed of the halves.
    :return: where each structure belongs.
    :raises ValueError: if there is nothing to train on or nothing else.
    """
    kinds = [str(len(one.elements)) for one in identities] if chosen.by == SPECIES else list(systems)
    groups = related_structures(identities, by_formula=True)
    is_training = [kind in chosen.train for kind in kinds]
    known = {element for one, trains in zip(identities, is_training, strict=True) if trains for element in one.elements}
    placed: list[Placed] = [Placed("train") if trains else Placed(None) for trains in is_training]
    halves = {"validation": 0, "test": 0}
    for position in np.random.default_rng(seed).permutation(len(groups)):
        group = groups[position]
        is_known = any(is_training[index] for index in group)
        usable = []
        for index in group:
            if is_training[index]:
                continue
            unknown = sorted(set(identities[index].elements) - known)
            if kinds[index] is None:
                placed[index] = Placed(None, "expected a crystal for a split by crystal systems, got no symmetry")
            elif is_known:
                placed[index] = Placed(
                    None, f"its compound is in the training set as another {_WHAT[chosen.by]} than {kinds[index]}"
                )
            elif unknown:
                placed[index] = Placed(None, f"expected elements of the training set, got also {', '.join(unknown)}")
            else:
                usable.append(index)
        part = min(halves, key=lambda name: halves[name])
        halves[part] += len(usable)
        for index in usable:
            placed[index] = Placed(part)
    if not any(is_training) or not halves["validation"]:
        found = ", ".join(sorted({kind for kind in kinds if kind is not None})) or "none"
        raise ValueError(
            f"expected structures both of the kinds {', '.join(chosen.train)} to train on and of others with the same "
            f"elements, for --split {chosen.text}; there are {found}"
        )
    return placed
