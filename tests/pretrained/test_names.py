"""Which models have names, and which files the names stand for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import bulk

import electrain
from electrain import ElectronicStructureCalculator, ElectronicStructureModel
from electrain.calculators import with_hot_electrons
from electrain.files.models import ModelFileError
from electrain.pretrained import known_models, locate
from electrain.pretrained.facts import facts_of

PUBLISHED = ["pet-mad-dos", "pet-mad"]


def test_the_list(small):
    assert list(known_models()) == ["electrain-small", *PUBLISHED]
    assert locate(None) == ("electrain-small", small / "model.pt", True)
    assert locate("electrain-small", ".ckpt").path.is_relative_to(small.parent / "cache")


def test_further_embedded_models_follow(small):
    (small.parent / "a-larger-one").mkdir()
    (small.parent / "a-larger-one" / "model.pt").touch()
    assert list(known_models()) == ["electrain-small", "a-larger-one", *PUBLISHED]
    assert locate(None).name == "electrain-small"


def test_every_published_model_has_a_card():
    """In the real folder: this is what the wheel contains."""
    for name in PUBLISHED:
        assert known_models()[name].card().startswith(f"# {name}\n")


def test_facts(small):
    facts = facts_of(known_models()["electrain-small"])
    assert facts.predicts == ["density of states", "band gap", "Fermi level", "energy"]
    assert (facts.num_elements, facts.uncertain, facts.path) == (5, [], small / "model.pt")
    facts = facts_of(known_models()["pet-mad-dos"])
    assert (facts.predicts, facts.num_elements, facts.path) == (
        ["density of states", "band gap", "Fermi level"],
        85,
        None,
    )


def test_uncertainties_are_a_fact(small, uncertain_file):
    (small / "model.pt").write_bytes(uncertain_file.read_bytes())
    assert facts_of(known_models()["electrain-small"]).uncertain == ["density of states", "band gap", "Fermi level"]


def test_a_file_of_the_same_name(small, tmp_path, monkeypatch, dos_only_file):
    """The name wins; the file is still reached as ./NAME."""
    monkeypatch.chdir(tmp_path)
    Path("electrain-small").write_bytes(dos_only_file.read_bytes())
    assert locate("electrain-small").path == small / "model.pt"
    assert locate("./electrain-small") == ("./electrain-small", Path("electrain-small"), False)
    assert not ElectronicStructureModel("./electrain-small", "cpu").predicts_fermi_level


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "electrain-smal",
            "there is no model with the name 'electrain-smal', and no such file; known names: electrain",
        ),
        ("pet-mad-dos-v1.0", "there is no model with the name 'pet-mad-dos-v1.0', and no such file; known names"),
        ("electrain-small.pt", "the model file electrain-small.pt does not exist"),
        ("elsewhere/electrain-small", "the model file elsewhere/electrain-small does not exist"),
        (Path("somewhere.ckpt"), "the model file somewhere.ckpt does not exist"),
    ],
)
def test_names_that_do_not_exist(small, model, message):
    for use in (locate, ElectronicStructureModel, ElectronicStructureCalculator):
        with pytest.raises(FileNotFoundError, match=message):
            use(model)
    with pytest.raises(FileNotFoundError, match=message):
        with_hot_electrons(model, 1000.0)


def test_an_installation_without_a_model(nothing_embedded):
    message = r"no model was given, and this installation of electrain has none of its own \(electrain-small\);"
    for use in (locate, ElectronicStructureModel, ElectronicStructureCalculator):
        with pytest.raises(FileNotFoundError, match=message):
            use()
    with pytest.raises(FileNotFoundError, match=r"no model with the name 'electrain-small'.*: pet-mad-dos, pet-mad"):
        locate("electrain-small")


def test_an_incomplete_installation(small):
    model = known_models()["electrain-small"]
    for name, use in (("model.ckpt", lambda: model.file(".ckpt")), ("card.md", model.card)):
        (small / name).unlink()
        with pytest.raises(FileNotFoundError, match=rf"{name} of the model electrain-small is missing; install"):
            use()


def test_in_python(small):
    """Without an argument and with the name: the embedded model, for predictions and in ASE."""
    expected = ElectronicStructureModel(small / "model.pt", "cpu").predict(bulk("Si")).band_gap
    model = ElectronicStructureModel(device="cpu")
    assert model.name == "electrain-small"
    assert model.predict(bulk("Si")).band_gap == expected
    assert ElectronicStructureModel("electrain-small").name == "electrain-small"
    for arguments in ((), ("electrain-small",)):
        assert ElectronicStructureCalculator(*arguments, device="cpu").todict()["model"] == "electrain-small"
    assert with_hot_electrons("electrain-small", 1000.0).metadata().extra["electronic_temperature_K"]


def test_a_damaged_file(small):
    content = bytearray((small / "model.pt").read_bytes())
    content[len(content) // 2] ^= 255
    (small / "model.pt").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model.pt is damaged: the checksum of"):
        ElectronicStructureModel()


def test_names_cost_nothing():
    """A command that only needs the list does not wait for torch or for huggingface_hub."""
    slow = "{'torch', 'huggingface_hub'}"
    program = f"import sys, electrain.pretrained as p; p.known_models(); print({slow} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(Path(electrain.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
