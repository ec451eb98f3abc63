"""Converting checkpoints of metatrain's ``pet`` to models of this architecture with the same predictions."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from metatrain.utils.io import model_from_checkpoint
from metatrain.utils.metadata import merge_metadata

from electrain.architectures.base.hypers import LongRangeHypers
from electrain.architectures.pet_mad.model import PETMAD
from electrain.interface.axis_labels import labels_to_grid
from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    DIRECT_STRESS,
    FERMI_LEVEL,
    QUANTITIES,
    base_quantity,
)
from electrain.nn.point_edge_transformer.heads import PooledHead
from electrain.nn.spectrum_convolution import SpectrumConvolution
from electrain.spectra.axis import PET_MAD_DOS_AXIS
from electrain.spectra.grid import EnergyGrid

from .network import merge_peer_low_rank, network_options, network_state


class AxisOptions(NamedTuple):
    """The energy axis of the density of states, in eV, which a checkpoint of ``pet`` does not contain."""

    start: float | None = None
    step: float | None = None
    max_shift: float | None = None


_NO_AXIS = AxisOptions()


def convert(
    checkpoint: dict[str, Any],
    axis: AxisOptions = _NO_AXIS,
    spectrum_weights: Mapping[str, Mapping[str, Any]] | None = None,
) -> PETMAD:
    """Return a model with the same predictions as the ``pet`` model of a checkpoint.

    Like ``mtt export``, this uses the best model of the training. Older checkpoints are upgraded by metatrain, and
    low-rank updates are merged. From a checkpoint with uncertainties (``llpr``), only the wrapped model is converted.

    One difference is intended: ``non_conservative_stress`` of a structure without a volume is NaN here, 0 in ``pet``.

    :param checkpoint: result of :func:`~electrain.files.checkpoints.read_checkpoint`, upgraded in place.
    :param axis: energy axis of ``mtt::dos``; default: that of the target's labels, or, with 4806 channels, that of the
        published PET-MAD-DOS.
    :param spectrum_weights: weights of networks that read the band gap (``mtt::bandgap``) or the Fermi level
        (``mtt::efermi``) from the density of states per atom, see :func:`load_spectrum_weights`. The Fermi level must
        be in eV above the first channel, as in the published network.
    :raises ValueError: for a checkpoint of another architecture, or a model that has no equivalent here, with the
        reason.
    """
    peer = _load_peer(pet_checkpoint(checkpoint))
    _check_targets(peer.dataset_info)
    info = peer.dataset_info
    targets = {name: _as_in_data_sets(name, target) for name, target in info.targets.items()}
    for name in spectrum_weights or {}:
        scalar = {"quantity": "", "unit": "", "type": "scalar", "sample_kind": "system", "num_subtargets": 1}
        targets[name] = _as_in_data_sets(name, get_generic_target_info(name, scalar))
    hypers: Any = {
        "energy_grid": _energy_grid(info, axis),
        "fixed_axes": {},
        "band_gap_from": "density_of_states",
        **network_options(peer.hypers),
        "zbl": bool(peer.hypers["zbl"]),
        "long_range": {name: peer.hypers["long_range"][name] for name in LongRangeHypers.__annotations__},
    }
    dtype = next(peer.backend.parameters()).dtype
    model = PETMAD(hypers, DatasetInfo(info.length_unit, info.atomic_types, targets)).to(dtype)

    merge_peer_low_rank(peer.backend)
    model.network.load_state_dict(network_state(peer.backend))
    if model.long_range is not None:
        model.long_range.featurizer.load_state_dict(peer.long_range_featurizer.state_dict())
    # All their baselines and scales, except those of the density of states, have a counterpart in ours.
    for own, theirs in zip([*model.additive_models, model.scaler], [*peer.additive_models, peer.scaler], strict=True):
        known = own.state_dict()
        own.load_state_dict({name: value for name, value in theirs.state_dict().items() if name in known})
    model.additive_models[0].sync_tensor_maps()  # type: ignore[operator]
    model.scaler.sync_tensor_maps()
    if DENSITY_OF_STATES in targets:
        _take_in_scales(model.network.heads[DENSITY_OF_STATES], peer)
        _take_over_baseline(model, peer)
    for name, weights in (spectrum_weights or {}).items():
        load_spectrum_weights(model.spectrum_heads[name], weights)
        if name == FERMI_LEVEL:
            with torch.no_grad():
                model.spectrum_heads[name].last.bias.add_(hypers["energy_grid"]["start"])  # type: ignore
    model.metadata = merge_metadata(model.metadata, peer.metadata)
    return model


def pet_checkpoint(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the checkpoint of a ``pet`` model, which may be inside a checkpoint of metatrain's ``llpr``.

    :raises ValueError: for a checkpoint of another architecture.
    """
    name = checkpoint.get("architecture_name")
    if name == "llpr":
        checkpoint = checkpoint.get("wrapped_model_checkpoint", {})
        name = checkpoint.get("architecture_name")
    if name == "pet_mad":
        raise ValueError("this is already a checkpoint of `pet_mad`; there is nothing to convert")
    if name != "pet":
        raise ValueError(f"expected a checkpoint of metatrain's architecture `pet`, got {name!r}")
    data = checkpoint.get("model_data", {})
    missing = [key for key in ("model_hypers", "dataset_info") if key not in data] if data else ["model_data"]
    missing += [key for key in ("model_state_dict", "best_model_state_dict") if key not in checkpoint]
    if missing:
        raise ValueError(f"the checkpoint of `pet` lacks {', '.join(missing)}")
    return checkpoint


def _load_peer(checkpoint: dict[str, Any]) -> Any:
    try:
        return model_from_checkpoint(checkpoint, context="export").eval()
    except Exception as error:  # metatrain and torch raise all kinds of errors for an unknown model
        reasons = [str(e).strip().partition("\n")[0] for e in (error, error.__cause__) if e is not None]
        raise ValueError(f"metatrain cannot load the model: {': '.join(reasons)}") from error


def _check_targets(info: DatasetInfo) -> None:
    for name in info.targets:
        if name in (BAND_GAP, FERMI_LEVEL):
            raise ValueError(
                f"the model predicts {name!r} as a sum over atoms; here it is read from the density of states, or a "
                "mean over atoms"
            )
        if base_quantity(name) == DIRECT_STRESS and name != DIRECT_STRESS:
            raise ValueError(
                f"metatrain's `pet` divides only {DIRECT_STRESS!r} by the volume, not {name!r}; here both are divided, "
                "so predictions would differ"
            )


def _energy_grid(info: DatasetInfo, axis: AxisOptions) -> dict[str, Any] | None:
    """Return the hyperparameter for the energy axis."""
    if DENSITY_OF_STATES not in info.targets:
        if axis != _NO_AXIS:
            raise ValueError(
                f"an energy axis was given, but the model has no {DENSITY_OF_STATES!r}; its targets: "
                f"{', '.join(info.targets)}"
            )
        return None
    properties = info.targets[DENSITY_OF_STATES].layout.block(0).properties
    size = len(properties)
    known = labels_to_grid(properties)
    max_shift, smearing = 0, None
    published = PET_MAD_DOS_AXIS
    if known is None and size == published.grid.size and axis.start is None and axis.step is None:
        known, max_shift, smearing = published.grid, published.max_shift, published.smearing
    start = axis.start if known is None or axis.start is not None else known.start
    step = axis.step if known is None or axis.step is not None else known.step
    if start is None or step is None:
        raise ValueError(
            f"the checkpoint does not contain the energies of the {size} channels of {DENSITY_OF_STATES!r}; give the "
            "energy of the first channel (--energy-start) and the spacing of the channels (--energy-step), in eV"
        )
    grid = EnergyGrid(start, step, size)
    if axis.max_shift is not None:
        max_shift = round(axis.max_shift / grid.step)
    if not 0 <= max_shift < size:
        raise ValueError(f"expected a largest shift from 0 eV to the length of the axis, {grid}, got {axis.max_shift}")
    settings: dict[str, Any] = {"start": grid.start, "step": grid.step, "size": grid.size, "max_shift": max_shift}
    return settings if smearing is None else {**settings, "smearing": smearing}


def _as_in_data_sets(name: str, info: TargetInfo) -> TargetInfo:
    """Describe the electronic quantities as prepared data sets do, so that the model can be fine-tuned to them."""
    if name not in (DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL):
        return info
    quantity = QUANTITIES[name]
    return TargetInfo(info.layout, "", quantity.metatomic_unit, quantity.description)


def _take_in_scales(head: Any, peer: Any) -> None:
    """Multiply the last linear map of the density of states by the peer's scales, because here it is not scaled."""
    assert isinstance(head, PooledHead)
    # one row, because the target is per structure
    scales = peer.scaler.model.scales[DENSITY_OF_STATES].block().values.double().reshape(-1)
    with torch.no_grad():
        for parameter in (head.last.weight, head.last.bias, head.last_edge_bias):
            factors = scales.reshape([-1] + [1] * (parameter.dim() - 1))
            parameter.copy_((parameter.double() * factors).to(parameter.dtype))


def _take_over_baseline(model: PETMAD, peer: Any) -> None:
    """Add the spectra of elements that the peer adds to its density of states, if there are any."""
    block = peer.additive_models[0].model.weights[DENSITY_OF_STATES].block()
    if bool((block.values != 0).any()):
        rows = [int(row) for row in block.samples.column("center_type")]
        order = [rows.index(number) for number in model.atomic_types]
        spectra = model.add_element_spectra()
        spectra.copy_(block.values[order].to(spectra.dtype))


def load_spectrum_weights(head: Any, weights: Mapping[str, Any]) -> None:
    """Load a band gap or Fermi level network that was trained elsewhere, with four convolutions and two linear layers.

    Names do not matter; weights and biases are assigned in order.

    :param weights: state dictionary of a network with the shape of
        :class:`~electrain.nn.spectrum_convolution.SpectrumConvolution`.
    :raises ValueError: if number or shapes of the weights do not match.
    """
    assert isinstance(head, SpectrumConvolution)
    own = head.state_dict()
    tensors = [value for value in weights.values() if isinstance(value, torch.Tensor)]
    given = {
        "weights": [value for value in tensors if value.dim() > 1],
        "biases": [value for value in tensors if value.dim() == 1],
    }
    state = {}
    for kind, found in given.items():
        expected = {name: value for name, value in own.items() if name.endswith("weight") == (kind == "weights")}
        shapes = [tuple(value.shape) for value in expected.values()]
        if [tuple(value.shape) for value in found] != shapes:
            raise ValueError(
                f"expected a network of 4 convolutions and 2 linear layers with {kind} of shapes "
                f"{', '.join(map(str, shapes))}, got {', '.join(str(tuple(value.shape)) for value in found) or 'none'}"
            )
        state.update(dict(zip(expected, found, strict=True)))
    head.load_state_dict(state)
