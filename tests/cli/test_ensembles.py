"""Several models on the command line."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from electrain.calculators import ElectronicStructureEnsemble
from electrain.cli import app
from electrain.results import read_json


@pytest.fixture(scope="module")
def files(save_models):
    return save_models(2)


@pytest.fixture
def run(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("al.xyz", [bulk("Al"), bulk("Al", a=4.2)])

    def invoke(command, *arguments, models=files):
        options = [part for file in models for part in ("-m", str(file))]
        return CliRunner().invoke(app, [command, *arguments, *options])

    return invoke


def test_dos(run, files):
    result = run("dos", "al.xyz", "-T", "1000", "-o", "al.json", "--plot", "al.png", "--per-atom")
    assert result.exit_code == 0, result.output
    assert "±: spread of the 2 models (one standard deviation, not calibrated)." in result.output
    ensemble = ElectronicStructureEnsemble(files, "cpu")
    for (name, read), atoms in zip(read_json("al.json"), ase.io.read("al.xyz", ":"), strict=True):
        expected = ensemble.predict(atoms)
        np.testing.assert_allclose(read.density_of_states, expected.density_of_states, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(read.uncertainty.fermi_level, expected.uncertainty.fermi_level, rtol=1e-6)
        (row,) = [line for line in result.output.splitlines() if line.startswith(name)]
        spreads = expected.uncertainty
        for value, spread in ((expected.band_gap, spreads.band_gap), (expected.fermi_level, spreads.fermi_level)):
            assert f" {value:.2f} ± {spread:.2f} " in row
        capacity = expected.heat_capacity(1000)
        assert row.endswith(f"± {capacity.uncertainty[0] / 8.617333262145179e-5:.4f}")


def test_thermo(run):
    result = run("thermo", "al.xyz", "-T", "1000")
    assert result.exit_code == 0, result.output
    assert "±: uncertainty of the model, from its ensemble." in result.output


def test_wrong_models(run, files, dos_only_file):
    result = run("dos", "al.xyz", models=[files[0], files[0]])
    assert result.exit_code == 2 and "error: expected different models for an ensemble, got" in result.output
    result = run("dos", "al.xyz", models=[files[0], dos_only_file])
    assert result.exit_code == 1 and "error: expected models with the same " in result.output
    result = run("dos", "al.xyz", "-o", str(files[1]), "--overwrite")
    assert result.exit_code != 0 and files[1].stat().st_size > 10000


def test_wrong_evaluations(run, files, tmp_path):
    for models, options, message in (
        (files[:1], [], "expected at least two models for an ensemble"),
        (files, ["--training-sizes", "3,2"], "expected an ensemble or numbers of training structures"),
    ):
        result = run("evaluate", "data", "-o", "report", "--ensemble", *options, models=models)
        assert result.exit_code == 2 and f"error: {message}" in result.output
