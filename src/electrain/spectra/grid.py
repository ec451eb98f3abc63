"""Uniform energy grids: the only owner of start, step and size."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class EnergyGrid:
    """A uniform energy axis ``E_i = start + i * step``, ``i = 0 ... size - 1``.

    :param start: energy of the first channel, in eV.
    :param step: distance between two channels, in eV.
    :param size: number of channels.
    :raises ValueError: for a step or size that is not positive, or a value that is not finite.
    """

    start: float
    step: float
    size: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.step) and self.step > 0):
            raise ValueError(
                "an energy grid needs a finite start and a positive step in eV, "
                f"got start={self.start}, step={self.step}"
            )
        if self.size < 1:
            raise ValueError(f"an energy grid needs at least one channel, got size={self.size}")

    @property
    def stop(self) -> float:
        """Energy of the last channel, in eV."""
        return self.start + (self.size - 1) * self.step

    def energies(self) -> torch.Tensor:
        """All energies of the axis, shape ``(size,)``, in eV, float64."""
        return self.start + self.step * torch.arange(self.size, dtype=torch.float64)

    def extended_below(self, channels: int) -> "EnergyGrid":
        """Return the same axis with that many more channels at its lower end."""
        return EnergyGrid(self.start - channels * self.step, self.step, self.size + channels)

    @classmethod
    def covering(cls, lowest: float, highest: float, step: float, *, origin: float = 0.0) -> "EnergyGrid":
        """Return the smallest grid that contains both energies (all in eV).

        :param origin: energy of a channel; those of the others differ from it by multiples of ``step``.
        """
        first, last = math.floor((lowest - origin) / step), math.ceil((highest - origin) / step)
        return cls(origin + first * step, step, last - first + 1)

    def channel_of(self, other: "EnergyGrid") -> int | None:
        """Channel of this grid on which the first one of another grid lies, also beyond the ends.

        :return: ``None`` if the channels of the two grids do not coincide.
        """
        channel = (other.start - self.start) / self.step
        drift = abs(other.step - self.step) * other.size
        is_same = max(abs(channel - round(channel)) * self.step, drift) <= 1e-6 * self.step
        return round(channel) if is_same else None

    def checked(self, spectrum: torch.Tensor) -> torch.Tensor:
        """One spectrum on this axis as float64 on the CPU, detached from the autograd graph.

        :param spectrum: shape ``(size,)``.
        :raises ValueError: for another shape, or for values that are not finite.
        """
        if tuple(spectrum.shape) != (self.size,):
            raise ValueError(f"expected one spectrum of shape ({self.size},), got {tuple(spectrum.shape)}")
        values = spectrum.detach().to(device="cpu", dtype=torch.float64)
        finite = torch.isfinite(values)
        if not finite.all():
            first = self.start + self.step * int((~finite).int().argmax())
            raise ValueError(
                f"{int((~finite).sum())} of {self.size} channels of the spectrum are not finite, the first "
                f"at {first:g} eV: cut the spectrum and its grid where the trusted range ends"
            )
        return values

    def is_close(self, other: "EnergyGrid") -> bool:
        """Whether two grids agree to a millionth of a channel at both ends."""
        tolerance = 1e-6 * self.step
        ends = abs(self.start - other.start) <= tolerance and abs(self.stop - other.stop) <= tolerance
        return self.size == other.size and ends

    def __str__(self) -> str:
        return f"{self.start:g} ... {self.stop:g} eV in steps of {self.step:g} eV ({self.size} channels)"
