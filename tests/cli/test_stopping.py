"""Commands that are stopped by a signal leave nothing behind, and say in one line that they were stopped."""

import os
import signal
import subprocess
import sys
import threading

import ase.io
import pytest
import torch
from ase.build import bulk
from peer_models import make_peer_model
from processes import contents, started
from typer.testing import CliRunner

import electrain.demo.run as demo
from electrain.calculators import ElectronicStructureModel
from electrain.cli import app
from electrain.cli.stopping import stopped_by_signals
from electrain.data import prepare_dataset

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("al.xyz", [bulk("Al", a=4 + 0.01 * i) for i in range(3)])
    torch.save(make_peer_model(("energy",)).get_checkpoint(), tmp_path / "peer.ckpt")
    return tmp_path


def stop_at(function, number, calls=1):
    """Call a function, except that a process gets a signal at the start of one of its calls, twice if it is SIGTERM."""
    count = 0

    def stopped(*arguments, **options):
        nonlocal count
        count += 1
        if count == calls:
            for _ in range(1 if number == signal.SIGINT else 2):
                os.kill(os.getpid(), number)
        return function(*arguments, **options)

    return stopped


@pytest.fixture
def as_in_a_terminal():
    """Nothing is ignored, also if the tests themselves run in the background or below `nohup`."""
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_in_a_terminal")
@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize(
    ("command", "place", "call"),
    [
        (["dos", "al.xyz", "-m", "MODEL", "-o", "o.csv", "--batch-size", "1"], "_evaluate", 2),
        (["dos", "al.xyz", "-m", "MODEL", "-p", "o.png"], "electrain.plots.style.save_figure", 1),
        (["thermo", "al.xyz", "-m", "MODEL", "-T", "300", "-o", "o.csv"], "csv.writer", 2),
        (["hot", "MODEL", "-T", "300", "-o", "o.pt"], "pathlib.Path.write_bytes", 1),
        (["convert", "peer.ckpt", "o.ckpt"], "pathlib.Path.write_bytes", 1),
        (["demo", "-o", "demo"], "electrain.demo.run.run_demo", 1),
    ],
)
def test_nothing_is_left(here, level_file, monkeypatch, number, command, place, call):
    handlers = [signal.getsignal(other) for other in STATUS]
    if place == "_evaluate":
        function = stop_at(ElectronicStructureModel._evaluate, number, call)
        monkeypatch.setattr(ElectronicStructureModel, "_evaluate", function)
    else:
        module, _, name = place.rpartition(".")
        owner = sys.modules.get(module) or __import__("pathlib").Path
        monkeypatch.setattr(owner, name, stop_at(getattr(owner, name), number, call))
    result = CliRunner().invoke(app, [str(level_file) if word == "MODEL" else word for word in command])
    assert (result.exit_code, result.output.splitlines()[-1]) == (STATUS[number], "stopped"), result.output
    left = {path.name for path in here.iterdir()} - {"al.xyz", "peer.ckpt", "demo"}
    assert left == ({"o.csv"} if command[0] == "thermo" else set())
    assert [signal.getsignal(other) for other in STATUS] == handlers


@pytest.mark.usefixtures("no_summary")
def test_a_preparation_that_is_terminated_continues(ten_frames, write_frames, tmp_path, monkeypatch):
    """The process itself, with a signal that comes twice; no temporary files are left, and the end is the same."""
    source = write_frames(ten_frames)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    whole = contents(prepare_dataset([source], tmp_path / "whole", split=(8.0, 1.0, 1.0)).folder)
    pause = "electrain.data.work_folder.CHUNK_SIZE", 5, "electrain.data.sources.read_calculations"
    with started("paused_command.py", *pause, "prepare", source, "-o", tmp_path / "data") as process:
        assert process.stdout.readline() == "waiting\n"
        assert [path.name for path in (tmp_path / "tmp").rglob("*.xyz")] == ["frames.xyz"]
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (143, "\nstopped; run the same command to continue\n")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert set(contents(tmp_path / "data")) == {".unfinished/job.json", ".unfinished/plan.json"}
    prepare_dataset([source], tmp_path / "data", split=(8.0, 1.0, 1.0))
    assert contents(tmp_path / "data") == whole


def test_signals_that_are_ignored_stay_ignored(monkeypatch):
    """By `nohup`, which a command must survive."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        assert signal.signal(signal.SIGHUP, before) == signal.SIG_IGN


def test_other_threads():
    """Python allows handlers in the main thread only."""
    results = []
    thread = threading.Thread(target=lambda: results.append(CliRunner().invoke(app, ["demo", "--help"])))
    thread.start()
    thread.join()
    assert results[0].exit_code == 0


def test_the_training_of_a_stopped_demo_ends(tmp_path, monkeypatch):
    processes = []

    class Slow(subprocess.Popen):
        def __init__(self, command, **options):
            code = "import time; print('epoch', flush=True); time.sleep(100)"
            super().__init__([command[0], "-c", code], **options)
            processes.append(self)

    def stop(line):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.subprocess, "Popen", Slow)
    with pytest.raises(KeyboardInterrupt):
        demo._run(["mtt", "train"], tmp_path, stop)
    assert processes[0].returncode == -signal.SIGTERM
