"""`electrain thermo` with a model of phonons, as a user runs it."""

import csv
import json
import re

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from phonons import AXIS, PHONON_TARGETS, save_phonon_model
from typer.testing import CliRunner

from electrain.calculators import SpectrumModel
from electrain.cli import app
from electrain.interface.quantities import ELECTRONIC_DOS, PHONON_DOS, PHONON_DOS_NORMALIZED
from electrain.spectra.fixed_axis import FixedAxis
from electrain.thermodynamics.phonons import JOULE_PER_MOLE, PhononIntegrals

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
        return CliRunner().invoke(app, ["thermo", *map(str, arguments), *options])

    return invoke


def expected(file, kelvin, **options):
    model = SpectrumModel(file, "cpu", **options)
    integrals = PhononIntegrals(model.axis, kelvin)
    return [integrals.thermodynamics(spectrum) for spectrum in model.predict(TWO)]


def test_table_of_each_structure(run, file):
    result = run("two.xyz")
    assert result.exit_code == 0, result.output
    one, two = expected(file, np.arange(0.0, 1001.0, 100.0))
    lines = result.output.splitlines()
    energy = 1e3 * one.zero_point_energy / 2
    modes = f"6 modes ({one.predicted_modes:.2f} predicted), zero-point energy {energy:.2f} meV/atom"
    assert lines[0] == f"two.xyz, frame 0: Si2, {modes}"
    assert lines[1].startswith(f"note: {one.predicted_modes:.2f} modes were predicted instead of 6 (")
    rows = [line.split() for line in lines if line.split() and line.split()[0] in ("0", "300", "1000")]
    found = np.array(rows, dtype=float)
    assert found[:, 0].tolist() == [0.0, 300.0, 1000.0] * 2
    for part, result_of_one in zip(np.split(found, 2), (one, two), strict=True):
        quantities, molar = result_of_one.quantities, JOULE_PER_MOLE / result_of_one.num_atoms
        chosen = [0, 3, 10]
        np.testing.assert_allclose(part[:, 1], quantities.heat_capacity[chosen] * molar, atol=6e-4)
        np.testing.assert_allclose(part[:, 2], quantities.entropy[chosen] * molar, atol=6e-4)
        np.testing.assert_allclose(part[:, 3], quantities.internal_energy[chosen] * molar / 1e3, atol=6e-5)
        np.testing.assert_allclose(part[:, 4], quantities.free_energy[chosen] * molar / 1e3, atol=6e-5)
    assert "All values per mole of atoms." in result.output
    assert "24.943 J/(mol K). Energies: with the zero-point energy" in result.output


def test_json_and_figure(run, file, tmp_path):
    result = run("two.xyz", "-T", "50,300", "-o", "out.json", "-p", "out.png", "--batch-size", 2)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["model"] == str(file)
    for found, one in zip(content["structures"], expected(file, [50.0, 300.0]), strict=True):
        columns = found["temperatures"]
        assert columns["temperature_K"] == [50.0, 300.0]
        np.testing.assert_allclose(columns["free_energy_eV"], one.quantities.free_energy, rtol=1e-9)
        per_atom = one.quantities.heat_capacity / one.num_atoms
        np.testing.assert_allclose(columns["heat_capacity_eV_per_K_per_atom"], per_atom, rtol=1e-9)
        # phonopy's units: per mole of cells
        molar = one.quantities.entropy * 96485.33212
        np.testing.assert_allclose(columns["entropy_J_per_K_per_mol"], molar, rtol=1e-8)
        molar = one.quantities.internal_energy * 96.48533212
        np.testing.assert_allclose(columns["internal_energy_kJ_per_mol"], molar, rtol=1e-8)
        np.testing.assert_allclose(found["spectrum"]["wavenumber_per_cm"], AXIS.values(), rtol=1e-12)
        dos = found["spectrum"]["dos_states_per_inverse_cm"]
        np.testing.assert_allclose(dos, one.density_of_states, rtol=1e-9)
        assert (found["modes"], found["atoms"]) == (3 * one.num_atoms, one.num_atoms)
        assert found["notes"] == one.notes and abs(found["predicted_modes"] - one.predicted_modes) < 1e-9
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "wrote out.json\nwrote out.png\n" in result.output


def test_csv(run, file, tmp_path):
    assert run("two.xyz", "-T", "0:400:200", "-o", "out.csv").exit_code == 0
    with (tmp_path / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["structure"] for row in rows] == ["two.xyz, frame 0"] * 3 + ["two.xyz, frame 1"] * 3
    assert [float(row["temperature_K"]) for row in rows] == [0.0, 200.0, 400.0] * 2
    one, two = expected(file, [0.0, 200.0, 400.0])
    values = [float(row["heat_capacity_eV_per_K"]) for row in rows]
    together = [*one.quantities.heat_capacity, *two.quantities.heat_capacity]
    np.testing.assert_allclose(values, together, rtol=1e-8)
    with (tmp_path / "out_dos.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["structure", "formula", "wavenumber_per_cm", "dos_states_per_inverse_cm"]
    assert (len(rows), rows[0]["formula"], rows[-1]["formula"]) == (2 * AXIS.size, "Si2", "Si8")


def test_one_of_several_spectra(run, tmp_path):
    """A normalised spectrum has no number of modes; which one is meant must be said."""
    both = save_phonon_model(tmp_path / "both.pt", PHONON_TARGETS)
    result = run("two.xyz", "--target", PHONON_DOS_NORMALIZED, "-T", "300", models=[both])
    assert result.exit_code == 0, result.output
    one, _ = expected(both, [300.0], target=PHONON_DOS_NORMALIZED)
    assert result.output.startswith("two.xyz, frame 0: Si2, 6 modes, zero-point energy")
    assert f"{one.quantities.heat_capacity[0] * JOULE_PER_MOLE / 2:.3f}" in result.output
    result = run("two.xyz", models=[both])
    assert result.exit_code == 1
    assert f"error: {both} predicts several spectra; choose one as target: mtt::phonon_dos, mtt::ph" in result.output


def test_failures_are_reported_and_the_others_computed(run, tmp_path):
    result = run("fe.cif", "two.xyz", "none.cif", "-T", "300", "-o", "out.json")
    assert result.exit_code == 1
    assert "error: fe.cif: the model does not know Fe; it knows the elements H C N O Si" in result.output
    assert "error: none.cif: no such file" in result.output
    assert "error: 2 of 4 could not be computed (see above)" in result.output
    assert len(json.loads((tmp_path / "out.json").read_text())["structures"]) == 2
    result = run("fe.cif", "-o", "nothing.json")
    assert result.exit_code == 1 and "All values" not in result.output
    assert not (tmp_path / "nothing.json").exists()


def test_options_that_make_no_sense(run, file, level_file, tmp_path):
    electrons = save_phonon_model(tmp_path / "electrons.pt", (ELECTRONIC_DOS,), FixedAxis(-5.0, 0.1, 101, "eV"))
    for code, arguments, models, message in (
        (
            1,
            ["--per-electron"],
            [file],
            "--per-electron is for electrons, but .* predicts mtt::phonon_dos: leave",
        ),
        (1, [], [file, level_file], "only models of mtt::dos are averaged, but .* is to predict mtt::phonon_dos: give"),
        (
            1,
            [],
            [electrons],
            r"predicts mtt::electronic_dos \(electronic density of states\): expected a phonon",
        ),
        (
            1,
            ["--target", "mtt::dos"],
            [file],
            r"does not predict a density of states \(mtt::dos\), but mtt::phonon",
        ),
        (
            1,
            ["--target", PHONON_DOS],
            [level_file],
            "predicts no spectrum on a fixed axis, such as mtt::phonon_dos",
        ),
        (2, ["-T", "-5,300"], [file], r"expected temperatures of 0 K, or at least 0\.001 K, got -5"),
        (2, ["-T", "hot"], [file], "or 300,600,900 in K, got 'hot'"),
        (2, ["-T", "0:9999:1"], [file], "expected at most 2,000 temperatures, got 0:9999:1: choose a larger step"),
        (2, ["-o", "out.txt"], [file], r"expected an output file that ends with \.json or \.csv, got out\.txt"),
    ):
        result = run("two.xyz", *arguments, models=models)
        assert result.exit_code == code, result.output
        assert re.search(message, result.output), result.output
