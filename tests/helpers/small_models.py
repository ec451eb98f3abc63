"""Small models with random weights and all electronic-structure targets."""

from typing import Any

import torch
from metatrain.llpr import LLPRUncertaintyModel
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info

from electrain.interface.quantities import QUANTITIES

GRID = {"start": -30.0, "step": 0.05, "size": 800, "max_shift": 100, "smearing": 0.3, "reference": "Fermi level"}
ELEMENTS = [1, 6, 8, 13, 14]
ALL_TARGETS = ["energy", "mtt::dos", "mtt::bandgap", "mtt::efermi"]
NUM_MEMBERS = 3


def make_model(targets: list[str], dtype: torch.dtype, **options: Any) -> Any:
    """Build a model of pet_mad, ready to be evaluated or exported; options are further hyperparameters."""
    torch.manual_seed(0)
    hypers = get_default_hypers("pet_mad")["model"]
    widths = {"node_width": 16, "edge_width": 16, "feedforward_width": 16, "head_width": 16, "num_heads": 2}
    hypers.update({"energy_grid": GRID, "num_attention_layers": 1, **widths, **options})
    infos = {name: target_info(name) for name in targets}
    model = import_architecture("pet_mad").__model__(hypers, DatasetInfo("angstrom", ELEMENTS, infos))
    if "mtt::bandgap" in targets:  # so that the gap of random weights is not cut off at zero
        torch.nn.init.constant_(model.spectrum_heads["mtt::bandgap"].last.bias, 1.5)
    return model.to(dtype).eval()


def make_uncertain_model() -> Any:
    """Build a model of the electronic structure with made-up deviations instead of calibrated ones."""
    targets = ["mtt::dos", "mtt::bandgap", "mtt::efermi"]
    base = make_model(targets, torch.float64)
    torch.nn.init.constant_(base.network.heads["mtt::dos"].last.bias, 1.0)
    model = LLPRUncertaintyModel(
        {"num_ensemble_members": {"mtt::dos": NUM_MEMBERS}},
        DatasetInfo("angstrom", ELEMENTS, {name: target_info(name) for name in targets}),
    )
    model.set_wrapped_model(base)
    torch.manual_seed(0)
    layer = model.llpr_ensemble_layers["mtt::dos"]
    channels = torch.arange(GRID["size"])
    with torch.no_grad():
        layer.amplitudes.weight.normal_(0.0, 0.02)
        for mode in layer.modes[:8]:
            mode.copy_(torch.exp(-0.5 * ((channels - 800 * torch.rand(1)) / 50) ** 2))
        model.get_buffer("cholesky_mtt::aux::dos_uncertainty").copy_(torch.eye(model.ll_feat_size))
        model.get_buffer("multiplier_mtt::aux::dos_uncertainty").copy_(torch.linspace(0.1, 0.2, GRID["size"]))
    return model.to(torch.float64)


def target_info(name: str) -> Any:
    if name == "energy":
        return get_energy_target_info(name, {"quantity": "energy", "unit": "eV"})
    size = GRID["size"] if name == "mtt::dos" else 1
    unit = QUANTITIES[name].metatomic_unit
    settings = {"quantity": "", "unit": unit, "type": "scalar", "num_subtargets": size, "sample_kind": "system"}
    return get_generic_target_info(name, settings)
