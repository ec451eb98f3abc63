"""`electrain prepare` as a user runs it."""

import json

import pytest
from typer.testing import CliRunner

from electrain import __version__
from electrain.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


def test_prepare_writes_and_summarises(ten_frames, make_frame, write_frames, tmp_path):
    path = write_frames([*ten_frames, make_frame(kweights=None), make_frame(n_electrons=20.0)])
    result = run(path, "-o", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "data" / "train.zip").is_file()
    lines = result.output.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:5]}
    assert [rows[name][0] for name in ("train", "validation", "test", "total")] == ["8", "1", "1", "10"]
    assert rows["total"][1:] == ["14", "6", "10"]
    assert "in steps of 0.05 eV" in result.output
    assert "largest shift   10 eV (200 channels)" in result.output
    assert "energies and forces" in result.output
    assert "2 frames left out" in result.output
    assert "frames.xyz, frame 10: expected the key 'kweights'" in result.output
    report = (tmp_path / "data" / "report.txt").read_text()
    assert "frames.xyz, frame 11: expected 20 electrons" in report


def test_settings_arrive(ten_frames, write_frames, tmp_path):
    options = ["--smearing", 0.2, "--step", 0.1, "--max-shift", 5, "--split", "6:2:2", "--seed", 4]
    result = run(write_frames(ten_frames), "-o", tmp_path / "data", *options)
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest["smearing"]["value"] == 0.2
    assert manifest["energy_grid"]["step"] == 0.1
    assert manifest["max_shift"] == {"channels": 50, "eV": 5.0}
    assert (manifest["split"]["shares"], manifest["split"]["seed"]) == ([6, 2, 2], 4)
    assert [len(manifest["split"][part]) for part in ("train", "validation", "test")] == [8, 1, 1]


def test_several_sources(ten_frames, write_frames, tmp_path):
    paths = [write_frames(ten_frames[:6], "a.xyz"), write_frames(ten_frames[6:], "b.xyz")]
    result = run(*paths, "-o", tmp_path / "data")
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert [(file["name"], file["num_frames"]) for file in manifest["sources"]] == [
        ("a.xyz", 6),
        ("b.xyz", 4),
    ]


def test_long_lists_are_cut(ten_frames, make_frame, write_frames, tmp_path):
    bad = [make_frame(kweights=None) for _ in range(8)]
    result = run(write_frames([*ten_frames, *bad]), "-o", tmp_path / "data")
    assert "8 frames left out (report.txt lists all of them):" in result.output
    assert "... and 3 more" in result.output


def test_nothing_usable(make_frame, write_frames, tmp_path):
    result = run(write_frames([make_frame(kweights=None)]), "-o", tmp_path / "data")
    assert result.exit_code == 1
    assert "error: expected at least one usable frame, but all 1 were rejected" in result.output
    assert "frames.xyz, frame 0: expected the key 'kweights'" in result.output
    assert "report.txt" not in result.output  # nothing was written
    assert not (tmp_path / "data").exists()


def test_overwriting_must_be_asked_for(ten_frames, write_frames, tmp_path):
    path, folder = write_frames(ten_frames), tmp_path / "data"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    result = run(path, "-o", folder)
    assert result.exit_code == 1
    assert "there are files in" in result.output
    assert "--overwrite" in result.output
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]
    assert run(path, "-o", folder, "--overwrite").exit_code == 0
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--split", "8:2"], 2, "expected three numbers such as 8:1:1"),
        (["--split", "8:0:2"], 1, "error: expected shares train:validation:test"),
        (["--smearing", "-1"], 1, "error: expected a positive smearing in eV, got -1"),
        (
            ["--step", "0.1333333333"],
            1,
            "error: start and step of an energy grid must be multiples of 1e-6 eV",
        ),
    ],
)
def test_wrong_settings(ten_frames, write_frames, tmp_path, arguments, code, message):
    result = run(write_frames(ten_frames), "-o", tmp_path / "data", *arguments)
    assert result.exit_code == code
    assert message in result.output
    assert not (tmp_path / "data").exists()


def test_a_source_that_does_not_exist(tmp_path):
    assert run(tmp_path / "nothing.xyz", "-o", tmp_path / "data").exit_code == 2


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.output.strip() == f"electrain {__version__}"
