"""`electrain prepare` as a user runs it."""

import csv
import dataclasses
import json
import os

import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import iread
from typer.testing import CliRunner

from electrain import __version__
from electrain.cli import app
from electrain.data import read_extended_xyz

pytestmark = pytest.mark.usefixtures("no_summary")


def run(*arguments):
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)])


def test_prepare_writes_and_summarises(ten_frames, make_frame, write_frames, tmp_path):
    path = write_frames([*ten_frames, make_frame(kweights=None), make_frame(n_electrons=20.0)])
    result = run(path, "-o", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "data" / "train.xyz").is_file()
    lines = result.output.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:5]}
    assert [rows[name][0] for name in ("train", "validation", "test", "total")] == ["8", "1", "1", "10"]
    assert rows["total"][1:] == ["20", "6", "10"]
    assert [rows[name][-1] for name in ("train", "test")] == ["train.xyz", "test.xyz"]
    assert "in steps of 0.05 eV" in result.output
    assert "largest shift   10 eV (200 channels)" in result.output
    assert "also written    energies, forces" in result.output
    assert "note:" not in result.output
    assert "2 frames left out" in result.output
    assert "frames.xyz, frame 10: expected the key 'kweights'" in result.output
    report = (tmp_path / "data" / "report.csv").read_text()
    assert 'frames.xyz,11,"expected 20 electrons' in report


def test_valence_electrons_that_are_not_determined(make_frame, write_frames, tmp_path):
    """Named, and written nowhere: what is in the options is used for physics."""
    frames = [make_frame(bulk("SiC", "zincblende", a=4.3), id=str(seed), seed=seed) for seed in range(3)]
    result = run(write_frames([*frames, make_frame(seed=9)]), "-o", tmp_path / "data")
    assert "determined for" not in result.output  # Si alone, and SiC
    result = run(write_frames(frames, "carbide.xyz"), "-o", tmp_path / "carbide")
    assert "valence         number of electrons not determined for C Si\n" in result.output
    assert "valence_electrons" not in (tmp_path / "carbide" / "options.yaml").read_text()


def test_settings_arrive(ten_frames, write_frames, tmp_path):
    options = ["--sigma", 0.2, "--step", 0.1, "--max-shift", 5, "--split", "6:2:2", "--seed", 4]
    options += ["--grid", -20, 15, "--missing-bands", "keep", "--format", "zip"]
    result = run(write_frames(ten_frames), "-o", tmp_path / "data", *options)
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest["smearing"]["value"] == 0.2
    assert manifest["energy_grid"]["step"] == 0.1
    assert manifest["max_shift"] == {"channels": 50, "eV": 5.0}
    assert (manifest["split"]["shares"], manifest["split"]["seed"]) == ([6, 2, 2], 4)
    assert manifest["split"]["number"] == {"train": 8, "validation": 1, "test": 1}
    assert (
        "note: 2 structures held out instead of 4, because each of their elements must occur in three" in result.output
    )
    words = (
        "--smearing 0.2 --step 0.1 --max-shift 5 --grid -20 15 --split 6:2:2 --seed 4 --missing-bands keep --format zip"
    )
    assert manifest["command"].endswith(words)


def test_a_given_split(ten_frames, write_frames, tmp_path):
    parts = [*["train"] * 4, "validation", *["test"] * 3, "held-out"]
    for frame, part in zip(ten_frames, parts, strict=False):
        frame.info["split"] = part
    result = run(write_frames(ten_frames), "-o", tmp_path / "data", "--split", "given")
    assert result.exit_code == 0, result.output
    assert "kept together   as in the given split" in result.output
    assert (
        "frames.xyz, frame 8: expected the key 'split' to be train, validation or test, got 'held-out'" in result.output
    )
    assert "frames.xyz, frame 9: expected the key 'split' to be train, validation or test, got none" in result.output
    rows = csv.DictReader((tmp_path / "data" / "structures.csv").read_text().splitlines())
    assert [(row["part"], int(row["frame"])) for row in rows] == [(part, i) for i, part in enumerate(parts[:8])]
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert "--split given" in manifest["command"] and "--seed" not in manifest["command"]  # which would be refused
    assert manifest["split"]["grouped_by"] == "given"


def test_a_given_split_keeps_the_copy_that_tests(ten_frames, make_frame, write_frames, tmp_path):
    for frame in ten_frames:
        frame.info["split"] = "train"
    better = ten_frames[3].copy()
    better.info["split"] = "test"
    result = run(write_frames([*ten_frames, better]), "-o", tmp_path / "data", "--split", "given")
    assert result.exit_code == 0, result.output
    assert "frame 3: the same structure as frames.xyz, frame 10 of the test set" in result.output
    assert "warning: no frame has the split 'validation'; the training set is also the validation set" in result.output


def test_a_given_split_without_a_usable_training_set(ten_frames, make_frame, write_frames, tmp_path):
    ten_frames[0].info["split"] = "test"
    bad = make_frame(n_electrons=20.0, split="train")
    result = run(write_frames([ten_frames[0], bad]), "-o", tmp_path / "data", "--split", "given")
    assert result.exit_code == 1
    assert "frame 0: expected usable structures whose split is train in the same set, got none" in result.output
    assert "frame 1: expected 20 electrons" in result.output


def test_several_sources(ten_frames, write_frames, tmp_path):
    paths = [write_frames(ten_frames[:6], "a.xyz"), write_frames(ten_frames[6:], "b.xyz")]
    result = run(*paths, "-o", tmp_path / "data")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "data" / "sources.csv").read_text().splitlines()))
    assert [(row["source"], row["frames"]) for row in rows] == [("a.xyz", "6"), ("b.xyz", "4")]


def test_energies_of_some(ten_frames, write_frames, tmp_path):
    ten_frames[0].calc = None
    result = run(write_frames(ten_frames), "-o", tmp_path / "data")
    assert "also written    energies (9 of 10 structures), forces (9 of 10 structures)" in result.output


def test_missing_bands_and_nothing_held_out(make_frame, write_frames, tmp_path):
    levels = [[-1.0, -0.5, 0.5], [-1.0, -0.6, 0.6]]
    frame = make_frame(eigenvalues=levels, kweights=[1.0, 1.0], n_electrons=4.0)
    path = write_frames([frame])
    result = run(path, "-o", tmp_path / "data")
    assert result.exit_code == 1
    assert "frames.xyz, frame 0: expected enough bands to trust the density of states up to the Fermi" in result.output
    result = run(path, "-o", tmp_path / "data", "--missing-bands", "keep")
    assert result.exit_code == 0, result.output
    assert "missing bands   in 1 structure, not trusted up to the Fermi level" in result.output
    assert "warning: too few structures to hold any out" in result.output


def test_long_lists_are_cut(ten_frames, make_frame, write_frames, tmp_path):
    bad = [make_frame(kweights=None) for _ in range(8)]
    result = run(write_frames([*ten_frames, *bad]), "-o", tmp_path / "data")
    assert f"8 frames left out ({tmp_path}/data/report.csv lists all of them):" in result.output
    assert "... and 3 more" in result.output


def test_nothing_usable(make_frame, write_frames, tmp_path):
    result = run(write_frames([make_frame(kweights=None)]), "-o", tmp_path / "data")
    assert result.exit_code == 1
    assert "error: expected at least one usable frame, but all 1 were rejected" in result.output
    assert "frames.xyz, frame 0: expected the key 'kweights'" in result.output
    assert "report.csv" not in result.output  # nothing was written
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


def test_files_of_others_are_not_replaced(ten_frames, write_frames, tmp_path):
    """DFT data are often called train.xyz."""
    path, folder = write_frames(ten_frames), tmp_path / "data"
    folder.mkdir()
    (folder / "train.xyz").write_text("months of work")
    result = run(path, "-o", folder, "--overwrite")
    assert result.exit_code == 1
    assert "not written by `electrain prepare`, which a data set would replace: train.xyz;" in result.output
    assert [file.name for file in folder.iterdir()] == ["train.xyz"]
    (folder / "manifest.json").write_text('{"name": "my web app"}')
    result = run(path, "-o", folder, "--overwrite")
    assert result.exit_code == 1
    assert "which a data set would replace: train.xyz, manifest.json;" in result.output
    assert sorted(file.name for file in folder.iterdir()) == ["manifest.json", "train.xyz"]


def test_files_of_others_beside_a_data_set_are_not_removed(ten_frames, write_frames, tmp_path):
    folder = tmp_path / "data"
    assert run(write_frames(ten_frames), "-o", folder).exit_code == 0
    (folder / "train").mkdir()
    (folder / "train" / "model.ckpt").write_text("mine")
    result = run(tmp_path / "frames.xyz", "-o", folder, "--overwrite")
    assert result.exit_code == 1
    assert "which a data set would replace: train;" in result.output
    assert (folder / "train" / "model.ckpt").read_text() == "mine"


def test_writing_into_the_folder_of_the_sources(ten_frames, write_frames, tmp_path):
    (tmp_path / "runs").mkdir()
    write_frames(ten_frames, "runs/frames.xyz")
    result = run(tmp_path / "runs", "-o", tmp_path / "runs", "--overwrite")
    assert result.exit_code == 1
    assert "expected an output folder other than" in result.output
    result = run(tmp_path / "runs", "-o", tmp_path / "runs" / "frames.xyz" / "data")
    assert result.exit_code == 1
    assert "frames.xyz is a file" in result.output


@pytest.mark.parametrize("name", ["test.xyz", "link.xyz"])
def test_a_source_is_not_replaced(ten_frames, write_frames, tmp_path, name):
    """Whether it has the name of a part, or is a link to one."""
    folder = tmp_path / "data"
    assert run(write_frames(ten_frames), "-o", folder).exit_code == 0
    source = folder / name
    if name == "link.xyz":
        source.symlink_to(folder / "validation.xyz")
        source.write_bytes((tmp_path / "frames.xyz").read_bytes())
    else:
        os.replace(tmp_path / "frames.xyz", source)
    result = run(source, "-o", folder, "--overwrite")
    assert result.exit_code == 1
    assert "expected another output folder, because" in result.output
    assert len(list(iread(source, ":"))) == 10


def test_the_output_inside_of_the_folder_that_is_searched(ten_frames, write_frames, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    runs.mkdir()
    write_frames(ten_frames, "runs/frames.xyz")
    monkeypatch.chdir(runs)
    for arguments in ([], ["--overwrite"]):
        result = run(".", "-o", "data", *arguments)
        assert result.exit_code == 0, result.output
        rows = list(csv.DictReader((runs / "data" / "sources.csv").read_text().splitlines()))
        assert [row["source"] for row in rows] == ["frames.xyz"]


def test_a_name_that_is_no_text(ten_frames, write_frames, tmp_path):
    name = os.fsdecode(b"n\xe4me.xyz")
    os.rename(write_frames(ten_frames), tmp_path / name)
    result = run(tmp_path / name, "-o", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "n\ufffdme.xyz" in (tmp_path / "data" / "sources.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--split", "8:2"], 2, "expected three numbers such as 8:1:1"),
        (["--split", "8:0:2"], 2, "error: expected shares train:validation:test"),
        (["--seed", "-1"], 2, "error: expected a seed of at least 0, got -1"),
        (["--smearing", "-1"], 2, "error: expected a positive smearing in eV, got -1"),
        (
            ["--max-shift", "1e5"],
            2,
            "error: expected an energy axis of at most 20,000 channels, got 2,000,060 (100003 eV",
        ),
        (["--step", "1e-6"], 2, "channels, got 13,000,000 (13 eV, including the largest shift, in steps of 1e-06 eV)"),
        (["--grid", "-1000", "1000"], 2, "error: expected an energy axis of at most 20,000 channels, got 40,200"),
        (["--split", "given", "--seed", "1"], 2, "error: --seed is the seed of a random split, but --split is given"),
        (
            ["--workers", "2", "--dask", "tcp://x"],
            2,
            "error: --workers are processes on this machine, but --dask names",
        ),
        (
            ["--step", "0.1333333333"],
            2,
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


def test_mixed_codes(ten_frames, write_frames, tmp_path, monkeypatch):
    def read(path, **_):
        for index, frame in enumerate(read_extended_xyz(path)):
            yield dataclasses.replace(frame, code=f"code {index % 2}")

    monkeypatch.setattr("electrain.data.sources.read_calculations", read)
    result = run(write_frames(ten_frames), "-o", tmp_path / "data")
    assert "DFT codes       code 0, code 1" in result.output
    assert "warning: energies from different codes have different zeros" in result.output


def test_a_folder_of_files(make_frame, write_frames, tmp_path):
    (tmp_path / "runs").mkdir()
    for index in range(30):
        frame = make_frame(Atoms("SiC", [[0, 0, 0], [1.7, 0, 0]], cell=[6, 6, 6 + index], pbc=True), seed=index)
        write_frames([frame], f"runs/{index:02d}.xyz")
    (tmp_path / "runs" / "05.xyz").write_text("2\nnothing of use\n")
    (tmp_path / "runs" / "07.xyz").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "runs" / "notes.txt").write_text("not a calculation")
    (tmp_path / "runs" / "vasprun.xml").touch()
    (tmp_path / "runs" / "x.out.gz").write_bytes(b"not packed")
    result = run(tmp_path / "runs", "-o", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert "4 frames left out" in result.output
    assert "05.xyz, frame 0: expected 2 atoms, but the file ends before the last of them" in result.output
    assert "07.xyz, frame 0: expected a number of atoms, got " in result.output
    assert "vasprun.xml: expected a calculation, got an empty file" in result.output
    assert "x.out.gz: expected a compressed file, but it is damaged or has another format" in result.output
    rows = list(csv.DictReader((tmp_path / "data" / "sources.csv").read_text().splitlines()))
    names = [f"{index:02d}.xyz" for index in range(30)]
    assert [row["source"] for row in rows] == [*names, "vasprun.xml", "x.out.gz"]


def test_a_folder_without_calculations(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run(tmp_path / "empty", "-o", tmp_path / "data")
    assert result.exit_code == 1
    assert "error: expected DFT output files in the folder" in result.output


def test_stopping_it(ten_frames, write_frames, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    arguments = write_frames(ten_frames), "-o", tmp_path / "data"
    with monkeypatch.context() as patch:
        patch.setattr("electrain.data.prepare.join_chunks", stop)
        result = run(*arguments)
    assert (result.exit_code, result.output.splitlines()[-1]) == (130, "stopped; run the same command to continue")
    result = run(*arguments, "--seed", 1)
    assert result.exit_code == 1
    assert "expected the settings and files of the unfinished data set in" in result.output
    assert "--overwrite" in result.output
    assert run(*arguments).exit_code == 0


def test_dask_is_missing(ten_frames, write_frames, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run(write_frames(ten_frames), "-o", tmp_path / "data", "--workers", 2)
    assert result.exit_code == 1
    assert "several workers need Dask, which is not installed: pip install 'electrain[dask]'" in result.output


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.output.strip() == f"electrain {__version__}"
