"""The settings that determine the content of a data set."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .axis import AxisSettings, checking_settings
from .kind_splits import KindSplit
from .splits import check_shares
from .writing import FORMATS

MISSING_BANDS = ("drop", "keep")


@dataclass(frozen=True)
class Settings:
    """Settings of :func:`electrain.data.prepare_dataset`; see there.

    :raises SettingsError: for invalid settings.
    """

    axis: AxisSettings
    split: tuple[float, float, float] | KindSplit | None
    seed: int
    missing_bands: str
    form: str | None

    def __post_init__(self) -> None:
        with checking_settings():
            self._check()

    @property
    def kinds(self) -> KindSplit | None:
        """What a split out of distribution goes by."""
        return self.split if isinstance(self.split, KindSplit) else None

    @property
    def shares(self) -> tuple[float, float, float] | None:
        """Shares of a random split."""
        return None if isinstance(self.split, KindSplit) else self.split

    def _check(self) -> None:
        if self.shares is not None:
            check_shares(self.shares)
        if self.seed < 0:
            raise ValueError(f"expected a seed of at least 0, got {self.seed}")
        if self.missing_bands not in MISSING_BANDS:
            choices = " or ".join(MISSING_BANDS)
            raise ValueError(f"expected {choices} for structures with missing bands, got {self.missing_bands!r}")
        if self.form is not None and self.form not in FORMATS:
            raise ValueError(f"expected a format, one of {', '.join(FORMATS)}, got {self.form!r}")

    def command(self, sources: Sequence[Path], axis_words: dict[str, list[object]]) -> str:
        """Return the command that makes the same data set."""
        options: dict[str, Sequence[object]] = {
            **axis_words,
            "--split": [split_words(self.split)],
            "--seed": [self.seed] if self.split else [],
            "--missing-bands": [self.missing_bands],
            "--format": [self.form] if self.form else [],
        }
        words = [word for option, values in options.items() if values for word in (option, *map(str, values))]
        return shlex.join(["electrain", "prepare", *map(str, sources), *words])


def split_words(split: Sequence[object] | KindSplit | None) -> str:
    """Return a split as on the command line."""
    if split is None:
        return "given"
    if isinstance(split, KindSplit):
        return split.text
    return ":".join(f"{part:g}" if isinstance(part, float) else str(part) for part in split)
