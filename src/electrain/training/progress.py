"""One line for each epoch: short in the terminal, complete in metatrain's log file and table."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Optional

from metatrain.utils.data import DatasetInfo
from metatrain.utils.logging import ROOT_LOGGER, MetricLogger
from metatrain.utils.units import ev_to_mev, get_gradient_units

from electrain.interface.quantities import (
    BAND_GAP,
    BANDS,
    DENSITY_OF_STATES,
    ELECTRONIC_DOS,
    ELECTRONIC_DOS_NORMALIZED,
    ENERGY,
    FERMI_LEVEL,
    LOCAL_DOS,
    PHONON_DOS,
    PHONON_DOS_NORMALIZED,
    base_quantity,
    quantity_of,
)

from .errors import ALIGNED_PER_ELECTRON

WIDTH = 120  # characters in a line
_SHORT = {
    DENSITY_OF_STATES: "DOS",
    BAND_GAP: "gap",
    FERMI_LEVEL: "E_F",
    BANDS: "bands",
    ELECTRONIC_DOS: "electronic DOS",
    ELECTRONIC_DOS_NORMALIZED: "normalised electronic DOS",
    LOCAL_DOS: "local DOS",
    PHONON_DOS: "phonon DOS",
    PHONON_DOS_NORMALIZED: "normalised phonon DOS",
}


class EpochLog:
    """Writes the errors of epochs.

    :param info: the targets.
    :param num_epochs: number of all epochs.
    :param rank: rank of the process; only the first one writes.
    """

    def __init__(self, info: DatasetInfo, num_epochs: int, rank: int) -> None:
        self._info, self._num_epochs, self._rank = info, num_epochs, rank
        self._metrics: Optional[MetricLogger] = None
        self._start = self._end = time.monotonic()
        self._seconds = 0.0  # the last epoch took
        self._done = 0

    def count_epoch(self) -> None:
        """Note that an epoch has ended."""
        self._done += 1
        now = time.monotonic()
        self._seconds, self._end = now - self._end, now

    def write(
        self, epoch: int, errors: list[dict[str, float]], learning_rate: float, best_epoch: Optional[int]
    ) -> None:
        """Write the errors of the training and validation set after an epoch, counted from 0."""
        if self._rank > 0:
            return
        if self._metrics is None:
            self._metrics = MetricLogger(ROOT_LOGGER, self._info, errors, ["training", "validation"])
        terminals = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
        with _muted(terminals):
            self._metrics.log(errors, epoch=epoch, rank=0, learning_rate=learning_rate)
        left = (self._end - self._start) / max(1, self._done) * (self._num_epochs - epoch - 1)
        times = f"{duration(self._seconds)}  left {duration(left)}"
        line = epoch_line(epoch, self._num_epochs, errors, learning_rate, best_epoch, times, self._info)
        for terminal in terminals:
            terminal.stream.write(line + terminal.terminator)
            terminal.flush()


@contextmanager
def _muted(handlers: list[logging.StreamHandler[Any]]) -> Iterator[None]:
    def nothing(_: logging.LogRecord) -> bool:
        return False

    for handler in handlers:
        handler.addFilter(nothing)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(nothing)


def epoch_line(
    epoch: int,
    num_epochs: int,
    errors: list[dict[str, float]],
    learning_rate: float,
    best_epoch: Optional[int],
    times: str,
    info: DatasetInfo,
) -> str:
    """Return the line for the terminal, with as many errors of the validation set as fit.

    :param epoch: epoch, counted from 0; the line counts from 1.
    :param errors: of the training and the validation set.
    :param learning_rate: at the beginning of the epoch.
    :param best_epoch: epoch of the best model so far, counted from 0.
    :param times: how long the epoch took, and how long the others will take.
    """
    places = len(str(num_epochs))
    training, validation = (digits(of_set["loss"]) for of_set in errors)
    best = "" if best_epoch is None else f" (best {best_epoch + 1:{places}})"
    start = f"epoch {epoch + 1:{places}}/{num_epochs}  train {training:>5}  valid {validation:>5}{best}"
    rate = f"{learning_rate:.1e}".replace("e-0", "e-").replace("e+00", "e+0")
    end = f"  lr {rate}  {times}"
    for found in target_errors(errors[1], info):
        text = f"  {found.name} {digits(found.value):>5} {found.unit}".rstrip()
        if len(start) + len(text) + len(end) <= WIDTH:
            start += text
    return start + end


class TargetError(NamedTuple):
    """An error of a target, for readers."""

    name: str
    value: float
    unit: str


def target_errors(errors: dict[str, float], info: DatasetInfo) -> list[TargetError]:
    """Return an error of each target: the aligned error of spectra, the mean absolute error of others."""
    found = []
    for key, value in errors.items():
        name, _, kind = key.partition(" ")
        if key.endswith(ALIGNED_PER_ELECTRON):
            found.append(TargetError(_label(name), value, "eV^-1/2"))
        elif kind.startswith("MAE ["):
            found.append(TargetError(_label(name), value, kind.removeprefix("MAE [").removesuffix("]")))
        elif kind.startswith("MAE"):
            target, parameter = name, ""
            if name.endswith("_gradients"):
                target, parameter = name.removesuffix("_gradients").rsplit("_", 1)
            unit = info.targets[target].unit
            if parameter:
                assert info.length_unit is not None  # metatrain sets it
                unit = get_gradient_units(unit, parameter, info.length_unit)
            if base_quantity(target) == ENERGY:
                value, unit = ev_to_mev(value, unit)
            per_atom = "/atom" if "per atom" in kind else ""
            found.append(TargetError(_label(target, parameter), value, unit + per_atom))
    return found


def _label(target: str, parameter: str = "") -> str:
    if parameter:
        return {"positions": "forces", "strain": "virial"}[parameter]
    short = _SHORT.get(base_quantity(target), quantity_of(base_quantity(target)).label.removeprefix("mtt::"))
    return short + target[len(base_quantity(target)) :]


def digits(value: float) -> str:
    """Return a number with three significant digits, or all digits of its whole part."""
    if not math.isfinite(value) or abs(value) >= 1000:
        return f"{value:.0f}" if abs(value) < 1e6 else f"{value:.2e}"
    return f"{value:#.3g}".rstrip(".")


def duration(seconds: float) -> str:
    """Return a time for readers: ``0.8 s``, ``4 min``, ``3 h 20 min``, ``2 d 5 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(minutes / 60) + hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
