"""Settings of a data set of spectra, and what it contains."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from electrain.interface.quantities import (
    ELECTRONIC_DOS,
    ELECTRONIC_DOS_NORMALIZED,
    PHONON_DOS,
    PHONON_DOS_NORMALIZED,
)
from electrain.spectra.fixed_axis import FixedAxis
from electrain.spectra.units import known_unit

from ..at_once.splitting import SplitChoice, SplitSettings
from ..axis import checking_settings
from ..calculation import Rejected
from ..splits import Split
from .spectrum import NORMALIZATIONS, FixedSpectrum
from .tables import Columns

KINDS = ("phonon", "electronic")
_TARGETS = {
    ("phonon", False): PHONON_DOS,
    ("phonon", True): PHONON_DOS_NORMALIZED,
    ("electronic", False): ELECTRONIC_DOS,
    ("electronic", True): ELECTRONIC_DOS_NORMALIZED,
}


@dataclass(frozen=True)
class SpectraSettings(SplitSettings):
    """Settings that determine the content of a data set; see :func:`prepare_spectra`.

    :raises SettingsError: for invalid settings.
    """

    kind: str
    unit: str | None
    source_unit: str | None
    columns: Columns | None
    normalize: str | None
    grid: tuple[float, float] | None
    step: float | None
    split: SplitChoice
    seed: int
    form: str | None

    def __post_init__(self) -> None:
        with checking_settings():
            for what, value, known in (
                ("spectra of one kind", self.kind, KINDS),
                ("a normalisation", self.normalize, NORMALIZATIONS),
            ):
                if value is not None and value not in known:
                    raise ValueError(f"expected {what}, one of {', '.join(known)}, got {value!r}")
            for unit in (self.unit, self.source_unit):
                if unit is not None:
                    known_unit(unit)
            if (self.grid is None) != (self.step is None):
                raise ValueError("expected both --grid and --step for spectra on another axis, or none of them")
            if self.grid is not None and self.unit is None:
                raise ValueError("expected --unit with --grid and --step, because they are in this unit")
            self.check_split()
            self.axis()

    @property
    def target(self) -> str:
        """Name of the target."""
        return _TARGETS[self.kind, self.normalize is not None]

    def axis(self) -> FixedAxis | None:
        """Return the requested axis.

        :raises ValueError: for an invalid one.
        """
        if self.grid is None or self.step is None or self.unit is None:
            return None
        low, high = self.grid
        if not (self.step > 0 and high > low):
            raise ValueError(f"expected --grid LOW HIGH and a positive --step, got {low:g} {high:g} and {self.step:g}")
        axis = FixedAxis(low, self.step, round((high - low) / self.step) + 1, self.unit)
        if self.kind == "phonon" and low < 0:
            raise ValueError(f"expected a --grid of frequencies from 0 on, got one from {low:g} {axis.unit}")
        return axis

    def command(self, sources: Sequence[Path]) -> str:
        """Return the command that makes the same data set."""
        options = {
            "--spectra": [self.kind],
            "--unit": [self.unit] if self.unit else None,
            "--source-unit": [self.source_unit] if self.source_unit else None,
            "--columns": self.columns,
            "--normalize": [self.normalize] if self.normalize else None,
            "--grid": self.grid,
            "--step": [self.step] if self.step else None,
        }
        return self.command_with(sources, options)


@dataclass(frozen=True)
class PreparedSpectra:
    """A data set of spectra that was written to disk.

    :param folder: its folder.
    :param form: format of its files.
    :param target: name of the target.
    :param axis: axis of the spectra.
    :param parts: the structures of the training, validation and test set, with their spectra as in the sources.
    :param split: which structure is where.
    :param rejected: what was left out, with the reasons.
    :param num_unused: structures that given index files do not name.
    """

    folder: Path
    form: str
    target: str
    axis: FixedAxis
    parts: dict[str, list[FixedSpectrum]]
    split: Split
    rejected: list[Rejected]
    num_unused: int
