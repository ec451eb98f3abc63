"""Axes of spectra that are compared channel by channel, such as phonon densities of states: they are never shifted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .units import conversion_factor, known_unit

# How far a point of a uniform axis may be from its place, in steps: files have few digits.
_TOLERANCE = 1e-2


@dataclass(frozen=True)
class FixedAxis:
    """A uniform axis ``x_i = start + i * step``, ``i = 0 ... size - 1``, in any unit of energy or frequency.

    Spectra with a zero of their own (eigenvalues of a periodic crystal) need an
    :class:`~electrain.spectra.axis.EnergyAxis`.

    :param start: first channel, in ``unit``.
    :param step: distance between two channels, in ``unit``.
    :param size: number of channels.
    :param unit: a key of :data:`~electrain.spectra.units.EV_PER`, or another spelling of it.
    :raises ValueError: for numbers that are not finite, a step that is not positive, fewer than two channels, and an
        unknown unit.
    """

    start: float
    step: float
    size: int
    unit: str

    def __post_init__(self) -> None:
        # plain numbers, also from numpy's, for files
        for name, value in (("start", float(self.start)), ("step", float(self.step)), ("unit", known_unit(self.unit))):
            object.__setattr__(self, name, value)
        if not (math.isfinite(self.start) and math.isfinite(self.step) and self.step > 0):
            raise ValueError(
                f"expected an axis with a finite start and a positive step, got start {self.start:g} and step "
                f"{self.step:g} {self.unit}"
            )
        if self.size < 2:
            raise ValueError(f"expected an axis with at least two channels, got {self.size}")

    @classmethod
    def through(cls, points: Sequence[float], unit: str) -> "FixedAxis":
        """Return the axis through equidistant points in ascending order.

        :param points: its channels, in ``unit``; each may be a hundredth of a step from its place.
        :raises ValueError: for points that are not equidistant, naming the first one out of place.
        """
        values = torch.as_tensor(points, dtype=torch.float64)
        if values.dim() != 1 or len(values) < 2:
            raise ValueError(f"expected an axis of at least two points, got shape {tuple(values.shape)}")
        if not bool(torch.isfinite(values).all()):
            raise ValueError("expected finite points of an axis, got NaN or infinity")
        first, last = float(values[0]), float(values[-1])
        axis = cls(first, (last - first) / (len(values) - 1), len(values), unit)
        wrong = (values - axis.values()).abs() > _TOLERANCE * axis.step
        if bool(wrong.any()):
            index = int(wrong.int().argmax())
            raise ValueError(
                f"expected equidistant points from {first:g} to {last:g} {axis.unit}, {axis.step:g} {axis.unit} apart, "
                f"got {float(values[index]):g} in place {index}, where {float(axis.values()[index]):g} should be"
            )
        return axis

    @property
    def stop(self) -> float:
        """Last channel, in ``unit``."""
        return self.start + (self.size - 1) * self.step

    @property
    def density_unit(self) -> str:
        """Unit of a density of states on this axis."""
        return f"states/{self.unit}"

    def values(self) -> torch.Tensor:
        """All channels, shape ``(size,)``, in ``unit``, float64."""
        return self.start + self.step * torch.arange(self.size, dtype=torch.float64)

    def in_unit(self, unit: str) -> "FixedAxis":
        """Return the same channels in another unit; a density of states is to be divided by the factor between them.

        :raises ValueError: for an unknown unit.
        """
        factor = conversion_factor(self.unit, unit)
        return FixedAxis(self.start * factor, self.step * factor, self.size, unit)

    def is_close(self, other: "FixedAxis") -> bool:
        """Whether two axes have the same unit, and agree to a ten-thousandth of a channel at both ends."""
        tolerance = 1e-4 * self.step
        ends = abs(self.start - other.start) <= tolerance and abs(self.stop - other.stop) <= tolerance
        return self.unit == other.unit and self.size == other.size and ends

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for options, manifests and metadata."""
        return {"start": self.start, "step": self.step, "size": self.size, "unit": self.unit}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "FixedAxis":
        """Create an axis from the result of :meth:`to_dict`.

        :raises ValueError: if a value is missing or invalid.
        """
        missing = [name for name in ("start", "step", "size", "unit") if content.get(name) is None]
        if missing:
            raise ValueError(f"expected an axis with start, step, size and unit, got none for {', '.join(missing)}")
        return cls(float(content["start"]), float(content["step"]), int(content["size"]), str(content["unit"]))

    def __str__(self) -> str:
        return (
            f"{self.start:g} ... {self.stop:g} {self.unit} in steps of {self.step:g} {self.unit} ({self.size} channels)"
        )
