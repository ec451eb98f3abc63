"""Models that ask for compiled libraries, which metatomic would load and run."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import typer
import vesin
from archives import replace
from ase.build import bulk
from typer.testing import CliRunner
from ways_of_opening import WAYS

from electrain.calculators import (
    ModelFileError,
    load_model,
    with_hot_electrons,
)
from electrain.cli import app
from electrain.files.models import read_energy_axis

MAPS = Path("/proc/self/maps")  # files that are loaded, on Linux


@pytest.fixture
def library(tmp_path):
    """Any library, under a name that nothing has loaded yet."""
    (original,) = (Path(vesin.__file__).parent / "lib").glob("libvesin.*")
    path = tmp_path / "libraries" / f"libtrap-{tmp_path.name}{original.suffix}"
    path.parent.mkdir()
    shutil.copy(original, path)
    return path


@pytest.fixture
def ask(model_file, tmp_path):
    """Write a model that asks for libraries."""

    def write(*libraries, record="extra/extensions"):
        return replace(model_file, {record: json.dumps(libraries).encode()}, tmp_path / "asks.pt")

    return write


def entry(library, path, **others):
    return {"name": library.stem.removeprefix("lib"), "path": str(path), **others}


def is_loaded(library):
    return MAPS.exists() and library.name in MAPS.read_text()


@pytest.mark.parametrize("record", ["extra/extensions", "extra/extensions-deps"])
@pytest.mark.parametrize("way", WAYS)
def test_refused(library, ask, way, record):
    path = ask(entry(library, library), record=record)
    text = f"{path} was not opened, because it asks for compiled libraries ({library.stem.removeprefix('lib')}), which"
    with pytest.raises(ModelFileError, match=re.escape(text)):
        WAYS[way](path)
    assert not is_loaded(library)


@pytest.mark.parametrize("command", [["dos"], ["thermo"], ["hot", "-T", "1000", "-o", "hot.pt"]])
def test_commands(library, ask, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    ask(entry(library, library))
    bulk("Si").write("si.xyz")
    names = ["asks.pt"] if command[0] == "hot" else ["si.xyz", "-m", "asks.pt"]
    result = CliRunner().invoke(app, [command[0], *names, *command[1:]])
    assert result.exit_code == 1 and "pass the folder that contains them (--extensions DIR" in result.output
    assert not is_loaded(library)


def test_all_commands_that_open_models_have_the_option():
    commands = typer.main.get_command(app).commands
    options = {name: {o for p in command.params for o in p.opts} for name, command in commands.items()}
    opens = {name for name in options if "--model" in options[name]} | {"hot"}
    assert opens == {"dos", "bands", "thermo", "evaluate", "hot"}
    assert all("--extensions" in options[name] for name in opens)


@pytest.mark.parametrize("way", ["load_model", "model", "calculator"])
def test_from_a_trusted_folder(library, ask, way):
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    path = ask(entry(library, library.name, sha256=digest))
    WAYS[way](path, extensions_directory=library.parent)
    assert is_loaded(library) or not MAPS.exists()


def test_other_libraries_than_those_in_the_folder(library, ask, tmp_path, monkeypatch):
    folder = tmp_path / "trusted"
    folder.mkdir()
    monkeypatch.chdir(library.parent)
    name = library.stem.removeprefix("lib")
    plain = "expected a plain name, and a path inside a folder"
    for asked, message in {
        "absolute": (entry(library, library), plain),
        "above": (entry(library, f"../libraries/{library.name}"), plain),
        "in the current folder": ({"name": f"./{library.name}", "path": "a.so"}, plain),
        "of any name": ({"name": "", "path": library.name}, plain),
        "missing": (entry(library, library.name), f"its compiled library {name} is not in {folder}; expected the file"),
    }.values():
        with pytest.raises(ModelFileError, match=re.escape(message)):
            load_model(ask(asked), folder)
    shutil.copy(library, folder)
    with pytest.raises(ModelFileError, match="is not the library that the model was exported with, because its SHA"):
        load_model(ask(entry(library, library.name, sha256="0" * 64)), folder)
    assert not is_loaded(library)


def test_the_axis_is_read_without_opening_the_model(library, ask, reference_model):
    assert read_energy_axis(ask(entry(library, library))) == reference_model.axis
    assert not is_loaded(library)


@pytest.mark.parametrize("content", [b"{", b"3", b'["a"]', b'[{"name": "a"}]'])
def test_malformed_lists(model_file, tmp_path, content):
    path = replace(model_file, {"extra/extensions": content}, tmp_path / "model.pt")
    with pytest.raises(ModelFileError, match=r"its list of compiled libraries \(extra/extensions\) is malformed"):
        load_model(path)


def test_ours_ask_for_none(model_file, tmp_path):
    hot = tmp_path / "hot.pt"
    with_hot_electrons(model_file, 1000.0, dict.fromkeys(["H", "C", "O", "Al", "Si"], 4)).save(hot)
    for path in (model_file, hot):
        load_model(path)
