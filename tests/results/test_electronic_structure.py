"""Results, their conversions, files and plots."""

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, molecule
from made_up_results import make_result

from electrain.files.replacing import replacing
from electrain.results import ElectronicStructure, open_writer, read_json, to_dict


@pytest.fixture
def salt() -> ElectronicStructure:
    return make_result(bulk("NaCl", "rocksalt", a=5.6), per_atom=True)


def integral(energies, values):
    return np.sum(values) * (energies[1] - energies[0])


def test_counts_electrons(salt):
    assert salt.num_electrons == pytest.approx(2 * (1 + 2))
    assert make_result(molecule("H2O")).num_electrons == pytest.approx(2 * (1 + 2 + 3))


def test_formula_and_labels(salt):
    assert salt.formula == "NaCl"
    assert make_result(bulk("Si")).formula == "Si2"


def test_elements(salt):
    by_element = make_result(molecule("H2O"), per_atom=True).element_density_of_states()
    assert list(by_element) == ["O", "H"]
    np.testing.assert_allclose(by_element["H"], 5 * by_element["O"], atol=1e-12)
    np.testing.assert_allclose(sum(salt.element_density_of_states().values()), salt.density_of_states)
    with pytest.raises(ValueError, match="no local density of states was predicted; request it with per_atom=True"):
        make_result(bulk("Si")).element_density_of_states()


def test_ase(salt):
    total = salt.to_ase()
    assert total.info == {"label": "NaCl"}
    assert integral(total.get_energies(), total.get_weights()) == pytest.approx(12)
    collection = salt.to_ase_collection()
    assert [entry.info for entry in collection] == [{"symbol": "Na", "index": "0"}, {"symbol": "Cl", "index": "1"}]
    np.testing.assert_allclose(collection.sum_all().get_weights(), salt.density_of_states)
    with pytest.raises(ValueError, match="no local density of states"):
        make_result(bulk("Si")).to_ase_collection()


def test_pymatgen(salt):
    dos_module = pytest.importorskip("pymatgen.electronic_structure.dos")
    crystal = salt.to_pymatgen()
    assert isinstance(crystal, dos_module.CompleteDos)
    assert crystal.structure.formula == "Na1 Cl1"
    assert crystal.efermi == 0
    assert integral(crystal.energies, crystal.get_densities()) == pytest.approx(12)
    # From the filled to the empty peak, less a few smearings on each side.
    assert 5.5 < crystal.get_gap(tol=1e-3) < 9
    water = make_result(molecule("H2O", vacuum=3)).to_pymatgen()
    assert type(water) is dos_module.Dos
    assert integral(water.energies, water.get_densities()) == pytest.approx(24)


def test_pymatgen_is_missing(salt, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymatgen.electronic_structure.core", None)
    with pytest.raises(ImportError, match=r"needs pymatgen: pip install electrain\[pymatgen\]"):
        salt.to_pymatgen()


def test_pymatgen_needs_a_fermi_level(salt):
    with pytest.raises(ValueError, match="pymatgen needs a Fermi level, but the model predicts none"):
        replace(salt, fermi_level=None).to_pymatgen()


def test_json_round_trip(salt, tmp_path):
    path = tmp_path / "out.json"
    water = make_result(molecule("H2O"))
    unknown = replace(water, fermi_level=None, band_gap=None, smearing=None)
    written = [("NaCl.cif", salt), ("water.xyz, frame 3", water), ("water.xyz, frame 3", unknown)]
    with open_writer(path) as writer:
        for name, result in written:
            writer.write(result, name)
    for (name, result), (read_name, read) in zip(written, read_json(path), strict=True):
        assert (read_name, read.atoms, read.smearing) == (name, result.atoms, result.smearing)
        assert (read.band_gap, read.fermi_level) == (result.band_gap, result.fermi_level)
        np.testing.assert_allclose(read.energies, result.energies, atol=1e-6)
        np.testing.assert_allclose(read.density_of_states, result.density_of_states, rtol=1e-7)
        assert (read.local_density_of_states is None) == (result.local_density_of_states is None)
    np.testing.assert_allclose(read_json(path)[0][1].local_density_of_states, salt.local_density_of_states, rtol=1e-7)
    content = json.loads(path.read_text())
    assert content["created_by"].startswith("electrain ")
    assert content["structures"][1]["electrons_below_fermi_level"] == pytest.approx(12)


def test_names_in_json_carry_units(salt):
    numbers = set(to_dict(salt)) - {"structure", "formula", "elements", "periodic", "electrons_below_fermi_level"}
    assert all(name.endswith(("_eV", "_angstrom")) for name in numbers)
    assert "energy_minus_fermi_eV" in to_dict(salt)
    assert "energy_model_zero_eV" in to_dict(replace(salt, fermi_level=None))


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv(tmp_path):
    path = tmp_path / "out.csv"
    results = {"Si, frame 0": make_result(bulk("Si")), "water": make_result(molecule("H2O"))}
    with open_writer(path) as writer:
        for name, result in results.items():
            writer.write(result, name)
    rows = read_csv(path)
    assert len(rows) == 2 * 800
    assert list(rows[0]) == [
        *("structure", "formula", "band_gap_eV", "fermi_level_on_model_axis_eV"),
        *("electrons_below_fermi_level", "energy_minus_fermi_eV", "dos_states_per_eV"),
    ]
    for name, result in results.items():
        own = [row for row in rows if row["structure"] == name]
        assert {(row["formula"], row["band_gap_eV"]) for row in own} == {(result.formula, "9.000000")}
        assert {row["electrons_below_fermi_level"] for row in own} == {f"{result.num_electrons:.6f}"}
        energies = [float(row["energy_minus_fermi_eV"]) for row in own]
        values = [float(row["dos_states_per_eV"]) for row in own]
        np.testing.assert_allclose(energies, result.energies, atol=1e-6)
        np.testing.assert_allclose(values, result.density_of_states, rtol=1e-7)


def test_csv_per_atom(salt, tmp_path):
    path = tmp_path / "out.csv"
    with open_writer(path) as writer:
        writer.write(replace(salt, fermi_level=None, band_gap=None), "salt")
    rows = read_csv(path)
    assert len(rows) == 3 * 800
    assert {(row["atom"], row["element"]) for row in rows} == {("all", ""), ("0", "Na"), ("1", "Cl")}
    unknown = ("band_gap_eV", "fermi_level_on_model_axis_eV", "electrons_below_fermi_level")
    assert {row[name] for row in rows for name in unknown} == {""}
    assert "energy_model_zero_eV" in rows[0]
    chlorine = [float(row["dos_states_per_eV"]) for row in rows if row["atom"] == "1"]
    np.testing.assert_allclose(chlorine, salt.local_density_of_states[1], rtol=1e-7)


def test_nothing_half_written(salt, tmp_path):
    path = tmp_path / "out.json"
    path.write_text("from before")
    with pytest.raises(ZeroDivisionError), open_writer(path) as writer:
        writer.write(salt, "salt")
        raise ZeroDivisionError
    assert path.read_text() == "from before"
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_cannot_be_written(tmp_path):
    with (
        pytest.raises(ValueError, match=r"ends with \.json or \.csv, got .*out\.txt"),
        open_writer(tmp_path / "out.txt"),
    ):
        pass
    with (
        pytest.raises(OSError, match=r"cannot write .*out\.json: No such file or directory"),
        replacing(tmp_path / "missing" / "out.json"),
    ):
        pass
    with pytest.raises(OSError, match=r"cannot write .*: it is a folder"), replacing(tmp_path):
        pass
