"""Training, validation and test sets of structures in memory: random, given, by files of numbers, or by kinds."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from electrain.structures.crystal_systems import crystal_system

from ..calculation import Rejected
from ..kind_splits import CRYSTAL_SYSTEM, KindSplit, checked_split, split_by_kind
from ..settings import split_words
from ..splits import PARTS, Split, check_shares, given_split, identity_of, split_identities
from ..writing import FORMATS
from .index_files import split_of_files
from .items import Item

SplitChoice: TypeAlias = tuple[float, float, float] | tuple[str, str, str] | KindSplit | None
_Item = TypeVar("_Item", bound=Item)


def read_split(split: Any) -> SplitChoice:
    """Return a split as it is kept in settings: paths as text, kinds of crystals as :class:`KindSplit`.

    :param split: shares of training, validation and test set; three index files, each with a number of a row (from 0)
        in each line; ``"species"`` or ``"crystal-system"``, see :func:`~electrain.data.kind_splits.read_kind_split`; or
        ``None`` for a given one.
    :raises ValueError: for another text.
    """
    if split is None or isinstance(split, str):
        return checked_split(split)  # type: ignore[no-any-return]
    return tuple(str(part) if isinstance(part, Path) else part for part in split)  # type: ignore[return-value]


class SplitSettings:
    """The part of settings that says how structures are split, and into which files."""

    split: SplitChoice
    seed: int
    form: str | None

    @property
    def index_files(self) -> list[str]:
        """Names of the files that split the rows, none for another split."""
        return [] if self.kinds else [name for name in self.split or () if isinstance(name, str)]

    @property
    def kinds(self) -> KindSplit | None:
        """What a split out of distribution goes by."""
        return self.split if isinstance(self.split, KindSplit) else None

    @property
    def shares(self) -> tuple[float, float, float] | None:
        """Shares of a random split."""
        return None if self.kinds or self.index_files else self.split  # type: ignore[return-value]

    def check_split(self) -> None:
        """Raise a ``ValueError`` for invalid shares, and for a seed or a format that does not exist."""
        if self.form is not None and self.form not in FORMATS:
            raise ValueError(f"expected a format, one of {', '.join(FORMATS)}, got {self.form!r}")
        if self.seed < 0:
            raise ValueError(f"expected a seed of at least 0, got {self.seed}")
        if self.shares is not None:
            check_shares(self.shares)

    def command_with(self, sources: Sequence[Path], options: Mapping[str, Sequence[object] | None]) -> str:
        """Return the command that makes the same data set.

        :param options: the other options with their values; those with ``None`` are left out.
        """
        everything = {
            **options,
            "--split": [split_words(self.split)],
            "--seed": [self.seed] if self.split and not self.index_files else None,
            "--format": [self.form] if self.form else None,
        }
        words = [word for name, given in everything.items() if given is not None for word in (name, *map(str, given))]
        return shlex.join(["electrain", "prepare", *map(str, sources), *words])


def split_into_parts(
    items: Sequence[_Item], num_rows: int, settings: SplitSettings, rejected: list[Rejected]
) -> tuple[dict[str, list[_Item]], Split, int]:
    """Split structures.

    :param items: all that can be used.
    :param num_rows: number of rows in the sources, with those that cannot be used.
    :param settings: how to split.
    :param rejected: those that a split by kinds leaves out are added here.
    :return: the structures of each part, without a validation set if it is the training set; the split; and the number
        of structures that are in no part.
    :raises ValueError: for a split that leaves the training or validation set empty, and one that is not given.
    :raises OSError: if an index file cannot be read.
    """
    if settings.kinds is not None:
        items = _placed(items, settings.kinds, settings.seed, rejected)
    split = _split(items, num_rows, settings)
    indices = {"train": split.train, "validation": split.validation, "test": split.test}
    if split.validates_on_training_set:
        del indices["validation"]
    parts = {part: [items[i] for i in of_part] for part, of_part in indices.items() if of_part}
    return parts, split, len(items) - sum(map(len, parts.values()))


def _placed(items: Sequence[_Item], kinds: KindSplit, seed: int, rejected: list[Rejected]) -> list[_Item]:
    """Write the parts of a split out of distribution into the structures, and leave some out.

    The kinds of those without a subset become their subsets, for errors of each kind.
    """
    systems = [crystal_system(one.atoms) if kinds.by == CRYSTAL_SYSTEM else None for one in items]
    identities = [identity_of(one.atoms) for one in items]
    kept = []
    placed = split_by_kind(identities, systems, kinds, seed=seed)
    for item, identity, system, one in zip(items, identities, systems, placed, strict=True):
        if one.part is None:
            rejected.append(Rejected(item.source, one.reason))
            continue
        number = len(identity.elements)
        item.atoms.info["split"] = one.part
        item.atoms.info.setdefault("subset", system or f"{number} element{'s' * (number != 1)}")
        kept.append(item)
    return kept


def _split(items: Sequence[Item], num_rows: int, settings: SplitSettings) -> Split:
    identities = [identity_of(item.atoms) for item in items]
    if settings.kinds is not None:
        return given_split(identities, "parent or formula")
    if settings.split is None:
        unknown = [item for item, identity in zip(items, identities, strict=True) if identity.part not in PARTS]
        if unknown:
            raise ValueError(
                f"expected {', '.join(PARTS[:-1])} or {PARTS[-1]} in the column or key 'split' of every structure, got "
                f"something else in {len(unknown)} of them, the first {unknown[0].source}"
            )
        return given_split(identities)
    if settings.index_files:
        files = [Path(name) for name in settings.index_files]
        return split_of_files(files, [item.row for item in items], num_rows)
    assert settings.shares is not None  # the only other kind of split
    return split_identities(identities, shares=settings.shares, seed=settings.seed)
