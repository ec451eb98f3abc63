"""Fitting uncertainties to data: covariances, regularisers, multipliers, and the members of ensembles."""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional, Protocol

import torch
from metatensor.torch import TensorMap
from metatomic.torch import ModelOutput, System
from metatrain.utils.data import Dataset, unpack_batch
from metatrain.utils.system_data import get_system_data_transform
from torch.utils.data import Subset

from electrain.interface.quantities import (
    DENSITY_OF_STATES,
    last_layer_features_name,
    quantity_of,
    uncertainty_name,
)
from electrain.spectra.alignment import aligned_residuals, best_shift, fermi_level_after_alignment
from electrain.spectra.gap import gap_errors

from .calibration import best_regularizer, correlated_modes, multipliers, nearest_known

Datasets = list[Dataset | Subset]


class Calibrated(Protocol):
    """The model to fit: metatrain's ``LLPRUncertaintyModel`` with support for spectra."""

    model: Any  # the trained model
    ll_feat_size: int
    outputs_list: list[str]  # targets with uncertainties from their last-layer features
    propagated: list[str]  # targets that are read from the members of an ensemble
    ensemble_weight_sizes: dict[str, int]  # number of members, by target
    llpr_ensemble_layers: torch.nn.ModuleDict
    chooses_regularizer: bool

    def __call__(self, systems: list[System], outputs: dict[str, ModelOutput], /) -> dict[str, TensorMap]:
        """Predict."""

    def _get_covariance(self, name: str) -> torch.Tensor: ...
    def _get_cholesky(self, name: str) -> torch.Tensor: ...
    def _get_multiplier(self, name: str) -> torch.Tensor: ...
    def _get_dataloader(self, datasets: Datasets, batch_size: int, *, is_distributed: bool) -> Any: ...


class HeldOut(NamedTuple):
    """Data of the validation samples (structures or atoms) that have a target, for calibration."""

    features: torch.Tensor  # (num_samples, num_features)
    residuals: torch.Tensor  # (num_samples, num_properties) | prediction minus target, NaN where unknown


@torch.no_grad()
def fit_covariances(model: Calibrated, datasets: Datasets, batch_size: int, is_distributed: bool) -> None:
    r"""Sum up :math:`C = \sum_A f_A f_A^T` over the samples that have a value, for each target.

    Features of a structure are per atom, :math:`f_A / N_A`, as in metatrain's ``llpr``.

    :raises ValueError: if no training structure has a value.
    """
    size = model.ll_feat_size
    sums = {name: torch.zeros(size, size, dtype=torch.float64) for name in model.outputs_list}
    for systems, targets in _batches(model, datasets, batch_size, is_distributed):
        known = {name: target for name, target in targets.items() if name in sums}
        requested = {last_layer_features_name(name): _output_like(target) for name, target in known.items()}
        features = model.model(systems, requested)
        for name, target in known.items():
            values = features[last_layer_features_name(name)].block().values.double()
            if requested[last_layer_features_name(name)].sample_kind == "system":
                values = values / torch.tensor([[len(system)] for system in systems], device=values.device)
            values = values[_present(model, name, target)]
            sums[name] += (values.T @ values).cpu()
    for name, total in sums.items():
        covariance = model._get_covariance(uncertainty_name(name))
        covariance[:] = total.to(covariance)
        if is_distributed:
            torch.distributed.all_reduce(covariance)
        if not bool(covariance.any()):
            raise ValueError(f"target {name!r} has no value (NaN) in any training structure; expected at least one")


def factorise(model: Calibrated, name: str, regularizer: float) -> None:
    """Compute and store the Cholesky factor of a target's regularised covariance."""
    covariance = model._get_covariance(uncertainty_name(name)).double()
    cholesky = model._get_cholesky(uncertainty_name(name))
    # With few structures many eigenvalues are zero; in single precision they may be slightly negative.
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
    regularized = (eigenvectors * (eigenvalues.clamp_min(0.0) + regularizer)) @ eigenvectors.T
    cholesky[:] = torch.linalg.cholesky(regularized).to(cholesky)


@torch.no_grad()
def calibrate(model: Calibrated, datasets: Datasets, batch_size: int, is_distributed: bool, method: str) -> None:
    """Find regularisers (unless given) and multipliers, draw ensembles, then calibrate quantities read from them.

    :raises ValueError: if no validation structure has a value of some target.
    """
    held_out = _predict(model, datasets, batch_size, is_distributed)
    for name in model.outputs_list:
        samples = held_out.get(name)
        if samples is None or not bool(torch.isfinite(samples.residuals).any()):
            raise ValueError(
                f"target {name!r} has no value (NaN) in any validation structure: nothing to calibrate with"
            )
        if model.chooses_regularizer:
            covariance = model._get_covariance(uncertainty_name(name)).double()
            regularizer = best_regularizer(covariance, samples.features, samples.residuals)
            logging.info(f"Held-out errors of {name} are most likely with a regularizer of {regularizer:.1e}")
            factorise(model, name, regularizer)
        _calibrate_linear(model, name, samples, method, is_distributed)
    for name in model.propagated:
        residuals, spreads = _predict_derived(model, name, datasets, batch_size, is_distributed)
        if len(residuals) == 0:
            raise ValueError(
                f"target {name!r} has no value (NaN) in any validation structure: nothing to calibrate with"
            )
        _set_multiplier(model, name, multipliers(residuals, spreads, method))


def _calibrate_linear(model: Calibrated, name: str, samples: HeldOut, method: str, is_distributed: bool) -> None:
    """Multipliers and ensemble of a target, from its last-layer features."""
    cholesky = model._get_cholesky(uncertainty_name(name))
    features = samples.features.to(cholesky)
    deviations = torch.linalg.solve_triangular(cholesky, features.T, upper=False).norm(dim=0)
    found = multipliers(samples.residuals, deviations, method)
    # Above the trusted range of all validation structures, channels are as uncertain as the nearest channel within it.
    source = nearest_known(torch.isfinite(found))
    found = found[source]
    _set_multiplier(model, name, found)
    if name not in model.ensemble_weight_sizes:
        return
    layer: Any = model.llpr_ensemble_layers[name]
    if name == DENSITY_OF_STATES:
        modes = correlated_modes(samples.residuals, deviations, len(layer.modes))[:, source] * found
        layer.modes.data.copy_(modes)
        _draw(cholesky, layer.amplitudes.weight, is_distributed)
    else:
        _draw(cholesky, layer.weight, is_distributed)
        # Order of rows: members, then components, then properties.
        layer.weight.data.mul_(found.repeat(len(layer.weight) // len(found)).unsqueeze(1).to(cholesky))


def _draw(cholesky: torch.Tensor, weight: torch.nn.Parameter, is_distributed: bool) -> None:
    """Fill the rows of a weight with normal deviates whose covariance is the inverse of that of the features."""
    deviates = torch.randn(weight.shape[1], weight.shape[0], dtype=cholesky.dtype, device=cholesky.device)
    if is_distributed:  # all processes calibrate and save the same members
        torch.distributed.broadcast(deviates, 0)
    weight.data.copy_(torch.linalg.solve_triangular(cholesky.T, deviates, upper=True).T)


def _set_multiplier(model: Calibrated, name: str, values: torch.Tensor) -> None:
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"expected finite multipliers of the uncertainty of {name!r}, got {values.tolist()[:10]}")
    multiplier = model._get_multiplier(uncertainty_name(name))
    multiplier[:] = values.to(multiplier)


def _predict(model: Calibrated, datasets: Datasets, batch_size: int, is_distributed: bool) -> dict[str, HeldOut]:
    """Return features and errors of all validation samples, by target."""
    parts: dict[str, list[HeldOut]] = {}
    for systems, targets in _batches(model, datasets, batch_size, is_distributed):
        known = {name: target for name, target in targets.items() if name in model.outputs_list}
        requested = {name: _output_like(target) for name, target in known.items()}
        requested.update({last_layer_features_name(name): output for name, output in requested.items()})
        results = model.model(systems, requested)
        for name, target in known.items():
            present = _present(model, name, target)
            residuals = _residuals(model, name, results[name], target)
            features = results[last_layer_features_name(name)].block().values
            num_components = residuals.shape[1]
            features = features[present].repeat_interleave(num_components, dim=0)
            parts.setdefault(name, []).append(HeldOut(features.cpu(), residuals[present].flatten(0, 1).cpu()))
    gathered = _gather(parts, is_distributed)
    device = next(model.model.network.parameters()).device
    return {
        name: HeldOut(
            torch.cat([part.features for local in gathered for part in local.get(name, [])]).to(device),
            torch.cat([part.residuals for local in gathered for part in local.get(name, [])]).to(device),
        )
        for name in dict.fromkeys(name for local in gathered for name in local)
    }


def _predict_derived(
    model: Calibrated, name: str, datasets: Datasets, batch_size: int, is_distributed: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return errors (num_structures, 1) and spreads (num_structures,) of the band gap or Fermi level.

    Metals that are predicted to be metals are left out: with both gaps cut off at zero, they have no error to compare.
    """
    parts = []
    for systems, targets in _batches(model, datasets, batch_size, is_distributed):
        if name not in targets:
            continue
        spectrum = model.model.read_from[name]
        requested = {output: ModelOutput(sample_kind="system") for output in (name, spectrum, uncertainty_name(name))}
        results = model(systems, requested)
        prediction = results[name].block().values.double()
        target = targets[name].block().values.double()
        if quantity_of(name).on_axis_of == spectrum:
            target = target + _zero_of_targets(model, results[spectrum], targets.get(spectrum), target)
        errors = gap_errors(prediction, target) if quantity_of(name).is_non_negative else prediction - target
        known = torch.isfinite(errors).flatten()
        spreads = results[uncertainty_name(name)].block().values.double()
        parts.append((errors[known].cpu(), spreads[known, 0].cpu()))
    gathered = [part for local in _gather(parts, is_distributed) for part in local]
    if not gathered:
        return torch.zeros(0, 1), torch.zeros(0)
    return torch.cat([residuals for residuals, _ in gathered]), torch.cat([spreads for _, spreads in gathered])


def _batches(
    model: Calibrated, datasets: Datasets, batch_size: int, is_distributed: bool
) -> Iterator[tuple[list[System], dict[str, TensorMap]]]:
    """Yield systems in the model's precision, and targets in their own precision, on the model's device."""
    model.model.eval()  # with baselines and scales
    parameter = next(model.model.network.parameters())
    attach_inputs = get_system_data_transform([*model.model.requested_inputs(), *model.model.optional_inputs()])
    for batch in model._get_dataloader(datasets, batch_size, is_distributed=is_distributed):
        systems, targets, _ = attach_inputs(*unpack_batch(batch))
        systems = [system.to(device=parameter.device, dtype=parameter.dtype) for system in systems]
        yield systems, {name: target.to(device=parameter.device) for name, target in targets.items()}


def _output_like(target: TensorMap) -> ModelOutput:
    return ModelOutput(sample_kind="atom" if "atom" in target.block(0).samples.names else "system")


def _present(model: Calibrated, name: str, target: TensorMap) -> torch.Tensor:
    """Which samples have a value."""
    values = target.block().values
    if quantity_of(name).is_on_energy_grid:  # the channels reserved for shifts contain no data
        values, _ = model.model.axis.window(values)
    return torch.isfinite(values).flatten(1).any(dim=1)


def _residuals(model: Calibrated, name: str, prediction: TensorMap, target: TensorMap) -> torch.Tensor:
    """Prediction minus target, (num_samples, num_components, num_properties); spectra are aligned."""
    predicted, expected = prediction.block().values.double(), target.block().values.double()
    if quantity_of(name).is_on_energy_grid:
        return aligned_residuals(predicted, expected, model.model.axis)[0].unsqueeze(1)
    residuals = predicted - expected
    return residuals.reshape(len(residuals), -1, residuals.shape[-1])


def _zero_of_targets(
    model: Calibrated, prediction: TensorMap, target: Optional[TensorMap], like: torch.Tensor
) -> torch.Tensor:
    """Zero of the targets on the axis of predicted spectra, in eV; NaN without a target to align with."""
    if target is None:
        return torch.full_like(like, torch.nan)
    axis, spectra = model.model.axis, target.block().values.double()
    shift = best_shift(prediction.block().values.double(), *axis.window(spectra))
    return fermi_level_after_alignment(shift, spectra, axis).unsqueeze(1)


def _gather(value: Any, is_distributed: bool) -> list[Any]:
    """Return the values of all processes; tensors must be on the CPU, or they would stay on their process's device."""
    if not is_distributed:
        return [value]
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, value)
    return gathered
