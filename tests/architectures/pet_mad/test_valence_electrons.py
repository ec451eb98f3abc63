"""Valence electrons of the elements: from the options into checkpoints and exported models."""

import json

import torch
from omegaconf import OmegaConf
from tiny_models import ALL_TARGETS, GRID_HYPERS, dataset_info, make_model

from electrain.architectures.pet_mad.model import PETMAD
from electrain.files.models import valence_electrons_of

ELECTRONS = {"H": 1.0, "Si": 4.0}


def with_electrons(electrons):
    return {**GRID_HYPERS, "valence_electrons": electrons}


def test_exported_models_know_them(tmp_path):
    model = make_model(energy_grid=with_electrons(ELECTRONS)).eval()
    torch.save(model.get_checkpoint(), tmp_path / "model.ckpt")
    checkpoint = torch.load(tmp_path / "model.ckpt", weights_only=False)
    exported = PETMAD.load_checkpoint(checkpoint, "export").eval().export()
    assert valence_electrons_of(exported) == ELECTRONS
    assert json.loads(exported.metadata().extra["energy_grid"])["start"] == GRID_HYPERS["start"]
    assert valence_electrons_of(make_model().eval().export()) == {}


def test_other_data_changes_its_own_elements():
    model = make_model(energy_grid=with_electrons(ELECTRONS))
    options = OmegaConf.create({"energy_grid": with_electrons({"Si": 12.0, "O": 6.0})})
    model = model.restart(dataset_info(ALL_TARGETS), options)
    assert model.hypers["energy_grid"]["valence_electrons"] == {"H": 1.0, "O": 6.0, "Si": 12.0}
    model = model.restart(dataset_info(ALL_TARGETS), {"energy_grid": GRID_HYPERS})
    assert model.hypers["energy_grid"]["valence_electrons"]["H"] == 1.0


def test_other_valence_is_noticed():
    """By more than half an electron, as with other pseudopotentials."""
    model = make_model(energy_grid=with_electrons({"H": 1.0, "O": 6.0, "Si": 4.0}))
    options = {"energy_grid": with_electrons({"O": 6.2, "Si": 12.0})}
    model.restart(model.dataset_info, options)
    assert model.other_valence == ["Si"]
    model.restart(model.dataset_info, options)
    assert model.other_valence == []
