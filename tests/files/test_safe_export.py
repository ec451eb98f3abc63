"""The safe way to use models of others: a checkpoint is read as data, and exported anew."""

import os

import numpy as np
import pytest
import torch
from ase.build import bulk
from peer_models import make_peer_model
from small_models import make_uncertain_model
from typer.testing import CliRunner

from electrain.calculators import ElectronicStructureModel
from electrain.cli import app
from electrain.files.models import load_any_model


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def convert(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture
def checkpoint(reference_model, tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save(reference_model.get_checkpoint(), path)
    return path


def test_ours(checkpoint, model, tmp_path):
    result = convert(checkpoint, tmp_path / "safe.pt")
    assert result.exit_code == 0, result.output
    assert "target          mtt::dos" in result.output and "electrain dos STRUCTURE -m" in result.output
    assert_same(ElectronicStructureModel(tmp_path / "safe.pt", device="cpu"), model)
    # a checkpoint that can be opened in any way
    assert convert(checkpoint, tmp_path / "safe.ckpt").exit_code == 0
    assert convert(tmp_path / "safe.ckpt", tmp_path / "again.pt").exit_code == 0
    assert_same(ElectronicStructureModel(tmp_path / "again.pt", device="cpu"), model)


def assert_same(one, other):
    first, second = (model.predict(bulk("Si")) for model in (one, other))
    np.testing.assert_allclose(first.density_of_states, second.density_of_states, rtol=1e-12, atol=1e-12)
    assert (first.band_gap, first.fermi_level) == pytest.approx((second.band_gap, second.fermi_level), rel=1e-12)


def test_uncertainties_are_kept(tmp_path, uncertain_file):
    torch.save(make_uncertain_model().get_checkpoint(), tmp_path / "model.ckpt")
    result = convert(tmp_path / "model.ckpt", tmp_path / "safe.pt")
    assert result.exit_code == 0, result.output
    assert "uncertainties   calibrated, kept" in result.output
    found, expected = (
        ElectronicStructureModel(path, device="cpu").predict(bulk("Si"))
        for path in (tmp_path / "safe.pt", uncertain_file)
    )
    for one, other in zip(found.uncertainty, expected.uncertainty, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_those_of_pet(tmp_path):
    torch.save(make_peer_model(("energy",)).get_checkpoint(), tmp_path / "pet.ckpt")
    result = convert(tmp_path / "pet.ckpt", tmp_path / "safe.pt")
    assert result.exit_code == 0, result.output
    assert "energy" in load_any_model(tmp_path / "safe.pt").capabilities().outputs


PLACES = {
    "metadata": lambda checkpoint, call: checkpoint.update(metadata=call),
    "hyperparameters": lambda checkpoint, call: checkpoint["model_data"]["model_hypers"].update(cutoff=call),
    "weights": lambda checkpoint, call: checkpoint["best_model_state_dict"].update(weight=call),
    "elements": lambda checkpoint, call: setattr(checkpoint["model_data"]["dataset_info"], "extra_data", {"a": call}),
    "state of the trainer": lambda checkpoint, call: checkpoint.update(optimizer_state_dict=call),
}


@pytest.mark.parametrize("ending", [".pt", ".ckpt"])
@pytest.mark.parametrize("place", PLACES)
def test_hostile(checkpoint, tmp_path, place, ending):
    """Nothing runs, and nothing is written."""
    trace = tmp_path / "trace"
    content = torch.load(checkpoint, weights_only=False)
    PLACES[place](content, Call(os.mkdir, str(trace)))
    torch.save(content, checkpoint)
    result = convert(checkpoint, tmp_path / f"out{ending}")
    assert result.exit_code == 1 and "it references posix.mkdir" in result.output
    assert not trace.exists() and sorted(path.name for path in tmp_path.iterdir()) == ["model.ckpt"]
    torch.load(checkpoint, weights_only=False)  # as `mtt export` does: it would have run
    assert trace.exists()


def test_inside_of_uncertainties(tmp_path):
    content = make_uncertain_model().get_checkpoint()
    content["wrapped_model_checkpoint"]["metadata"] = Call(os.mkdir, str(tmp_path / "trace"))
    torch.save(content, tmp_path / "model.ckpt")
    result = convert(tmp_path / "model.ckpt", tmp_path / "out.pt")
    assert result.exit_code == 1 and "it references posix.mkdir" in result.output
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["mace", "gap", "experimental.nanopet", "os", None, "llpr"])
def test_other_architectures_are_not_imported(tmp_path, name):
    """Some of metatrain's open files that their hyperparameters name."""
    torch.save({"architecture_name": name}, tmp_path / "alone.ckpt")
    torch.save(
        {"architecture_name": "llpr", "wrapped_model_checkpoint": {"architecture_name": name}}, tmp_path / "in.ckpt"
    )
    for path in ("alone.ckpt", "in.ckpt"):
        result = convert(tmp_path / path, tmp_path / "out.pt")
        assert result.exit_code == 1 and "expected a checkpoint of metatrain's architecture `pet`" in result.output


def test_incomplete(reference_model, tmp_path):
    content = reference_model.get_checkpoint()
    for key in ("model_data", "best_model_state_dict", "model_ckpt_version"):
        torch.save({name: value for name, value in content.items() if name != key}, tmp_path / "in.ckpt")
        result = convert(tmp_path / "in.ckpt", tmp_path / "out.pt")
        assert result.exit_code == 1 and "in.ckpt cannot be converted: the model cannot be rebuilt: " in result.output
    torch.save({**content, "model_ckpt_version": 99}, tmp_path / "in.ckpt")
    assert "it was written by a newer version of" in convert(tmp_path / "in.ckpt", tmp_path / "out.pt").output


def test_wrong_options(checkpoint, tmp_path):
    result = convert(checkpoint, tmp_path / "out.pt", "--energy-start", "-10")
    assert result.exit_code == 1 and "knows its energy axis and its networks; these options are for" in result.output
    result = convert(checkpoint, tmp_path / "out.onnx")
    assert result.exit_code == 2 and "expected a name that ends with .ckpt or .pt for the result" in result.output
