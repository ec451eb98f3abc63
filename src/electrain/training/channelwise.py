"""Loss and errors of spectra on a fixed axis, which are compared channel by channel."""

from collections.abc import Mapping
from typing import Any

import torch
from metatomic.torch import System

from electrain.interface.fixed_axes import learned_axis
from electrain.interface.quantities import quantity_of
from electrain.spectra.channel_errors import ChannelErrors, channel_errors, cumulative_distance
from electrain.spectra.fixed_axis import FixedAxis

from .processes import Process
from .terms import Evaluated, Maps

KINDS = ("rmse", "mae", "mse", "wasserstein")


class ChannelwiseLoss:
    """Mean over structures of an error of their spectra; those without a known channel do not count.

    A spectrum of each atom has a mean over atoms.

    The error is one of :func:`~electrain.spectra.channel_errors.channel_errors`, in states/eV (electrons) or states/THz
    (phonons), in whatever unit the axis is; ``"wasserstein"`` is
    :func:`~electrain.spectra.channel_errors.cumulative_distance` in eV or THz.

    :param target: name of the target.
    :param axis: its axis.
    :param kind: one of :data:`KINDS`.
    :param weight: weight of this target in the total loss.
    :param per_atom: whether spectra of structures are divided by the number of atoms.
    """

    num_means = 1

    def __init__(
        self, target: str, axis: FixedAxis, *, kind: str = "mse", weight: float = 1.0, per_atom: bool = False
    ) -> None:
        self.targets: tuple[str, ...] = (target,)
        self.axis, self.kind, self.weight, self.per_atom = axis, kind, weight, per_atom
        self.learned = learned_axis(target, axis)
        # a spectrum of states per unit of the axis -> per unit of the learned one; normalised ones have no unit
        self._factor = 1.0 if quantity_of(target).intensive else axis.step / self.learned.step

    @classmethod
    def from_options(
        cls, target: str, axis: FixedAxis, options: Mapping[str, Any], per_structure: bool
    ) -> "ChannelwiseLoss":
        """Read a target's entry in the options file.

        :raises ValueError: for another type, or an option that this loss does not have.
        """
        kind = options.get("type", "mse")
        if kind not in KINDS:
            raise ValueError(
                f"the loss of {target!r}, a spectrum on a fixed axis, must be one of {', '.join(map(repr, KINDS))}, "
                f"got {kind!r}"
            )
        if options.get("reduction", "mean") != "mean":
            raise ValueError(
                f"the loss of {target!r} is a mean over structures, got reduction {options['reduction']!r}"
            )
        unknown = sorted(set(options) - {"type", "weight", "reduction", "gradients"})
        if unknown:
            raise ValueError(f"unknown option(s) {unknown} in the loss of {target!r}; expected type and weight")
        per_atom = not per_structure and quantity_of(target).per == "structure"
        return cls(target, axis, kind=kind, weight=options.get("weight", 1.0), per_atom=per_atom)

    def __call__(self, predictions: Maps, targets: Maps, systems: list[System]) -> Evaluated:
        """Compare spectra channel by channel; NaN in a target is unknown."""
        (name,) = self.targets
        prediction, target = predictions[name].block().values, targets[name].block().values
        if self.per_atom:
            num_atoms = torch.tensor([[len(system)] for system in systems], device=prediction.device).clamp_min(1)
            prediction, target = prediction / num_atoms, target / num_atoms
        known = ~torch.isnan(target)
        if self.kind == "wasserstein":
            values = cumulative_distance(prediction, target, known, self.learned.step)
        else:
            learned = (self._factor * prediction, self._factor * target)
            values = getattr(channel_errors(*learned, known, self.learned.step), self.kind)
        counted = ~torch.isnan(target).all(dim=1) & torch.isfinite(values.detach())
        number = counted.sum()
        mean = torch.where(counted, values, 0.0).sum() / number.clamp_min(1)
        with torch.no_grad():
            errors = channel_errors(prediction.double(), target.double(), known, self.axis.step)
        return Evaluated((self.weight * mean).unsqueeze(0), number.unsqueeze(0), (errors,), {})

    def new_errors(self, process: Process) -> "ChannelwiseErrors":
        """Return the object that accumulates RMSE, MAE, R^2 and WD."""
        return ChannelwiseErrors(self.targets[0], self.axis, self.per_atom, process)


class ChannelwiseErrors:
    """Means over structures, or atoms, of their RMSE, MAE, R^2 and Wasserstein distance, each where it is defined.

    :param target: name of the target.
    :param axis: its axis, whose units the errors have.
    :param per_atom: whether spectra are divided by the number of atoms.
    :param process: this process; sums are shared with the others in distributed training.
    """

    def __init__(self, target: str, axis: FixedAxis, per_atom: bool, process: Process) -> None:
        unit = "" if quantity_of(target).intensive else f" [{axis.density_unit}{'/atom' if per_atom else ''}]"
        # metatrain's log can only show positive numbers under the name of a target, and R^2 may be negative
        self._names = {
            "rmse": f"{target} RMSE{unit}",
            "mae": f"{target} MAE{unit}",
            "r2": f"R^2 of {target}",
            "wasserstein": f"{target} WD [{axis.unit}]",
        }
        self._process = process
        self._sums = torch.zeros(2, len(self._names), dtype=torch.float64, device=process.device)

    def add(self, errors: ChannelErrors) -> None:
        """Add a batch."""
        values = torch.stack([getattr(errors, name) for name in self._names])
        defined = torch.isfinite(values)
        self._sums += torch.stack([torch.where(defined, values, 0.0).sum(dim=1), defined.sum(dim=1)])

    def finalize(self) -> dict[str, float]:
        """See :class:`~electrain.training.terms.Errors`."""
        self._process.add_up(self._sums)
        sums = zip(self._names.values(), *self._sums.tolist(), strict=True)
        return {name: total / count for name, total, count in sums if count > 0}
