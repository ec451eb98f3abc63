"""The energy axis of spectra: the only owner of grid, largest shift, smearing, reference and valence electrons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .grid import EnergyGrid

FERMI_LEVEL_REFERENCE = "Fermi level"

# Margin between the ends of the axis and the states: 1.5 eV as in arXiv:2508.17418, section IV.1, where this is five
# smearings; wider smearings need a margin of five times their width.
MARGIN = 1.5  # eV
MARGIN_IN_SMEARINGS = 5.0


@dataclass(frozen=True)
class EnergyAxis:
    """The energy axis of predicted spectra and their targets.

    A model predicts on ``grid``. Targets are given on its upper part, ``target_grid``, without the lowest ``max_shift``
    channels, by which a prediction may be shifted to align it with its target. The zero of the targets is the
    ``reference``; for an insulator, the Fermi level is the middle of the gap.

    :param grid: the prediction grid.
    :param max_shift: largest shift, in channels.
    :param smearing: standard deviation of the Gaussians in the targets, in eV; ``None`` if unknown.
    :param reference: what energy 0 means in the targets.
    :param valence_electrons: number of valence electrons of each element in the calculations, by chemical symbol; empty
        if unknown.
    :param spin_polarized: whether any of the calculations had spins; ``None`` if unknown.
    :raises ValueError: for a largest shift that is negative or leaves no channel for targets.
    """

    grid: EnergyGrid
    max_shift: int
    smearing: float | None = None
    reference: str = FERMI_LEVEL_REFERENCE
    valence_electrons: Mapping[str, float] = field(default_factory=dict)
    spin_polarized: bool | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.max_shift < self.grid.size:
            raise ValueError(
                f"expected a largest shift (max_shift) of 0 to {self.grid.size - 1} channels, less than the whole "
                f"axis, got {self.max_shift}"
            )

    @property
    def target_grid(self) -> EnergyGrid:
        """The prediction grid without its lowest ``max_shift`` channels."""
        return self.grid.extended_below(-self.max_shift)

    @property
    def middle_shift(self) -> int:
        """The middle one of all shifts, in channels: spectra that begin there have room on both sides."""
        return self.max_shift // 2

    @property
    def middle_reference(self) -> float:
        """Channel of a prediction on which the zero of a target falls at the middle shift."""
        return -self.target_grid.start / self.grid.step + self.middle_shift

    @property
    def margin(self) -> float:
        """Margin, in eV, between the lowest state and the lower end of the target grid."""
        return margin(self.smearing)

    @property
    def lowest_state(self) -> float:
        """Lowest state, in eV, that fits on the axis."""
        return self.target_grid.start + self.margin

    def window(self, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the values of targets on ``target_grid``, and which of them can be trusted.

        :param target: shape ``(..., grid.size)``, in states/eV; NaN where it is not trusted.
        :return: values and bool, shape ``(..., target_grid.size)`` each.
        """
        values = target[..., self.max_shift :]
        return values, ~torch.isnan(values)

    def shift_in_eV(self, shift: torch.Tensor) -> torch.Tensor:
        """Return the zero of a target on the axis of a prediction at the best shift, in eV.

        :param shift: channel of the prediction on which the target's first channel falls, 0 to ``max_shift``; see
            :func:`electrain.spectra.best_shift`.
        """
        channels = shift if shift.is_floating_point() else shift.to(torch.float64)
        return (channels - self.max_shift) * self.grid.step

    def is_compatible(self, other: "EnergyAxis") -> bool:
        """Whether spectra on both axes can be compared channel by channel, i.e. grid and largest shift are equal."""
        return self.grid.is_close(other.grid) and self.max_shift == other.max_shift

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for options, manifests and metadata, without those that are unknown."""
        content: dict[str, Any] = {"start": self.grid.start, "step": self.grid.step, "size": self.grid.size}
        content["max_shift"] = self.max_shift
        if self.smearing is not None:
            content["smearing"] = self.smearing
        content["reference"] = self.reference
        if self.valence_electrons:
            content["valence_electrons"] = dict(self.valence_electrons)
        if self.spin_polarized is not None:
            content["spin_polarized"] = self.spin_polarized
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "EnergyAxis":
        """Create an axis from the result of :meth:`to_dict`.

        :raises ValueError: if a value is missing or invalid.
        """
        missing = [name for name in ("start", "step", "size", "max_shift") if content.get(name) is None]
        if missing:
            raise ValueError(
                f"expected an energy axis with start, step, size and max_shift, got none for {', '.join(missing)}"
            )
        smearing = content.get("smearing")
        electrons = content.get("valence_electrons") or {}
        return cls(
            grid=EnergyGrid(content["start"], content["step"], content["size"]),
            max_shift=int(content["max_shift"]),
            smearing=None if smearing is None else float(smearing),
            reference=str(content.get("reference") or FERMI_LEVEL_REFERENCE),
            valence_electrons={str(symbol): float(count) for symbol, count in electrons.items()},
            spin_polarized=content.get("spin_polarized"),
        )


# That of PET-MAD-DOS (arXiv:2508.17418, section IV.1), as in its published data: targets on -149.6456 ... 80.6044 eV
# relative to the Fermi level of Quantum ESPRESSO.
PET_MAD_DOS_AXIS = EnergyAxis(EnergyGrid(-159.6456, 0.05, 4806), max_shift=200, smearing=0.3)


def margin(smearing: float | None) -> float:
    """Return the margin, in eV, that the tails of smeared states need beyond the outermost state."""
    return max(MARGIN, MARGIN_IN_SMEARINGS * (smearing or 0.0))
