"""`electrain bands`, as a user runs it."""

import csv

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from band_models import bands_info, make_model
from typer.testing import CliRunner

from electrain.bands import BandStructure, k_path
from electrain.calculators import BandModel
from electrain.cli import app
from electrain.results.band_files import read_bands

pytest.importorskip("pymatgen")

SIZES = {"num_bands": 4, "num_k_points": 40}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("bands") / "bands.pt"
    make_model(bands_info(**SIZES), **SIZES).export().save(file)
    return file


@pytest.fixture
def run(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bulk("Si").write("si.cif")
    bulk("SiC", "zincblende", a=4.36, cubic=True).write("sic.cif")
    molecule("CH4").write("ch4.xyz")

    def invoke(*arguments):
        return CliRunner().invoke(app, ["bands", *map(str, arguments), "-m", str(file)])

    return invoke


@pytest.fixture
def insulator(monkeypatch):
    """A model of parabolic bands with a gap of 1 eV at Γ, whatever the crystal is."""

    def along(self, paths):
        found = []
        for path in paths:
            k = np.linalg.norm(path.k_points @ path.atoms.cell.reciprocal()[:], axis=1)
            energies = np.stack([-0.5 - 2.0 * k**2, 0.5 + k**2], axis=1)[None]
            found.append(BandStructure(path.atoms, path.k_points, energies, 0.0, path.labels))
        return found

    monkeypatch.setattr(BandModel, "along", along)


def test_table_and_file(run, tmp_path, file):
    result = run("si.cif", "sic.cif", "-o", "out.json")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "si.cif: Si2"
    path = k_path(ase.io.read("sic.cif"), 40)
    first = lines.index("sic.cif: CSi")
    assert lines[first + 1].split(maxsplit=1) == ["cell", path.changes]
    assert lines[first + 2].split() == ["path", "-".join(name for _, name in path.labels)]
    assert lines[-1] == "wrote out.json"
    expected = BandModel(file, "cpu").predict("si.cif")
    name, bands = read_bands("out.json")[0]
    assert name == "si.cif"
    np.testing.assert_allclose(bands.energies, expected[0].bands.energies, atol=1e-9)


def test_gap_and_masses_of_an_insulator(run, insulator):
    result = run("si.cif", "-o", "out.csv", "-p", "out.png", "--dos", "none")
    assert result.exit_code == 0, result.output
    assert "  band gap                 1.00 eV, direct" in result.output
    assert "  valence band maximum     at Γ" in result.output
    assert "  conduction band minimum  at Γ" in result.output
    masses = [line.split() for line in result.output.splitlines() if " mass " in line]
    # hbar^2/2m = 3.81 eV A^2; wave vectors without 2 pi
    for carrier, curvature in (("hole", 2.0), ("electron", 1.0)):
        found = [float(words[2]) for words in masses if words[0] == carrier]
        assert found == pytest.approx([3.80998 * (2 * np.pi) ** 2 / curvature] * len(found), rel=1e-2) and found
    with open("out.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert (rows[0]["label"], float(rows[0]["band_1_eV"]), float(rows[0]["band_2_eV"])) == ("Γ", -0.5, 0.5)
    assert len(rows) == 40


def test_figures(run, insulator, tmp_path):
    for structures in (["si.cif"], ["si.cif", "sic.cif", "si.cif"]):
        result = run(*structures, "-p", "out.png", "--window", "-3", "3", "--overwrite")
        assert result.exit_code == 0, result.output
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_density_of_states_beside_the_bands(run, file, monkeypatch, tmp_path):
    """The model that comes with electrain says that it is used; one that is asked for must be able to predict it."""
    result = run("si.cif", "-p", "out.png")
    assert result.exit_code == 0 and "density of states beside the bands: electrain-small" in result.output
    result = run("si.cif", "-p", "out.png", "--overwrite", "--dos", file)
    assert result.exit_code == 1 and "does not predict a density of states (mtt::dos), but" in result.output
    result = run("si.cif", "-p", "new.png", "-o", "new.json", "--dos", "no-model")
    assert result.exit_code == 1 and "error: there is no model with the name 'no-model'" in result.output
    assert not (tmp_path / "new.json").exists() and not (tmp_path / "new.png").exists()
    monkeypatch.setattr("electrain.calculators.ElectronicStructureModel", fails)
    result = run("si.cif", "-p", "new.png")
    assert result.exit_code == 0 and "note: no density of states beside the bands: it fails" in result.output
    assert (tmp_path / "new.png").exists()


def fails(*_, **__):
    raise ValueError("it fails")


def test_others_are_computed_beside_one_that_fails(run):
    result = run("ch4.xyz", "si.cif", "missing.cif", "-o", "out.json")
    assert result.exit_code == 1
    assert "error: ch4.xyz: expected a crystal, periodic in three directions, got a molecule" in result.output
    assert "error: missing.cif" in result.output
    assert "error: 2 of 3 could not be computed (see above)" in result.output
    assert [name for name, _ in read_bands("out.json")] == ["si.cif"]


def test_nothing_is_written_if_all_fail(run, tmp_path):
    assert run("ch4.xyz", "-o", "out.json").exit_code == 1
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--window", "-3", "3"], "--window needs a figure; add --plot"),
        (["--dos", "none"], "--dos needs a figure; add --plot"),
        (["--window", "3", "-3", "-p", "a.png"], "expected a window from a lower to a higher energy, got 3 to -3 eV"),
        (["-o", "a.txt"], "expected an output file that ends with .json or .csv, got a.txt"),
        (["-p", "a.txt"], "a.txt"),
    ],
)
def test_wrong_options(run, arguments, message):
    result = run("si.cif", *arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_another_model(run, tmp_path):
    result = CliRunner().invoke(app, ["bands", "si.cif", "-m", "electrain-small"])
    assert result.exit_code == 1
    assert "error: electrain-small predicts no bands (mtt::bands), but" in result.output
