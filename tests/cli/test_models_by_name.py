"""All commands with models known by name, and with the one that is used if none is given."""

import os
import re
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from metatrain.cli.train import train_model
from omegaconf import OmegaConf
from pretrained_fixtures import CARD
from typer.testing import CliRunner

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.cli import app
from electrain.files.checkpoints import read_checkpoint
from electrain.pretrained import locate

NOTE = "model: electrain-small, which comes with electrain (`electrain models electrain-small` describes it)\n"
NONE = "error: no model was given, and this installation of electrain has none of its own (electrain-small); expected "
# how each command takes a model
COMMANDS = {
    "dos": (["dos", "si.cif"], "-m"),
    "thermo": (["thermo", "si.cif"], "-m"),
    "evaluate": (["evaluate", "data", "-o", "report"], "-m"),
    "hot": (["hot", "-T", "5000", "-o", "hot.pt"], None),
}


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bulk("Si").write("si.cif")
    return tmp_path


def with_model(command, model):
    arguments, option = COMMANDS[command]
    return [*arguments, *([option] if option else []), model]


@pytest.mark.parametrize("command", ["dos", "thermo", "hot"])
def test_the_default(small, command):
    """The same as with its name and with its file; said in one line, away from the table."""
    default = run(*COMMANDS[command][0])
    assert default.exit_code == 0, default.output
    assert default.stderr == NOTE
    for model in ("electrain-small", small / "model.pt"):
        given = run(*with_model(command, model), *(["--overwrite"] if command == "hot" else []))
        assert (given.stdout, given.stderr) == (default.stdout, "")
    assert "Si2" in default.stdout or command == "hot"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_default(nothing_embedded, command):
    Path("data").mkdir()
    result = run(*COMMANDS[command][0])
    assert result.exit_code == 1
    assert result.stderr.startswith(NONE), result.stderr
    assert sorted(os.listdir()) == ["data", "si.cif"]


NAMES_THAT_DO_NOT_EXIST = {
    "pet-mad-doss": "there is no model with the name 'pet-mad-doss', and no such file; known names: electrain-small, ",
    "model.pt": "the model file model.pt does not exist",
    "./small": "the model file ./small does not exist",
}


@pytest.mark.parametrize("command", ["dos", "thermo", "hot", "convert", "prepare"])
@pytest.mark.parametrize("model", NAMES_THAT_DO_NOT_EXIST)
def test_names_that_do_not_exist(small, dataset, command, model):
    arguments = {"convert": ["convert", model, "out.pt"], "prepare": ["prepare", "f.xyz", "-o", "d", "--like", model]}
    before = sorted(os.listdir())
    result = run(*(arguments.get(command) or with_model(command, model)))
    assert result.exit_code == 1
    assert f"error: {NAMES_THAT_DO_NOT_EXIST[model]}" in result.stderr
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("command", ["dos", "thermo", "hot"])
def test_broken_files(small, command):
    """A file that was cut off, a checkpoint, and something else in place of the installed model."""
    file, before = small / "model.pt", sorted(os.listdir())
    for content, message in (
        (file.read_bytes()[:-1000], "or incomplete; expected"),
        ((small / "model.ckpt").read_bytes(), f"{file} is a checkpoint, not an exported model"),
        (b"nothing", f"{file} is not a model, or incomplete"),
    ):
        file.write_bytes(content)
        result = run(*COMMANDS[command][0])
        assert result.exit_code == 1
        assert message in result.stderr
        assert sorted(os.listdir()) == before


def test_an_element_that_the_model_does_not_know(small):
    bulk("Cu").write("cu.cif")
    result = run("dos", "cu.cif", "si.cif", "-o", "both.json")
    assert result.exit_code == 1
    assert "error: cu.cif: the model does not know Cu; it knows the elements H C O Al Si" in result.stderr
    assert "si.cif" in result.stdout
    result = run("thermo", "cu.cif", "-o", "cu.json")
    assert "error: cu.cif: the model does not know Cu" in result.stderr
    assert not Path("cu.json").exists()


def test_the_list(small):
    result = run("models")
    assert result.exit_code == 0, result.output
    head, own, dos, energies, _, last = result.stdout.splitlines()
    assert head.split() == ["name", "predicts", "elements", "size", "where"]
    size = f"{(small / 'model.pt').stat().st_size / 1e6:.1f} MB"
    facts = ["electrain-small", "density of states, band gap, Fermi level, energy", "5", size, str(small / "model.pt")]
    assert re.split(r"  +", own) == facts
    assert dos.startswith("pet-mad-dos ") and dos.endswith("Hugging Face Hub, downloaded when it is first used")
    assert energies.startswith("pet-mad ")
    assert last.startswith("Without --model, commands use electrain-small.")


def test_the_list_without_an_own_model(nothing_embedded):
    result = run("models")
    assert result.exit_code == 0, result.output
    assert "electrain-small" in result.stdout.splitlines()[-1]
    assert [line.split()[0] for line in result.stdout.splitlines()[1:3]] == ["pet-mad-dos", "pet-mad"]


def test_a_broken_model_does_not_hide_the_others(small):
    (small / "model.pt").write_bytes(b"nothing")
    result = run("models")
    assert result.exit_code == 1
    assert "pet-mad-dos" in result.stdout
    assert f"error: {small}/model.pt is not a model, or incomplete" in result.stderr


def test_cards(small):
    assert run("models", "electrain-small").stdout == CARD
    assert run("models", "pet-mad-dos").stdout.startswith("# pet-mad-dos\n")
    result = run("models", "model.pt")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: there is no model with the name 'model.pt'; known names: electrain-small, pet-mad-dos, pet-mad\n"
    )


@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
def test_a_copy(small, suffix):
    """What is copied is the installed file, with everything in it."""
    result = run("convert", "electrain-small", f"copy{suffix}")
    assert result.exit_code == 0, result.output
    assert f"wrote copy{suffix}, a copy of electrain-small" in result.stdout
    assert Path(f"copy{suffix}").read_bytes() == locate("electrain-small", suffix).path.read_bytes()
    result = run("convert", "electrain-small", f"copy{suffix}")
    assert f"error: copy{suffix} exists" in result.stderr
    assert run("convert", "electrain-small", f"copy{suffix}", "--overwrite").exit_code == 0


def test_a_copy_with_options_of_conversions(small):
    result = run("convert", "electrain-small", "copy.pt", "--max-shift", 3)
    assert result.exit_code == 2
    assert "electrain-small knows its energy axis and its networks" in result.stderr
    assert not Path("copy.pt").exists()


@pytest.fixture
def dataset(make_frame, write_frames, monkeypatch):
    """Calculations of elements that the stand-in knows."""
    names = ["Si2", "C2", "O2", "SiC", "Al2", "SiO", "AlC", "AlO", "CO", "SiAl"]
    frames = [
        make_frame(Atoms(name, positions=[[0, 0, 0], [2.2, 0, 0]], cell=[6, 6, 6], pbc=True), seed=seed)
        for seed, name in enumerate(names)
    ]
    monkeypatch.setattr("electrain.data.prepare.plot_summary", lambda *_: _[-1].touch())
    write_frames(frames, "f.xyz")
    Path("data").mkdir()
    return frames


def test_fine_tuning_and_evaluating(small, dataset, monkeypatch):
    """Prepared like the default model, evaluated with it, and fine-tuned from it, by name throughout."""
    result = run("prepare", "f.xyz", "-o", "data", "--like", "electrain-small", "--format", "zip")
    assert result.exit_code == 0, result.output
    options = OmegaConf.load("data/options.yaml")
    assert options.architecture.training.finetune.read_from == "electrain-small"
    assert "--like electrain-small" in Path("data/manifest.json").read_text()

    monkeypatch.setattr("electrain.evaluation.report.write_report", lambda *_: None)
    evaluate = ["evaluate", "data", "-o", "report", "--part", "train", "--rotations", 0]
    result = run(*evaluate)
    assert result.exit_code == 0, result.output
    assert result.stderr == NOTE
    assert "Errors of electrain-small" in result.stdout
    for model, message in NAMES_THAT_DO_NOT_EXIST.items():
        assert f"error: {message}" in run(*evaluate, "-m", "electrain-small", "-m", model).stderr

    options.architecture.training.update({"num_epochs": 1, "learning_rate": 1e-9})
    os.chdir("data")
    train_model(options, Path("tuned.pt"), Path("extensions"), Path("."))
    assert not Path("electrain-small").exists()
    states = [
        read_checkpoint(path)["model_state_dict"] for path in (locate("electrain-small", ".ckpt").path, "tuned.ckpt")
    ]
    layers = [name for name in states[0] if name.startswith("network.layers") and name.endswith("weight")]
    assert layers
    for name in layers:
        torch.testing.assert_close(states[1][name].double(), states[0][name].double(), rtol=0, atol=1e-6)


def test_checked_names_in_options(small):
    check = checkpoint_of("pet_mad")
    assert check("electrain-small") == "electrain-small"
    assert check("not/there.ckpt") == "not/there.ckpt"  # a restart no longer needs it
    with pytest.raises(ValueError, match=r"there is no model with the name 'electrain-smal'.*known names: electrain"):
        check("electrain-smal")
    newer = {**read_checkpoint(small / "model.ckpt"), "model_ckpt_version": 99}
    torch.save(newer, small / "model.ckpt")
    with pytest.raises(ValueError, match=r"electrain-small cannot be fine-tuned: it was written by a newer version of"):
        check("electrain-small")
    torch.save({"architecture_name": "llpr"}, small / "model.ckpt")
    with pytest.raises(ValueError, match=r"electrain-small is a checkpoint of the architecture 'llpr', expected"):
        check("electrain-small")
