"""`electrain thermo` as a user runs it."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from electrain.calculators import ElectronicStructureModel
from electrain.cli import app
from electrain.thermodynamics.average import EnsembleAverage


@pytest.fixture
def run(level_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, model=level_file):
        return CliRunner().invoke(app, ["thermo", *map(str, arguments), "-m", str(model)])

    return invoke


@pytest.fixture
def frames(tmp_path):
    structures = []
    for seed in range(10):
        atoms = bulk("Al", cubic=True)
        atoms.rattle(0.1, seed=seed)
        structures.append(atoms)
    ase.io.write(tmp_path / "md.xyz", structures)
    return structures


def test_results(run, frames, level_file, tmp_path):
    arguments = ["-T", "500:1500:500", "-o", "out.json", "-p", "out.png", "--batch-size", 12]
    result = run("md.xyz@:4", "md.xyz@4:", *arguments)
    assert result.exit_code == 0, result.output
    average, model = EnsembleAverage(), ElectronicStructureModel(level_file, "cpu")
    for atoms in ase.io.read(tmp_path / "md.xyz", ":"):
        average.add(model.predict(atoms))
    expected = average.thermodynamics([500, 1000, 1500])
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["frames"] == 10
    found = content["temperatures"]["heat_capacity_eV_per_K_per_atom"]
    np.testing.assert_allclose(found, expected.heat_capacity.values / 4, rtol=1e-6)
    lines = result.output.splitlines()
    counts = f"{expected.num_electrons / 4:.3f} electrons per atom up to the Fermi level"
    assert lines[0] == f"Al4: 10 frames, {counts} (3.000 in the model's training data)"
    assert lines[2].startswith("note: the numbers of electrons differ")
    assert [line.split()[0] for line in lines[5:8]] == ["500", "1000", "1500"]
    assert "±: statistical error, from 10 blocks of 1 frame each." in lines
    assert "uncertainty of the model" not in result.output
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "wrote out.json" in lines
    assert "wrote out.png" in lines


def test_frames_are_checked_once(run, frames, checked):
    assert run("md.xyz", "-T", "300", "--batch-size", "12").exit_code == 0
    assert len(checked) == len(frames)


def test_a_frame_that_the_model_fails_for_is_named(run, frames, monkeypatch):
    evaluate = ElectronicStructureModel._evaluate

    def fails(self, batch, **options):
        if any(np.allclose(atoms.positions, frames[2].positions, atol=1e-6) for atoms in batch):
            raise RuntimeError("out of memory")
        return evaluate(self, batch, **options)

    monkeypatch.setattr(ElectronicStructureModel, "_evaluate", fails)
    result = run("md.xyz", "-T", "300")
    assert result.exit_code == 1
    assert "error: md.xyz, frame 2: out of memory" in result.output


def test_csv_and_one_frame(run, frames, tmp_path):
    result = run("md.xyz@0", "-T", "300,600", "-o", "out.csv", "--per-electron")
    assert result.exit_code == 0, result.output
    assert "heat capacity (kB/electron)" in result.output
    assert "No statistical errors: they need at least two frames." in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["md.xyz", "out.csv", "out_dos.csv"]
    few = run("md.xyz@:3", "-T", "300")
    assert "note: 3 blocks are too few to tell whether frames are correlated" in few.output


EXPECTED = (
    "expected temperatures such as 300:2000:100 (from the first up to the last, in steps) or 300,600,900 in K, got"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("300:2000", f"{EXPECTED} '300:2000'"),
        ("2000:300:100", "expected temperatures such as"),
        ("300:2000:0", "expected temperatures such as"),
        ("hot", f"{EXPECTED} 'hot'"),
        ("0", "expected temperatures of at least 0.5 K, got 0"),
        ("300,nan", "expected temperatures of at least 0.5 K, got nan"),
        ("1:1e9:1", "expected at most 2,000 temperatures, got 1:1e9:1: choose a larger step"),
        ("1:inf:1", "expected temperatures such as"),
        ("1:2:1e-320", "expected at most 2,000 temperatures"),
        (",".join(["300"] * 2001), "expected 1 to 2,000 temperatures, got 2,001"),
    ],
)
def test_wrong_temperatures(run, frames, text, message):
    result = run("md.xyz@0", "-T", text)
    assert result.exit_code == 2
    assert f"error: {message}" in result.output


def test_wrong_input(run, frames, dos_only_file, tmp_path):
    bulk("Si").write(tmp_path / "si.xyz")
    bulk("Fe").write(tmp_path / "fe.xyz")
    for code, arguments, message in (
        (1, ["md.xyz", "si.xyz"], "error: si.xyz: expected the same atoms in all frames, got Si2 after Al4"),
        (1, ["md.xyz", "fe.xyz"], "error: fe.xyz: the model does not know Fe"),
        (1, ["md.xyz", "none.xyz"], "error: none.xyz: no such file"),
        (2, ["md.xyz", "-o", "out.txt"], "error: expected an output file that ends with .json or .csv, got out.txt"),
        (2, ["md.xyz", "-p", "out.txt"], "error: expected a plot file that ends with"),
        (1, ["md.xyz", "-p", "no/out.png"], "error: cannot write no/out.png: the folder no does not exist"),
    ):
        result = run(*arguments)
        assert result.exit_code == code, result.output
        assert message in result.output
    result = run("md.xyz", model=dos_only_file)
    assert "dos.pt predicts no Fermi level: expected a model trained on it" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fe.xyz", "md.xyz", "si.xyz"]


def test_level_outside_of_the_grid(run, frames, far_level_file):
    result = run("md.xyz@0", model=far_level_file)
    assert result.exit_code == 1
    message = "the Fermi level is outside the energies common to all frames, -90 to -50.1 eV from it"
    assert f"error: {message}" in result.output


def test_too_hot_for_the_axis(run, frames, monkeypatch):
    """It is known after the first frame, so the others are not computed."""
    computed = []
    evaluate = ElectronicStructureModel._evaluate

    def counted(self, batch, **options):
        computed.extend(batch)
        return evaluate(self, batch, **options)

    monkeypatch.setattr(ElectronicStructureModel, "_evaluate", counted)
    result = run("md.xyz", "-T", "300,1e6", "--batch-size", "4")
    assert result.exit_code == 1
    assert "error: 1e+06 K is too hot for this model's axis, which ends 12.9 eV above the Fermi level" in result.output
    assert len(computed) == 1
