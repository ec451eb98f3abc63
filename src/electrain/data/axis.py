"""The energy axis of a data set."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from electrain.interface.axis_labels import grid_to_labels
from electrain.nn.spectrum_convolution import SpectrumConvolution
from electrain.spectra.axis import MARGIN, EnergyAxis, margin
from electrain.spectra.grid import EnergyGrid

from .sampled_spectrum import DosGrid

# Four times as many as PET-MAD-DOS predicts: the last layer of a network and all its targets are that long.
MAX_CHANNELS = 20_000


class SettingsError(ValueError):
    """A setting that is wrong whatever the data are."""


@contextmanager
def checking_settings() -> Iterator[None]:
    """Turn every ``ValueError`` into a :class:`SettingsError`."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(str(error)) from None


@dataclass(frozen=True)
class AxisSettings:
    """What determines the energy axis of a data set; all energies in eV, relative to the Fermi level.

    :param step: spacing of the channels.
    :param smearing: standard deviation of the Gaussians.
    :param max_shift: how far a prediction may be shifted to match its target.
    :param targets: grid of the targets; ``None`` fits it to the data.
    :param dos_start: energy of the first value of densities of states that come without their energies, with this step
        and smearing; ``None`` if there are none. On other channels than those of ``targets``, they are moved to them.
    :raises SettingsError: for invalid settings, also for more than 20,000 channels.
    """

    step: float
    smearing: float
    max_shift: float
    targets: EnergyGrid | None = None
    dos_start: float | None = None

    def __post_init__(self) -> None:
        with checking_settings():
            self._check()

    def _check(self) -> None:
        check_settings(step=self.step, smearing=self.smearing, max_shift=self.max_shift)
        for start in () if self.dos_start is None else (self.dos_start, self.origin):
            grid_to_labels(EnergyGrid(start, self.step, 2))  # refuses an energy that the files cannot represent
        if self.targets is not None:
            check_size(self.targets.stop - self.targets.start + self.max_shift, self.step)

    @property
    def origin(self) -> float:
        """Energy of a channel; those of the others differ from it by multiples of the step."""
        if self.targets is not None:
            return self.targets.start
        return 0.0 if self.dos_start is None else self.dos_start

    @property
    def dos_grid(self) -> DosGrid | None:
        """Energies and smearing of densities of states that come without them."""
        return None if self.dos_start is None else DosGrid(self.dos_start, self.step, self.smearing)

    def axis(self, lowest: float, highest: float) -> EnergyAxis:
        """Return the axis for states from ``lowest`` to the highest trusted energy ``highest``.

        Unless it is given, it has margins at both ends; see :func:`electrain.data.choose_axis`.

        :raises ValueError: for more than 20,000 channels.
        """
        targets = self.targets
        if targets is None:
            low, high = lowest - margin(self.smearing), highest + MARGIN
            check_size(high - low + self.max_shift, self.step)
            targets = EnergyGrid.covering(low, high, self.step, origin=self.origin)
        channels = round(self.max_shift / targets.step)
        extended = targets.extended_below(channels)
        # Short axes are extended at the upper end, because all heads must be able to read the result.
        size = max(extended.size, SpectrumConvolution.min_channels())
        grid = EnergyGrid(round(extended.start, 6), targets.step, size)  # -80.2, not -80.20000000000002
        return EnergyAxis(grid=grid, max_shift=channels, smearing=self.smearing)


def grid_between(low: float, high: float, step: float) -> EnergyGrid:
    """Return the grid from ``low`` to ``high`` (all in eV).

    :raises SettingsError: if the energies are not ascending multiples of the step.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SettingsError(f"expected an energy grid from a lower to a higher energy in eV, got {low:g} to {high:g}")
    first, last = round(low / step), round(high / step)
    if max(abs(low - first * step), abs(high - last * step)) > 1e-6 * step:
        raise SettingsError(
            f"expected an energy grid whose ends are multiples of the step, {step:g} eV, got {low:g} to {high:g} eV"
        )
    return EnergyGrid(first * step, step, last - first + 1)


def check_size(length: float, step: float) -> None:
    """Check the number of channels of an axis before anything is allocated.

    :param length: length of the axis, largest shift included, in eV.
    :param step: spacing of the channels, in eV.
    :raises ValueError: for more than 20,000 channels.
    """
    if length / step >= MAX_CHANNELS:
        raise ValueError(
            f"expected an energy axis of at most {MAX_CHANNELS:,} channels, got {length / step:,.0f} ({length:.6g} eV, "
            f"including the largest shift, in steps of {step:g} eV): choose a larger step, a shorter range of energies "
            "or a smaller largest shift"
        )


def check_settings(*, step: float, smearing: float, max_shift: float) -> None:
    """Check the arguments of :func:`electrain.data.choose_axis` (all in eV).

    :raises ValueError: for a smearing or step that is not positive, a step that is not a multiple of 1e-6 eV, a
        negative shift, or if the margins of the axis and the shift alone take more than 20,000 channels.
    """
    for what, value in {"step": step, "smearing": smearing}.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"expected a positive {what} in eV, got {value:g}")
    if not (math.isfinite(max_shift) and max_shift >= 0):
        raise ValueError(f"expected a largest shift of at least 0 eV, got {max_shift:g}")
    if step > smearing:
        raise ValueError(
            f"expected a step of at most the smearing, {smearing:g} eV, so that the density of states integrates to "
            f"the number of states, got {step:g} eV"
        )
    check_size(margin(smearing) + MARGIN + max_shift, step)
    grid_to_labels(EnergyGrid(0.0, step, 2))  # refuses a step that the files cannot represent
