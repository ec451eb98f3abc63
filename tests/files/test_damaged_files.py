"""Files with flipped bits, which torch loads without a word."""

import re

import numpy as np
import pytest
import torch
from archives import flip
from ase.build import bulk
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from typer.testing import CliRunner
from ways_of_opening import WAYS

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.calculators import (
    ModelFileError,
    load_model,
)
from electrain.cli import app
from electrain.files.checkpoints import CheckpointError, read_checkpoint


@pytest.fixture
def damaged(model_file, tmp_path):
    """A model in which one weight is another one."""
    return flip(model_file, "data/81", tmp_path / "model.pt")


@pytest.fixture
def checkpoint(reference_model, tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save(reference_model.get_checkpoint(), path)
    return path


def test_torch_notices_nothing(damaged, model):
    """Otherwise there would be no need for our own check."""
    request = {"mtt::dos": ModelOutput(sample_kind="system")}
    found = MetatomicCalculator(damaged).run_model(bulk("Si"), request)["mtt::dos"].block().values[0].numpy()
    assert not np.allclose(found, model.predict(bulk("Si")).density_of_states, rtol=1.0)


@pytest.mark.parametrize("way", WAYS)
def test_models(damaged, way):
    text = f"{damaged} is damaged: the checksum of model/data/81 inside it is wrong; copy or download the file again"
    with pytest.raises(ModelFileError, match=re.escape(text)):
        WAYS[way](damaged)


@pytest.mark.parametrize("entry", ["code/__torch__/metatomic/torch/model.py", "data.pkl", "extra/extensions"])
def test_every_kind_of_content(model_file, tmp_path, entry):
    with pytest.raises(ModelFileError, match=rf"is damaged: the checksum of model/{entry}"):
        load_model(flip(model_file, entry, tmp_path / "model.pt"))


@pytest.mark.parametrize("command", [["dos"], ["thermo"], ["hot", "-T", "1000", "-o", "hot.pt"]])
def test_commands(damaged, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    bulk("Si").write("si.xyz")
    names = ["model.pt"] if command[0] == "hot" else ["si.xyz", "-m", "model.pt"]
    result = CliRunner().invoke(app, [command[0], *names, *command[1:]])
    assert result.exit_code == 1 and "error: model.pt is damaged: " in result.output
    assert not (tmp_path / "hot.pt").exists()


def test_checkpoints(checkpoint, tmp_path):
    path = flip(checkpoint, "data/81", tmp_path / "damaged.ckpt")
    text = re.escape(f"{path} is damaged: the checksum of model/data/81 inside it is wrong")
    with pytest.raises(CheckpointError, match=text):
        read_checkpoint(path)
    with pytest.raises(CheckpointError, match=text):  # for fine-tuning
        checkpoint_of("pet_mad")(str(path))
    result = CliRunner().invoke(app, ["convert", str(path), str(tmp_path / "out.ckpt")])
    assert result.exit_code == 1 and re.search(text, result.output)


def test_files_without_checksums(tmp_path):
    """torch writes zeros if it is told not to compute them."""
    computes = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"weights": torch.arange(1000.0)}, tmp_path / "model.ckpt")
    finally:
        torch.serialization.set_crc32_options(computes)
    assert read_checkpoint(tmp_path / "model.ckpt")["weights"][999] == 999.0
