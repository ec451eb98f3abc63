"""Predictions and targets of a batch -> loss, for training and validation alike."""

from typing import Any, NamedTuple

import torch
from metatensor.torch import TensorBlock, TensorMap
from metatomic.torch import System
from metatrain.scaler import Scaler
from metatrain.utils.data import TargetInfo
from metatrain.utils.loss import LossAggregator
from metatrain.utils.per_atom import average_by_num_atoms

from electrain.interface.quantities import DENSITY_OF_STATES, FERMI_LEVEL
from electrain.spectra.losses import SpectralLossTerms, mean_loss, spectral_loss_terms
from electrain.spectra.metrics import electrons_in_target

from .errors import EpochErrors

# See docs/training.md for the scan behind the default of the cumulative weight (beta).
GRADIENT_WEIGHT = 1e-4  # alpha, eV^2
CUMULATIVE_WEIGHT = 2e-4  # beta, eV^-2


class SpectrumSettings(NamedTuple):
    """What the loss needs to know of the energy axis."""

    step: float  # eV
    max_shift: int  # channels


class SelfAlignedLoss:
    """Loss of the density of states: ``mean over structures of (AL + alpha GL + beta CL) / N_atoms``.

    Source: PET-MAD-DOS paper, eqs. 3-8; see :mod:`electrain.spectra.losses`.

    :param settings: the energy axis.
    :param weight: of this target in the total loss.
    :param gradient_weight: alpha, in eV^2.
    :param cumulative_weight: beta, in eV^-2.
    """

    def __init__(
        self,
        settings: SpectrumSettings,
        *,
        weight: float = 1.0,
        gradient_weight: float = GRADIENT_WEIGHT,
        cumulative_weight: float = CUMULATIVE_WEIGHT,
    ) -> None:
        self.settings = settings
        self.weight = weight
        self.gradient_weight = gradient_weight
        self.cumulative_weight = cumulative_weight

    @classmethod
    def from_config(cls, settings: SpectrumSettings, config: dict[str, Any]) -> "SelfAlignedLoss":
        """Read a target's entry in the options file.

        metatrain fills in ``type: mse``, ``reduction`` and ``gradients`` where nothing was chosen, and hands a loss
        that was chosen for all targets to each of them: pointwise types are for the others.

        :raises ValueError: for another type, or an option this loss does not have.
        """
        options = {name: value for name, value in config.items() if name not in ("type", "reduction", "gradients")}
        if config.get("type", "mse") not in ("mse", "mae", "huber", "self_aligning"):
            raise ValueError(
                f"the loss of {DENSITY_OF_STATES!r} is always 'self_aligning' (spectra have no common zero of energy), "
                f"got {config['type']!r}"
            )
        if config.get("reduction", "mean") != "mean":
            raise ValueError(
                f"the loss of {DENSITY_OF_STATES!r} is a mean over structures, got reduction {config['reduction']!r}"
            )
        known = {"weight", "gradient_weight", "cumulative_weight"}
        if not set(options) <= known:
            raise ValueError(
                f"unknown option(s) {sorted(set(options) - known)} in the loss of {DENSITY_OF_STATES!r}; "
                f"expected some of {sorted(known)}"
            )
        return cls(settings, **options)

    def __call__(
        self, prediction: torch.Tensor, target: torch.Tensor, num_atoms: torch.Tensor, errors: EpochErrors
    ) -> tuple[torch.Tensor, SpectralLossTerms, torch.Tensor]:
        """Compare spectra on the prediction's grid.

        :param prediction: (num_structures, size) in states/eV.
        :param target: (num_structures, size), NaN where it is not trusted; its first ``max_shift`` channels are empty.
        :param num_atoms: (num_structures,).
        :param errors: gets the aligned RMSE.
        :return: the loss (a scalar), its terms, and which structures have a target.
        """
        target = target[:, self.settings.max_shift :]
        trusted = ~torch.isnan(target)
        terms = spectral_loss_terms(prediction, target, trusted, self.settings.step)
        present = trusted.any(dim=1)
        loss = self.weight * mean_loss(terms, trusted, num_atoms, self.gradient_weight, self.cumulative_weight)
        if errors.spectra is not None:
            electrons = electrons_in_target(target, trusted, self.settings.step)
            errors.spectra.add(terms.alignment.detach(), electrons, num_atoms)
        return loss, terms, present


class Objective:
    """The total loss over all targets.

    :param targets: what is trained on.
    :param config: the options file's ``loss`` section, an entry per target.
    :param spectrum: energy axis, if a density of states is among the targets.
    :param per_structure: targets that are not counted per atom.
    """

    def __init__(
        self,
        targets: dict[str, TargetInfo],
        config: dict[str, Any],
        spectrum: SpectrumSettings | None,
        per_structure: list[str],
    ) -> None:
        self.per_structure = per_structure
        self.spectral_loss = None
        if DENSITY_OF_STATES in targets:
            assert spectrum is not None  # the model checks it
            self.spectral_loss = SelfAlignedLoss.from_config(spectrum, config.get(DENSITY_OF_STATES, {}))
        pointwise = {name: info for name, info in targets.items() if name != DENSITY_OF_STATES}
        self.pointwise_loss = LossAggregator(targets=pointwise, config=config) if pointwise else None

    def __call__(
        self,
        predictions: dict[str, TensorMap],
        targets: dict[str, TensorMap],
        systems: list[System],
        scaler: Scaler,
        errors: EpochErrors,
    ) -> torch.Tensor:
        """Loss of one batch, a scalar; its errors are added to ``errors``."""
        device = systems[0].positions.device
        num_atoms = torch.tensor([len(system) for system in systems], device=device)
        predictions, targets = dict(predictions), dict(targets)
        loss = torch.zeros((), dtype=systems[0].positions.dtype, device=device)
        shift = None
        if self.spectral_loss is not None and DENSITY_OF_STATES in targets:
            prediction = predictions.pop(DENSITY_OF_STATES).block().values
            target = targets.pop(DENSITY_OF_STATES).block().values
            spectral, terms, present = self.spectral_loss(prediction, target, num_atoms, errors)
            loss = loss + spectral
            if FERMI_LEVEL in targets:
                channels = (terms.shift - self.spectral_loss.settings.max_shift).to(prediction.dtype)
                shift = torch.where(present, channels * self.spectral_loss.settings.step, torch.nan)
        if FERMI_LEVEL in targets:
            targets[FERMI_LEVEL] = shifted(targets[FERMI_LEVEL], shift)
        if predictions and self.pointwise_loss is not None:
            loss = loss + self._pointwise(predictions, targets, systems, scaler, errors)
        return loss

    def _pointwise(
        self,
        predictions: dict[str, TensorMap],
        targets: dict[str, TensorMap],
        systems: list[System],
        scaler: Scaler,
        errors: EpochErrors,
    ) -> torch.Tensor:
        assert self.pointwise_loss is not None
        predictions = average_by_num_atoms(predictions, systems, self.per_structure)
        targets = average_by_num_atoms(targets, systems, self.per_structure)
        # The loaders took out one scale per target; scales per property multiply the predictions here.
        predictions = _scaled(predictions, systems, scaler, per_target=False)
        loss = self.pointwise_loss(predictions, targets)
        with torch.no_grad():
            errors.add_pointwise(
                _scaled(predictions, systems, scaler, per_target=True),
                _scaled(targets, systems, scaler, per_target=True),
            )
        return loss


def shifted(target: TensorMap, shift: torch.Tensor | None) -> TensorMap:
    """A Fermi level on the dataset's axis -> where it lies on the prediction's own axis.

    :param target: (num_structures, 1) in eV.
    :param shift: (num_structures,) in eV, of the prediction against the target; NaN (or ``None``) where the
        density of states is missing and the Fermi level cannot be located.
    """
    block = target.block()
    offset = torch.nan if shift is None else shift.to(block.values.dtype).unsqueeze(1)
    values = TensorBlock(block.values + offset, block.samples, block.components, block.properties)
    return TensorMap(target.keys, [values])


def _scaled(
    maps: dict[str, TensorMap], systems: list[System], scaler: Scaler, per_target: bool
) -> dict[str, TensorMap]:
    known = {name: tensor_map for name, tensor_map in maps.items() if name in scaler.outputs}
    if not known:
        return maps
    scaled = scaler.apply_scales(
        systems, known, remove=False, use_per_target_scales=per_target, use_per_property_scales=not per_target
    )
    return {**maps, **scaled}
