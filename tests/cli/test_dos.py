"""`electrain dos` as a user runs it."""

import subprocess
import sys

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from electrain.calculators import ElectronicStructureModel
from electrain.cli import app
from electrain.results import read_json


@pytest.fixture
def run(model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, model=model_file):
        return CliRunner().invoke(app, ["dos", *map(str, arguments), "-m", str(model)])

    return invoke


@pytest.fixture
def many(structures, tmp_path):
    ase.io.write(tmp_path / "many.xyz", [atoms for atoms in structures if atoms.cell.rank in (0, 3)])
    return [atoms for atoms in structures if atoms.cell.rank in (0, 3)]


def rows_of(output):
    lines = output.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("structure "))
    return [line for line in lines[head + 1 : lines.index("", head)] if not line.startswith("error")]


def test_one_structure(run, model, tmp_path):
    bulk("Si").write(tmp_path / "si.cif")
    result = run("si.cif")
    assert result.exit_code == 0, result.output
    expected = model.predict(ase.io.read("si.cif"))
    numbers = [f"{value:.2f}" for value in (expected.band_gap, expected.fermi_level, expected.num_electrons)]
    assert rows_of(result.output)[0].split() == ["si.cif", "Si2", "2", *numbers]
    assert "band gap (eV)  Fermi level (eV)" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["si.cif"]


def test_wrong_numbers_of_electrons_are_noted(run, level_file, metal_file, tmp_path):
    """A model that knows the valence electrons tells when its Fermi level does not count them."""
    aluminium = [bulk("Al"), bulk("Al", a=4.2)]
    ase.io.write(tmp_path / "al.xyz", aluminium)
    model = ElectronicStructureModel(level_file, "cpu")
    found = model.predict(aluminium[0]).num_electrons
    assert abs(found - 3.0) > 0.3
    note = f"note: al.xyz, frame 0 ({found:.2f} instead of 3) and 1 more: the number of electrons differs from"
    assert note in run("al.xyz", model=level_file).output
    assert "note" not in run("al.xyz", model=metal_file).output


def test_files_are_written(run, model, many, tmp_path):
    bulk("Si").write(tmp_path / "si.cif")
    result = run("many.xyz", "si.cif", "-o", "out.json", "--plot", "out.png", "--per-atom", "--batch-size", "4")
    assert result.exit_code == 0, result.output
    names = [*(f"many.xyz, frame {i}" for i in range(len(many))), "si.cif"]
    written = read_json("out.json")
    assert [name for name, _ in written] == names
    assert [row.split("  ")[0] for row in rows_of(result.output)] == names
    for atoms, (_, read) in zip(ase.io.read("many.xyz", ":"), written, strict=False):
        expected = model.predict(atoms, per_atom=True)
        np.testing.assert_allclose(read.local_density_of_states, expected.local_density_of_states, rtol=1e-6, atol=1e-8)
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.xyz", "out.json", "out.png", "si.cif"]


def test_indices(run, many):
    result = run("many.xyz@1:6:2", "many.xyz@2", "many.xyz@-1")
    assert result.exit_code == 0, result.output
    starts = [row.partition("  ")[0] for row in rows_of(result.output)]
    frames = [*(f"many.xyz, frame {i}" for i in (1, 3, 5, 2)), "many.xyz@-1, selected frame 0"]
    assert starts == frames


def test_bad_structures_do_not_stop_the_others(run, bad_structures, many, tmp_path):
    frames = [many[0], *(atoms for atoms in bad_structures.values() if len(atoms)), many[1]]
    ase.io.write("mixed.xyz", frames)
    (tmp_path / "bad.cif").write_text("nonsense")
    (tmp_path / "empty.xyz").write_text("")
    (tmp_path / "cut.xyz").write_text("1\n\nH 0 0 0\n5\n\nH 0 0 0\n")
    result = run(
        "mixed.xyz", "bad.cif", "empty.xyz", "cut.xyz", "nothing.xyz", "many.xyz@x", "many.xyz@99", "-o", "o.csv"
    )
    assert result.exit_code == 1
    for index, text in enumerate(list(bad_structures)[:3], start=1):
        assert f"error: mixed.xyz, frame {index}: {text}" in result.output
    assert "error: bad.cif: cannot be read by ASE: expected the format 'CIF-file', got a damaged file" in result.output
    assert "error: empty.xyz: not in a format that ASE knows (Empty file" in result.output
    assert "error: cut.xyz, frame 1: cannot be read by ASE: " in result.output
    assert "error: nothing.xyz: no such file" in result.output
    assert "error: many.xyz@x: expected a number or start:stop:step after the @, got 'x'" in result.output
    assert "error: many.xyz@99: expected at least one structure, found none" in result.output
    assert "error: 9 of 12 could not be computed (see above)" in result.output
    assert len(rows_of(result.output)) == 3
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 1 + 3 * 800


def test_structures_are_checked_once(run, many, checked):
    assert run("many.xyz", "--batch-size", "4").exit_code == 0
    assert len(checked) == len(many)


def test_empty_structure(run, tmp_path):
    (tmp_path / "none.xyz").write_text("0\n\n")
    result = run("none.xyz")
    assert result.exit_code == 1
    assert "error: none.xyz" in result.output


def test_failures_of_the_model(run, many, monkeypatch):
    evaluate = ElectronicStructureModel._evaluate

    def fails_for_carbon(self, batch, **options):
        if any("C" in atoms.symbols for atoms in batch):
            raise RuntimeError("Traceback of TorchScript\nout of memory")
        return evaluate(self, batch, **options)

    monkeypatch.setattr(ElectronicStructureModel, "_evaluate", fails_for_carbon)
    result = run("many.xyz")
    assert result.exit_code == 1
    assert "error: many.xyz, frame 4: out of memory" in result.output
    assert len(rows_of(result.output)) == len(many) - 1


def test_nothing_is_written_without_results(run, tmp_path):
    (tmp_path / "bad.cif").write_text("nonsense")
    result = run("bad.cif", "-o", "out.json", "--plot", "out.png")
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.cif"]


def test_plot_is_limited(run, tmp_path):
    ase.io.write("silicon.xyz", [bulk("Si", a=5.4 + 0.01 * i) for i in range(14)])
    result = run("silicon.xyz", "--plot", "out.pdf", "--window", "-5", "5")
    assert result.exit_code == 0, result.output
    assert "wrote out.pdf, the first 12 structures" in result.output


def test_model_without_fermi_level(run, many, dos_only_file):
    result = run("many.xyz@0", "-o", "out.json", "--plot", "out.png", model=dos_only_file)
    assert result.exit_code == 0, result.output
    assert rows_of(result.output)[0].split()[-3:] == ["-", "-", "-"]
    assert "The model predicts no Fermi level, so energies are on its own axis" in result.output


@pytest.mark.parametrize(
    ("code", "options", "message"),
    [
        (2, ["-o", "out.txt"], "expected an output file that ends with .json or .csv, got out.txt"),
        (1, ["-o", "missing/out.json"], "cannot write missing/out.json: the folder missing does not exist"),
        (2, ["--plot", "out.foo"], "expected a plot file that ends with one of"),
        (1, ["--plot", "missing/out.png"], "cannot write missing/out.png: the folder missing does not exist"),
        (2, ["--per-atom"], "--per-atom needs an output file; add --output or --plot"),
        (2, ["--window", "1", "3"], "--window needs a figure; add --plot"),
        (2, ["--window", "3", "1", "-p", "a.png"], "expected a window from a lower to a higher energy, got 3 to 1 eV"),
        (2, ["--window", "-inf", "1", "-p", "a.png"], "expected a window from a lower to a higher energy, got -inf to"),
        (2, ["--overwrite"], "--overwrite needs an output file to replace"),
        (2, ["-T", "inf"], "expected a temperature of at least 0 K, got inf"),
        (2, ["--device", "gpu7"], "expected a device such as cpu, cuda or cuda:1, got 'gpu7'"),
        (1, ["--device", "cuda:9"], "the device 'cuda:9' is not available on this machine"),
    ],
)
def test_wrong_options(run, many, code, options, message):
    result = run("many.xyz", *options)
    assert result.exit_code == code
    assert f"error: {message}" in result.output
    assert "structure  " not in result.output


def test_wrong_model(run, many):
    result = run("many.xyz", model="many.xyz")
    assert result.exit_code == 1
    assert "error: many.xyz is not a model, or incomplete; expected a .pt file written by `mtt export`" in result.output


def test_a_window_outside_of_the_axis_costs_the_figure_only(run, tmp_path):
    ase.io.write(tmp_path / "silicon.xyz", bulk("Si"))
    result = run("silicon.xyz", "-o", "out.csv", "--plot", "out.png", "--window", "500", "600")
    assert result.exit_code == 1
    assert "wrote out.csv" in result.output
    assert "out.png was not written: expected a window from a lower to a higher energy" in result.output
    assert (tmp_path / "out.csv").exists()
    assert not (tmp_path / "out.png").exists()


def test_too_hot_for_the_axis(run, level_file, tmp_path):
    ase.io.write(tmp_path / "al.xyz", bulk("Al"))
    result = run("al.xyz", "-T", "1e6", model=level_file)
    assert result.exit_code == 1
    assert "error: al.xyz: no heat capacity at 1e+06 K: 1e+06 K is too hot for this model's axis" in result.output


def test_help_is_quick():
    code = "import sys, electrain.cli; assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
