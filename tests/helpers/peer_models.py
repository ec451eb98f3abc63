"""Models of `metatrain.pet` with every kind of target, random weights, baselines and scales."""

import copy

import metatensor.torch as mts
import numpy as np
import torch
from metatrain.pet.model import PET
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info
from omegaconf import OmegaConf
from peer import ELEMENTS, spread_weights

from electrain.interface.quantities import DENSITY_OF_STATES

TINY = {
    "d_pet": 8,
    "d_node": 8,
    "d_head": 8,
    "d_feedforward": 8,
    "num_heads": 2,
    "cutoff": 3.0,
    "num_attention_layers": 1,
}
TENSORS = {
    "mtt::charge": ("scalar", "atom", 1, "e"),
    "mtt::several": ("scalar", "system", 3, ""),
    "mtt::vector": ({"cartesian": {"rank": 1}}, "system", 2, ""),
    "mtt::tensor": ({"cartesian": {"rank": 2}}, "atom", 1, ""),
    "mtt::spherical": (
        {"spherical": {"irreps": [{"o3_lambda": 0, "o3_sigma": 1}, {"o3_lambda": 2, "o3_sigma": 1}]}},
        "system",
        2,
        "",
    ),
    "non_conservative_force": ({"cartesian": {"rank": 1}}, "atom", 1, "eV/A"),
    "non_conservative_stress": ({"cartesian": {"rank": 2}}, "system", 1, "eV/A^3"),
}
ALL_KINDS = ("energy", "energy/pbe", *TENSORS, DENSITY_OF_STATES)


def target_info(name: str, num_channels: int = 30) -> TargetInfo:
    if name.startswith("energy"):
        options = OmegaConf.create({"quantity": "energy", "unit": "eV", "description": ""})
        return get_energy_target_info(name, options, add_position_gradients=True, add_strain_gradients=True)
    kind, sample_kind, number, unit = TENSORS.get(name, ("scalar", "system", num_channels, ""))
    options = {"quantity": "", "unit": unit, "type": kind, "sample_kind": sample_kind, "num_subtargets": number}
    return get_generic_target_info(name, OmegaConf.create({**options, "description": ""}))


def make_peer_model(names: tuple[str, ...] = ALL_KINDS, num_channels: int = 30, **options) -> PET:
    """A tiny `metatrain.pet` in float64 with random weights, baselines and scales."""
    torch.manual_seed(4)
    hypers = {**copy.deepcopy(get_default_hypers("pet", base_precision=64)["model"]), **TINY, **options}
    infos = {name: target_info(name, num_channels) for name in names}
    peer = PET(hypers, DatasetInfo("angstrom", ELEMENTS, infos)).to(torch.float64)
    spread_weights(peer)
    baselines = peer.additive_models[0]
    for name in baselines.model.weights:
        if name != DENSITY_OF_STATES:
            fill(baselines, f"{name}_composition_buffer", lambda values: torch.randn_like(values))
    for name in infos:
        # metatrain keeps the products of two scales beside their factors
        for part in ("", "_per_target", "_per_property"):
            fill(peer.scaler, f"{name}{part}_scaler_buffer", lambda values: 1.0 + torch.rand_like(values))
    baselines.sync_tensor_maps()
    peer.scaler.sync_tensor_maps()
    return peer.eval()


def fill(module: torch.nn.Module, buffer: str, values) -> None:
    """Put other numbers into a TensorMap that is kept as a buffer of bytes."""
    stored = mts.load_buffer(getattr(module, buffer))
    for block in stored.blocks():
        block.values[:] = values(block.values)
    setattr(module, buffer, mts.save_buffer(stored))


def published_network(seed: int, num_features: int = 1024) -> dict[str, torch.Tensor]:
    """Random weights of a network for band gaps or Fermi levels, under the names that the authors gave them."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "conv1": (64, 1, 32),
        "conv2": (64, 64, 16),
        "conv3": (64, 64, 8),
        "conv4": (64, 64, 8),
        "fc1": (1024, num_features),
        "fc2": (1, 1024),
    }
    state = {}
    for name, shape in shapes.items():
        size = float(np.prod(shape[1:])) ** -0.5
        state[f"{name}.weight"] = size * torch.randn(shape, generator=generator, dtype=torch.float64)
        state[f"{name}.bias"] = size * torch.randn(shape[0], generator=generator, dtype=torch.float64)
    return state
