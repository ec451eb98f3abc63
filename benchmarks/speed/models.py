"""``metatrain.pet`` and ``pet_mad`` with the same weights."""

import copy
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from metatomic.torch import AtomisticModel, System, load_atomistic_model, systems_to_torch
from metatrain.pet.model import PET
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from structures import ELEMENTS

from electrain.architectures.pet_mad.from_pet.network import network_options, network_state
from electrain.architectures.pet_mad.model import PETMAD
from electrain.interface.quantities import DENSITY_OF_STATES
from electrain.spectra.grid import EnergyGrid

PEER, OURS = "metatrain.pet", "pet_mad"
SIDES = (PEER, OURS)
MAX_SHIFT = 200
GRID = EnergyGrid(-159.65, 0.05, 4806)
# The published PET-MAD-DOS network; the number of neighbors stays as it is within the cutoff.
PUBLISHED = {
    "cutoff": 4.5,
    "cutoff_width": 0.2,
    "cutoff_function": "Cosine",
    "num_neighbors_adaptive": None,
    "featurizer_type": "residual",
    "num_gnn_layers": 2,
    "num_attention_layers": 2,
    "d_pet": 256,
    "d_node": 256,
    "d_feedforward": 512,
    "d_head": 512,
    "num_heads": 8,
    "attention_temperature": 1.0,
    "normalization": "LayerNorm",
    "activation": "SiLU",
    "transformer_type": "PostLN",
}
SMALL = {**PUBLISHED, "d_pet": 16, "d_node": 16, "d_feedforward": 16, "d_head": 16, "num_heads": 2}


def target_infos(names: tuple[str, ...], forces: bool) -> dict[str, TargetInfo]:
    """``energy`` (with forces, on request) and ``mtt::dos``."""
    energy = {"quantity": "energy", "unit": "eV", "description": ""}
    spectrum = {"quantity": "", "unit": "", "type": "scalar", "sample_kind": "system", "num_subtargets": GRID.size}
    found = {
        "energy": get_energy_target_info("energy", energy, add_position_gradients=forces),
        DENSITY_OF_STATES: get_generic_target_info(DENSITY_OF_STATES, spectrum),
    }
    return {name: found[name] for name in names}


def make_models(names: tuple[str, ...], *, small: bool, forces: bool = False) -> dict[str, Any]:
    """Both models in float32 for the same targets; ours has the peer's random weights."""
    torch.manual_seed(0)
    network = SMALL if small else PUBLISHED
    info = DatasetInfo("angstrom", ELEMENTS, target_infos(names, forces))
    peer = PET({**get_default_hypers("pet")["model"], **network}, copy.deepcopy(info))
    grid = {"start": GRID.start, "step": GRID.step, "size": GRID.size, "max_shift": MAX_SHIFT}
    hypers = {**get_default_hypers("pet_mad")["model"], "energy_grid": grid}
    hypers.update(network_options(peer.hypers))
    ours = PETMAD(hypers, info)
    ours.network.load_state_dict(network_state(peer.backend))
    return {PEER: peer.to(torch.float32), OURS: ours.to(torch.float32)}


@cache
def exported(names: tuple[str, ...], small: bool, side: str, device: str) -> AtomisticModel:
    """One of the models as engines load it: TorchScript, from a file."""
    model = make_models(names, small=small)[side]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.pt")
        copy.deepcopy(model).eval().export().save(path)
        return load_atomistic_model(path).to(device)


def to_systems(structures: list[Atoms], model: Any, device: str, dtype: torch.dtype = torch.float32) -> list[System]:
    """Systems with the neighbor list that both models ask for."""
    lists = model.requested_neighbor_lists()
    systems = systems_to_torch(structures, dtype=torch.float64)
    return [get_system_with_neighbor_lists(system, lists).to(dtype).to(device) for system in systems]
