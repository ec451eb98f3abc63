"""Small models with random weights and all electronic-structure targets."""

from typing import Any

import torch
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info

GRID = {"start": -30.0, "step": 0.05, "size": 800, "max_shift": 100, "smearing": 0.3, "reference": "Fermi level"}
ELEMENTS = [1, 6, 8, 13, 14]
ALL_TARGETS = ["energy", "mtt::dos", "mtt::bandgap", "mtt::efermi"]


def make_model(targets: list[str], dtype: torch.dtype) -> Any:
    """Build a model of pet_mad, ready to be evaluated or exported."""
    torch.manual_seed(0)
    hypers = get_default_hypers("pet_mad")["model"]
    widths = {"node_width": 16, "edge_width": 16, "feedforward_width": 16, "head_width": 16, "num_heads": 2}
    hypers.update(energy_grid=GRID, num_attention_layers=1, **widths)
    infos = {name: target_info(name) for name in targets}
    model = import_architecture("pet_mad").__model__(hypers, DatasetInfo("angstrom", ELEMENTS, infos))
    if "mtt::bandgap" in targets:  # so that the gap of random weights is not cut off at zero
        torch.nn.init.constant_(model.spectrum_heads["mtt::bandgap"].last.bias, 1.5)
    return model.to(dtype).eval()


def target_info(name: str) -> Any:
    if name == "energy":
        return get_energy_target_info(name, {"quantity": "energy", "unit": "eV"})
    size = GRID["size"] if name == "mtt::dos" else 1
    settings = {"quantity": "", "unit": "", "type": "scalar", "num_subtargets": size, "sample_kind": "system"}
    return get_generic_target_info(name, settings)
