"""Targets as options files describe them."""

from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info
from omegaconf import OmegaConf

FORCE, STRESS = "non_conservative_force", "non_conservative_stress"


def cartesian(name, rank, unit, sample_kind):
    options = {
        "quantity": "",
        "unit": unit,
        "type": {"cartesian": {"rank": rank}},
        "sample_kind": sample_kind,
        "num_subtargets": 1,
        "description": "",
    }
    return get_generic_target_info(name, OmegaConf.create(options))


def energy(name, gradients=True):
    options = OmegaConf.create({"quantity": "energy", "unit": "eV", "description": ""})
    return get_energy_target_info(name, options, add_position_gradients=gradients, add_strain_gradients=gradients)
