"""One rule for the files that all commands write: never an input, and nothing that exists unless asked for."""

import os

import ase.io
import pytest
import torch
from ase.build import bulk
from full_disk import files_up_to
from peer_models import make_peer_model
from typer.testing import CliRunner

from electrain.cli import app
from electrain.results.reading import read_json

# The option of every command that writes a file; models and structures do not exist, so nothing can be computed.
COMMANDS = {
    "dos -o": ["dos", "si.xyz", "-m", "none.pt", "-o", "out.json"],
    "dos -p": ["dos", "si.xyz", "-m", "none.pt", "-p", "out.png"],
    "thermo -o": ["thermo", "si.xyz", "-m", "none.pt", "-o", "out.csv"],
    "thermo -o, the other file": ["thermo", "si.xyz", "-m", "none.pt", "-o", "out.csv"],
    "thermo -p": ["thermo", "si.xyz", "-m", "none.pt", "-p", "out.pdf"],
    "hot -o": ["hot", "none.pt", "-T", "300", "-o", "out.pt"],
    "convert": ["convert", "none.ckpt", "out.ckpt"],
    "convert and export": ["convert", "none.ckpt", "out.pt"],
}
INPUTS = {
    "dos, structure": ("in.json", ["dos", "in.json", "-m", "none.pt", "-o"]),
    "dos, frames": ("in.json", ["dos", "in.json@0:3", "-m", "none.pt", "-o"]),
    "dos, model": ("in.csv", ["dos", "si.xyz", "-m", "in.csv", "-o"]),
    "dos, figure": ("in.png", ["dos", "in.png", "-m", "none.pt", "-p"]),
    "thermo, trajectory": ("in.json", ["thermo", "in.json@:", "-m", "none.pt", "-o"]),
    "thermo, figure": ("in.png", ["thermo", "si.xyz", "-m", "in.png", "-p"]),
    "hot": ("in.pt", ["hot", "in.pt", "-T", "300", "-o"]),
    "convert": ("in.ckpt", ["convert", "in.ckpt"]),
    "convert, weights": ("in.ckpt", ["convert", "none.ckpt", "--band-gap-weights", "in.ckpt"]),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", ["file", "broken link"])
def test_what_exists_stays(here, name, kind):
    command = COMMANDS[name]
    path = here / ("out_dos.csv" if "other" in name else command[-1])
    path.write_text("mine") if kind == "file" else path.symlink_to("nowhere")
    result = run(*command)
    assert result.exit_code == 1
    assert f"error: {path.name} exists; choose another name, or add --overwrite to replace it" in result.output
    assert [file.name for file in here.iterdir()] == [path.name]
    assert kind != "file" or path.read_text() == "mine"


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_an_input_is_never_replaced(here, name, link):
    source, command = INPUTS[name]
    (here / source).write_text("months of work")
    output = source if link is None else f"other{(here / source).suffix}"
    if link is not None:
        link(here / source, here / output)
    for overwrite in ([], ["--overwrite"]):
        result = run(*command, output, *overwrite)
        assert result.exit_code == 1
        assert f"error: cannot write {output}: it is an input ({source}); choose another name" in result.output
    assert (here / source).read_text() == "months of work"


def test_the_second_file_of_a_table_is_an_output_too(here):
    (here / "in_dos.csv").write_text("mine")
    result = run("thermo", "si.xyz", "-m", "in_dos.csv", "-o", "in.csv", "--overwrite")
    assert "cannot write in_dos.csv: it is an input" in result.output
    (here / "spectrum.png").symlink_to("table_dos.csv")
    result = run("thermo", "si.xyz", "-m", "none.pt", "-o", "table.csv", "-p", "spectrum.png", "--overwrite")
    assert (result.exit_code, result.output) == (
        2,
        "error: expected different files for different outputs, got spectrum.png twice\n",
    )


def test_overwriting(here, level_file, metal_file):
    ase.io.write("al.xyz", bulk("Al"))
    for name in ("o.json", "o.png", "t.csv", "t_dos.csv", "t.png", "hot.pt", "c.ckpt"):
        (here / name).write_text("old")
    torch.save(make_peer_model(("energy",)).get_checkpoint(), here / "peer.ckpt")
    for command in (
        ["dos", "al.xyz", "-m", level_file, "-o", "o.json", "-p", "o.png"],
        ["thermo", "al.xyz", "-m", level_file, "-T", "300", "-o", "t.csv", "-p", "t.png"],
        ["hot", level_file, "-T", "300", "-o", "hot.pt"],
        ["convert", "peer.ckpt", "c.ckpt"],
    ):
        assert run(*command).exit_code == 1
        result = run(*command, "--overwrite")
        assert result.exit_code == 0, result.output
    assert len(read_json("o.json")) == 1
    assert not [path.name for path in here.iterdir() if path.read_bytes() == b"old" or path.name.startswith(".")]


def test_a_full_disk(here, level_file):
    """The file is named, nothing is left of it, and what was there before is still there."""
    ase.io.write("al.xyz", [bulk("Al", a=4 + 0.01 * i) for i in range(5)])
    torch.save(make_peer_model(("energy",)).get_checkpoint(), here / "peer.ckpt")
    (here / "hot.pt").write_text("old")
    before = {path.name for path in here.iterdir()}
    for name, command in {
        "o.json": ["dos", "al.xyz", "-m", level_file, "-o", "o.json"],
        "o.csv": ["dos", "al.xyz", "-m", level_file, "-o", "o.csv"],
        "o.png": ["dos", "al.xyz", "-m", level_file, "-p", "o.png"],
        "t_dos.csv": ["thermo", "al.xyz", "-m", level_file, "-T", "300", "-o", "t.csv"],
        "t.pdf": ["thermo", "al.xyz", "-m", level_file, "-T", "300", "-p", "t.pdf"],
        "hot.pt": ["hot", level_file, "-T", "300", "-o", "hot.pt", "--overwrite"],
        "c.ckpt": ["convert", "peer.ckpt", "c.ckpt"],
        "c.pt": ["convert", "peer.ckpt", "c.pt"],
    }.items():
        with files_up_to(4000):
            result = run(*command)
        assert (result.exit_code, result.output.splitlines()[-1]) == (1, f"error: cannot write {name}: File too large")
        (here / "t.csv").unlink(missing_ok=True)
        assert {path.name for path in here.iterdir()} == before
    assert (here / "hot.pt").read_text() == "old"


def test_no_room_for_the_table_on_the_terminal(here, level_file, monkeypatch):
    """It is not the file for the spectra that has no room."""
    ase.io.write("al.xyz", bulk("Al"))
    errors = []

    def echo(message, err=False):
        if not err:
            raise OSError(28, "No space left on device")
        errors.append(message)

    monkeypatch.setattr("typer.echo", echo)
    result = run("dos", "al.xyz", "-m", level_file, "-o", "o.json")
    assert (result.exit_code, errors) == (1, ["error: cannot write standard output: No space left on device"])
    assert [path.name for path in here.iterdir()] == ["al.xyz"]
