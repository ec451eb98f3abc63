"""Predictions and targets of a batch -> loss and errors, with a term for each kind of quantity.

An architecture may have its own terms (``SpectralTrainer.losses``); by default each target has the loss named in the
table of quantities. A new loss is a class here and a row in :data:`SPECTRAL_LOSSES`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from metatensor.torch import TensorBlock, TensorMap
from metatomic.torch import System
from metatrain.scaler import Scaler
from metatrain.utils.data import TargetInfo
from metatrain.utils.loss import LossAggregator, LossInterface
from metatrain.utils.per_atom import average_by_num_atoms

from electrain.interface.band_labels import labels_to_bands
from electrain.interface.quantities import quantity_of
from electrain.spectra.alignment import fermi_level_after_alignment
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.losses import CUMULATIVE_WEIGHT, GRADIENT_WEIGHT, mean_loss, spectral_loss_terms
from electrain.spectra.metrics import electrons_in_target

from .bands import BandsLoss
from .channelwise import ChannelwiseLoss
from .errors import PointwiseErrors, SpectrumErrors
from .processes import Process
from .terms import Evaluated, LossTerm, Maps


class SelfAlignedLoss:
    """Loss of the density of states: ``mean over structures of (AL + alpha GL + beta CL) / N``.

    N is the number of atoms or that of the electrons in the target.

    Source: PET-MAD-DOS paper, eqs. 3-8; see :mod:`electrain.spectra.losses`.

    :param target: name of the target.
    :param axis: the energy axis.
    :param weight: weight of this target in the total loss.
    :param gradient_weight: alpha, in eV^2.
    :param cumulative_weight: beta, in eV^-2.
    :param per: ``"atom"`` or ``"electron"``.
    """

    num_means = 1

    def __init__(
        self,
        target: str,
        axis: EnergyAxis,
        *,
        weight: float = 1.0,
        gradient_weight: float = GRADIENT_WEIGHT,
        cumulative_weight: float = CUMULATIVE_WEIGHT,
        per: str = "atom",
    ) -> None:
        self.targets: tuple[str, ...] = (target,)
        self.per = per
        self.axis = axis
        self.weight = weight
        self.gradient_weight = gradient_weight
        self.cumulative_weight = cumulative_weight

    @classmethod
    def from_options(cls, target: str, axis: EnergyAxis, options: Mapping[str, Any]) -> "SelfAlignedLoss":
        """Read a target's entry in the options file.

        metatrain fills in ``type: mse``, ``reduction`` and ``gradients`` if nothing was chosen, and passes a loss
        chosen for all targets to each of them, so pointwise types are ignored here.

        :raises ValueError: for another type, or an option this loss does not have.
        """
        own = {name: value for name, value in options.items() if name not in ("type", "reduction", "gradients")}
        if options.get("type", "mse") not in ("mse", "mae", "huber", "self_aligning"):
            raise ValueError(
                f"the loss of {target!r} is always 'self_aligning' (spectra have no common zero of energy), "
                f"got {options['type']!r}"
            )
        if options.get("reduction", "mean") != "mean":
            raise ValueError(
                f"the loss of {target!r} is a mean over structures, got reduction {options['reduction']!r}"
            )
        known = {"weight", "gradient_weight", "cumulative_weight", "per"}
        if not set(own) <= known:
            raise ValueError(
                f"unknown option(s) {sorted(set(own) - known)} in the loss of {target!r}; "
                f"expected some of {sorted(known)}"
            )
        return cls(target, axis, **own)

    def __call__(self, predictions: Maps, targets: Maps, systems: list[System]) -> Evaluated:
        """Compare spectra on the prediction's grid; errors are those of the alignment term alone."""
        (name,) = self.targets
        prediction = predictions[name].block().values
        target, trusted = self.axis.window(targets[name].block().values)
        num_atoms = torch.tensor([len(system) for system in systems], device=prediction.device)
        terms = spectral_loss_terms(prediction, target, trusted, self.axis.grid.step)
        electrons = electrons_in_target(target, trusted, self.axis.grid.step)
        # less than one electron only where nothing is trusted
        sizes = num_atoms if self.per == "atom" else electrons.clamp_min(1.0)
        loss = self.weight * mean_loss(terms, trusted, sizes, self.gradient_weight, self.cumulative_weight)
        zero = fermi_level_after_alignment(terms.shift, targets[name].block().values, self.axis)
        errors = (terms.alignment.detach(), electrons, num_atoms)
        return Evaluated(loss.unsqueeze(0), trusted.any(dim=1).sum().unsqueeze(0), errors, {name: zero})

    def new_errors(self, process: Process) -> SpectrumErrors:
        """Return the object that accumulates the root mean square of the alignment term."""
        return SpectrumErrors(self.targets[0], self.axis.grid.step, process)


class PointwiseLoss:
    """metatrain's losses of numbers, vectors, tensors and gradients; per atom if they grow with the structure.

    :param targets: the targets.
    :param options: the options file's ``loss`` section, an entry per target.
    :param per_structure: targets whose loss is not per atom.
    :param scaler: scaler of the model.
    """

    def __init__(
        self, targets: Mapping[str, TargetInfo], options: Mapping[str, Any], per_structure: list[str], scaler: Scaler
    ) -> None:
        self.targets: tuple[str, ...] = tuple(targets)
        # metatrain's sum of them all is a mean over one process only
        self._losses = list(LossAggregator(targets=dict(targets), config=dict(options)).losses.values())
        self.num_means = len(self._losses)
        self._per_structure, self._scaler = per_structure, scaler

    def __call__(self, predictions: Maps, targets: Maps, systems: list[System]) -> Evaluated:
        """Compare point by point; errors are in units of the targets."""
        predicted = average_by_num_atoms(dict(predictions), systems, self._per_structure)
        expected = average_by_num_atoms(dict(targets), systems, self._per_structure)
        # The loaders have divided by one scale per target; scales per property multiply the predictions here.
        predicted = self._scaled(predicted, systems, per_target=False)
        for name in predicted:
            if quantity_of(name).is_non_negative:
                predicted[name] = _cut_off_at_zero(predicted[name], expected[name])
        means = torch.stack([self._mean(loss, predicted, expected) for loss in self._losses])
        counts = torch.stack([_count(loss, expected) for loss in self._losses])
        with torch.no_grad():
            errors = (
                self._scaled(predicted, systems, per_target=True),
                self._scaled(expected, systems, per_target=True),
            )
        return Evaluated(means, counts, errors, {})

    def new_errors(self, process: Process) -> PointwiseErrors:
        """Return the object that accumulates RMSE and MAE."""
        return PointwiseErrors(self._per_structure, process)

    def _mean(self, loss: LossInterface, predicted: Maps, expected: Maps) -> torch.Tensor:
        values = next(iter(predicted.values())).block(0).values
        if loss.target not in predicted:
            return values.new_zeros(())
        return loss.weight * loss(dict(predicted), dict(expected)).to(values.dtype)

    def _scaled(self, maps: dict[str, TensorMap], systems: list[System], *, per_target: bool) -> dict[str, TensorMap]:
        known = {name: tensor_map for name, tensor_map in maps.items() if name in self._scaler.outputs}
        if not known:
            return maps
        scaled = self._scaler.apply_scales(
            systems, known, remove=False, use_per_target_scales=per_target, use_per_property_scales=not per_target
        )
        return {**maps, **scaled}


def _cut_off_at_zero(predicted: TensorMap, expected: TensorMap) -> TensorMap:
    """Cut off predictions below zero where the target is zero, as the model does when it predicts.

    So a metal whose gap is predicted below zero has no error: how far below is free to tell how far it is from opening
    a gap.
    """
    blocks = []
    for key, block in predicted.items():
        target = expected.block(key).values
        values = torch.where(target <= 0, block.values.clamp_min(0.0), block.values)
        blocks.append(TensorBlock(values, block.samples, block.components, block.properties))
    return TensorMap(predicted.keys, blocks)


def check_pointwise(target: str, options: Mapping[str, Any]) -> None:
    """Check a target's entry in the options file.

    :raises ValueError: for a type or options that only the loss of spectra has, and ``delta`` without ``huber``.
    """
    kind = options.get("type", "mse")
    if kind not in ("mse", "mae", "huber"):
        raise ValueError(f"the loss of {target!r} must be 'mse', 'mae' or 'huber'; {kind!r} is for spectra")
    for name in ("gradient_weight", "cumulative_weight", "per", "dispersion_weight"):
        if name in options:
            of_what = "bands" if name == "dispersion_weight" else "spectra"
            raise ValueError(f"the loss of {target!r} has no `{name}`, which is an option of the loss of {of_what}")
    for part in (options, *options.get("gradients", {}).values()):
        if "delta" in part and part.get("type", "mse") != "huber":
            raise ValueError(f"`delta` in the loss of {target!r} is an option of the type 'huber'; add `type: huber`")


def _count(loss: LossInterface, targets: Maps) -> torch.Tensor:
    """How many numbers a loss is the mean of."""
    count = next(iter(targets.values())).block(0).values.new_zeros(())
    if loss.reduction != "mean" or loss.target not in targets:
        return count
    for block in targets[loss.target].blocks():
        if loss.gradient is None:
            count = count + block.values.isnan().logical_not().sum()
        elif loss.gradient in block.gradients_list():
            count = count + block.gradient(loss.gradient).values.isnan().logical_not().sum()
    return count


# By the name in the table of quantities: function of a target, its axis (or shape, of bands), its entry in the options,
# and whether errors are per structure instead of per atom -> term.
SPECTRAL_LOSSES: dict[str, Callable[[str, Any, Mapping[str, Any], bool], LossTerm]] = {
    "self_aligning": lambda target, axis, options, _: SelfAlignedLoss.from_options(target, axis, options),
    "channelwise": ChannelwiseLoss.from_options,
    "bands": BandsLoss.from_options,
}


def default_losses(
    targets: Mapping[str, TargetInfo],
    options: str | Mapping[str, Any],
    axes: Mapping[str, Any],
    per_structure: list[str],
    scaler: Scaler,
) -> list[LossTerm]:
    """Return the loss of each target according to the table of quantities, those of spectra first.

    :param targets: the targets.
    :param options: ``loss`` in the options file: an entry per target, or one type for all targets compared pointwise.
    :param axes: axis of each target that is a spectrum.
    :param per_structure: targets whose loss is not per atom.
    :param scaler: scaler of the model.
    :raises ValueError: for options that a loss does not have.
    """
    spectra = [name for name in targets if quantity_of(name).loss in SPECTRAL_LOSSES]
    pointwise = {name: info for name, info in targets.items() if name not in spectra}
    if isinstance(options, str):
        kind = {"type": options, "weight": 1.0, "reduction": "mean", "gradients": {}}
        options = dict.fromkeys(targets, kind)
    terms: list[LossTerm] = []
    for name in spectra:
        quantity, axis = quantity_of(name), axes.get(name)
        if quantity.is_bands:
            axis = labels_to_bands(targets[name].layout.block().properties)
        terms.append(SPECTRAL_LOSSES[quantity.loss](name, axis, options.get(name, {}), name in per_structure))
    if pointwise:
        for name in pointwise:
            check_pointwise(name, options.get(name, {}))
        terms.append(PointwiseLoss(pointwise, options, per_structure, scaler))
    return terms


class Objective:
    """The total loss over all targets.

    :param terms: terms of the loss; those of spectra precede those of energies on their axes.
    """

    def __init__(self, terms: list[LossTerm]) -> None:
        self.terms = terms

    def __call__(
        self, predictions: Maps, targets: Maps, systems: list[System]
    ) -> tuple[torch.Tensor, list[Evaluated | None]]:
        """Return the loss of the given structures, a scalar, and the result of each term (``None`` without targets)."""
        positions = systems[0].positions
        loss = torch.zeros((), dtype=positions.dtype, device=positions.device)
        zeros: dict[str, torch.Tensor] = {}
        found: list[Evaluated | None] = []
        for term in self.terms:
            names = [name for name in term.targets if name in targets]
            if not names:
                found.append(None)
                continue
            expected = {name: _on_predicted_axis(name, targets[name], zeros) for name in names}
            evaluated = term({name: predictions[name] for name in names}, expected, systems)
            zeros.update(evaluated.zeros)
            loss = loss + evaluated.means.sum()
            found.append(evaluated)
        return loss, found


def _on_predicted_axis(name: str, target: TensorMap, zeros: Mapping[str, torch.Tensor]) -> TensorMap:
    """Move a level from the dataset's axis to the prediction's own axis; other targets are returned unchanged.

    Without a spectrum to align, the level is unknown (NaN).
    """
    spectrum = quantity_of(name).on_axis_of
    if spectrum is None:
        return target
    block = target.block()
    zero = zeros.get(spectrum)
    offset = torch.nan if zero is None else zero.to(block.values.dtype).unsqueeze(1)
    values = TensorBlock(block.values + offset, block.samples, block.components, block.properties)
    return TensorMap(target.keys, [values])
