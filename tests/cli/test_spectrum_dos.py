"""`electrain dos` with models of spectra on a fixed axis, as a user runs it."""

import csv
import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from phonons import AXIS, PHONON_TARGETS, save_phonon_model
from typer.testing import CliRunner

from electrain.calculators import SpectrumModel
from electrain.cli import app
from electrain.interface.quantities import ELECTRONIC_DOS, PHONON_DOS, PHONON_DOS_NORMALIZED
from electrain.plots.fixed_spectra import plot_spectra
from electrain.results import read_json
from electrain.spectra.fixed_axis import FixedAxis

TWO = [bulk("Si"), bulk("Si", cubic=True)]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return save_phonon_model(tmp_path_factory.mktemp("phonons") / "phonons.pt", (PHONON_DOS,))


@pytest.fixture
def run(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("two.xyz", TWO)
    bulk("Fe").write("fe.cif")

    def invoke(*arguments, models=(file,)):
        options = [option for model in models for option in ("-m", str(model))]
        return CliRunner().invoke(app, ["dos", *map(str, arguments), *options])

    return invoke


def test_table_and_files(run, file, tmp_path):
    result = run("two.xyz", "-o", "out.json", "-p", "out.png", "--window", "100", "600", "--batch-size", 2)
    assert result.exit_code == 0, result.output
    spectra = SpectrumModel(file, "cpu").predict(TWO)
    lines = result.output.splitlines()
    assert lines[0].split() == ["structure", "formula", "atoms", "states", "maximum", "(cm^-1)"]
    for line, spectrum in zip(lines[1:3], spectra, strict=True):
        states = AXIS.step * (spectrum.values.sum() - 0.5 * spectrum.values[[0, -1]].sum())
        peak = 20.0 * spectrum.values.argmax()
        assert line.split()[3:] == [spectrum.formula, str(len(spectrum.atoms)), f"{states:.2f}", f"{peak:g}"]
    assert lines[4] == f"mtt::phonon_dos: phonon density of states at {AXIS}"
    assert lines[5:] == ["wrote out.json", "wrote out.png"]
    content = json.loads((tmp_path / "out.json").read_text())["structures"]
    for found, spectrum in zip(content, spectra, strict=True):
        np.testing.assert_allclose(found["dos_states_per_inverse_cm"], spectrum.values, rtol=1e-6)
        np.testing.assert_allclose(found["wavenumber_per_cm"], AXIS.values(), rtol=1e-12)
        np.testing.assert_allclose(found["positions_angstrom"], spectrum.atoms.positions, atol=1e-6)
        assert (found["target"], found["formula"]) == (PHONON_DOS, spectrum.formula)
    assert [found["structure"] for found in content] == ["two.xyz, frame 0", "two.xyz, frame 1"]
    with pytest.raises(ValueError, match=r"of mtt::dos, but .*out\.json contains mtt::phonon_dos, which json"):
        read_json(tmp_path / "out.json")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_normalised_spectra_in_csv(run, tmp_path):
    both = save_phonon_model(tmp_path / "both.pt", PHONON_TARGETS)
    result = run("two.xyz", "--target", PHONON_DOS_NORMALIZED, "-o", "out.csv", models=[both])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1].split()[5] == "-"
    with (tmp_path / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["structure", "formula", "wavenumber_per_cm", "dos_normalised"]
    spectra = SpectrumModel(both, "cpu", target=PHONON_DOS_NORMALIZED).predict(TWO)
    values = np.concatenate([spectrum.values for spectrum in spectra])
    np.testing.assert_allclose([float(row["dos_normalised"]) for row in rows], values, rtol=1e-6)


def test_figures_have_the_unit_of_the_axis(file, tmp_path):
    phonons, other = plot_spectra(SpectrumModel(file).predict(TWO), names=["one", "two"]).axes
    assert other.get_xlabel() == "wavenumber (cm$^{-1}$)"
    assert phonons.get_ylabel() == "DOS (states/cm$^{-1}$)"
    assert (phonons.get_title("left"), other.get_title("left")) == ("one   Si$_2$", "two   Si$_8$")
    assert phonons.get_xlim() == (0.0, 1000.0)
    axis = FixedAxis(-5.0, 0.1, 101, "eV")
    electrons = SpectrumModel(save_phonon_model(tmp_path / "electrons.pt", (ELECTRONIC_DOS,), axis))
    (panel,) = plot_spectra([electrons.predict(TWO[0])], window=(-2.0, 9.0)).axes
    assert panel.get_xlabel() == r"$E - E_\mathrm{F}$ (eV)"
    assert panel.get_xlim() == (-2.0, 5.0)
    assert panel.get_ylabel() == "DOS (states/eV)"


def test_failures_are_reported_and_the_others_computed(run, tmp_path):
    result = run("fe.cif", "two.xyz", "none.cif", "-o", "out.json")
    assert result.exit_code == 1
    assert "error: fe.cif: the model does not know Fe" in result.output
    assert "error: 2 of 4 could not be computed (see above)" in result.output
    assert len(json.loads((tmp_path / "out.json").read_text())["structures"]) == 2
    assert run("fe.cif", "-o", "nothing.json").exit_code == 1
    assert not (tmp_path / "nothing.json").exists()


def test_options_that_make_no_sense(run, file, level_file, tmp_path):
    for arguments, models, message in (
        (
            ["--per-atom", "-o", "out.csv"],
            [file],
            f"--per-atom is for models of mtt::dos, but {file} is to",
        ),
        (["-T", "300"], [file], f"--temperature is for models of mtt::dos, but {file} is to predict mtt::phonon_dos"),
        (
            ["-p", "a.png", "--window", "2000", "3000"],
            [file],
            "expected a window from a lower to a higher value, both inside 0 to 1000 cm^-1",
        ),
        ([], [file, level_file], f"only models of mtt::dos are averaged, but {file} is to predict mtt::phonon_dos"),
    ):
        result = run("two.xyz", *arguments, models=models)
        assert result.exit_code == 1, result.output
        assert f"error: {message}" in result.output
        assert "formula" not in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fe.cif", "two.xyz"]
