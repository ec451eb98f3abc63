"""How results look, and what they become elsewhere."""

import json
import re
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from made_up_results import make_result

from electrain.results import ElectronicStructure, Ensemble, Uncertainty, open_writer, read_json, to_dict

SPREAD = Uncertainty(np.linspace(0.0, 1.0, 800) / 3, 0.1 / 3, None)
MEMBERS = Ensemble(np.random.default_rng(0).normal(size=(3, 800)), np.array([1.0, 2.0, 1 / 3]), None)


def fluorine() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=17 / 3)
    atoms.pbc = [True, False, True]
    atoms.info.update(charge=-1, spin_multiplicity=np.int64(2), spin="x", notes=object())
    return atoms


RESULTS = {
    "plain": make_result(bulk("Si")),
    "all": replace(make_result(fluorine(), per_atom=True), uncertainty=SPREAD, ensemble=MEMBERS, band_gap=1 / 3),
    "without a Fermi level": replace(make_result(Atoms("H")), fermi_level=None, band_gap=None, smearing=None),
}


@pytest.fixture(params=RESULTS)
def result(request):
    return RESULTS[request.param]


def assert_identical(found, expected):
    assert found.atoms == expected.atoms
    names = ("charge", "spin_multiplicity")
    assert [found.atoms.info.get(n) for n in names] == [expected.atoms.info.get(n) for n in names]
    for name in ("energies", "density_of_states", "local_density_of_states"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("band_gap", "fermi_level", "smearing"):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("uncertainty", "ensemble"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None)
        for a, b in zip(one or (), other or (), strict=True):
            np.testing.assert_array_equal(a, b)


def test_save_and_load(result, tmp_path):
    """To the last digit."""
    result.save(tmp_path / "result.json")
    assert_identical(ElectronicStructure.load(tmp_path / "result.json"), result)
    assert_identical(ElectronicStructure.load(str(tmp_path / "result.json")), result)


def test_dictionaries(result):
    content = result.to_dict()
    assert_identical(ElectronicStructure.from_dict(json.loads(json.dumps(content, allow_nan=False))), result)
    assert content["formula"] == result.formula


def test_units_in_all_keys():
    without = {"structure", "formula", "elements", "periodic", "charge", "spin_multiplicity"}
    without |= {"electrons_below_fermi_level"}
    assert all(key.endswith(("_eV", "_angstrom")) for key in set(RESULTS["all"].to_dict()) - without)


def test_files_of_the_command_have_no_ensembles(tmp_path):
    with open_writer(tmp_path / "out.json") as writer:
        writer.write(RESULTS["all"], "a")
    assert read_json(tmp_path / "out.json")[0][1].ensemble is None
    assert "dos_ensemble_states_per_eV" not in to_dict(RESULTS["all"])


def test_load_files_with_several_results(tmp_path):
    with open_writer(tmp_path / "out.json") as writer:
        for name in "ab":
            writer.write(RESULTS["plain"], name)
    text = f"expected one result in {tmp_path / 'out.json'}, found 2; electrain.results.read_json reads all of them"
    with pytest.raises(ValueError, match=re.escape(text)):
        ElectronicStructure.load(tmp_path / "out.json")


def test_wrong_endings(tmp_path):
    with pytest.raises(ValueError, match=r"ends with \.json or \.csv, got .*out\.txt"):
        RESULTS["plain"].save(tmp_path / "out.txt")
    RESULTS["plain"].save(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().startswith("structure,formula,band_gap_eV")


def test_texts():
    assert repr(RESULTS["plain"]) == (
        "<ElectronicStructure of Si2: 2 atoms; band gap 9.000 eV; Fermi level -1.500 eV; energies -20.01 to 19.94 eV "
        "from the Fermi level, 800 channels; density of states>"
    )
    assert str(RESULTS["all"]).splitlines() == [
        "Electronic structure of NaCl",
        "atoms        2",
        "band gap     0.333 ± 0.033 eV",
        "Fermi level  -1.500 eV on the model's own axis",
        "electrons    6.00",
        "energies     -20.01 to 19.94 eV from the Fermi level, 800 channels",
        "arrays       density of states, of each atom, uncertainty, ensemble",
    ]
    assert repr(RESULTS["without a Fermi level"]) == (
        "<ElectronicStructure of H: 1 atom; energies -20.01 to 19.94 eV on an axis with an arbitrary zero, 800 "
        "channels; density of states>"
    )


def test_html(result):
    text = result._repr_html_()
    assert text.startswith(f"<table><caption>Electronic structure of {result.formula}</caption><tr><th")
    assert 'src="data:image/png;base64,iVBOR' in text and text.count("<tr>") == text.count("</tr>") >= 3
    assert plt.get_fignums() == []  # notebooks would show the figure twice


def test_pandas(result):
    pandas = pytest.importorskip("pandas")
    table = result.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    np.testing.assert_array_equal(table.index, result.energies)
    np.testing.assert_array_equal(table["dos_states_per_eV"], result.density_of_states)
    assert table.index.name == ("energy_minus_fermi_eV" if result.relative_to_fermi_level else "energy_model_zero_eV")
    assert all(column.endswith("_states_per_eV") for column in table)
    assert table.attrs["formula"] == result.formula and table.attrs["band_gap_eV"] == result.band_gap


def test_columns_of_atoms():
    pytest.importorskip("pandas")
    table = RESULTS["all"].to_pandas()
    assert list(table) == [
        *("dos_states_per_eV", "dos_uncertainty_states_per_eV", "Na_0_dos_states_per_eV", "Cl_1_dos_states_per_eV")
    ]
    np.testing.assert_allclose(table.iloc[:, 2:].sum(axis=1), table["dos_states_per_eV"])


def test_pandas_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_pandas\(\) needs pandas: pip install electrain\[pandas\]"):
        RESULTS["plain"].to_pandas()


def test_local_densities_in_pymatgen():
    pytest.importorskip("pymatgen")
    salt = make_result(bulk("NaCl", "rocksalt", a=5.6), per_atom=True)
    dos = salt.to_pymatgen()
    for site, values in zip(dos.structure, salt.local_density_of_states, strict=True):
        np.testing.assert_array_equal(dos.get_site_dos(site).get_densities(), values)
    of_elements = {str(element): spectrum.get_densities() for element, spectrum in dos.get_element_dos().items()}
    for symbol, values in salt.element_density_of_states().items():
        np.testing.assert_allclose(of_elements[symbol], values)
    again = type(dos).from_dict(json.loads(json.dumps(dos.as_dict())))
    np.testing.assert_array_equal(again.get_site_dos(again.structure[1]).get_densities(), values)


def test_overlaid_plots():
    ax = RESULTS["plain"].plot(color="C3", lw=3, label="silicon", window=(-6, 6))
    higher = make_result(molecule("H2O"))
    assert higher.plot(ax=ax, c="C2", ls=":", label="water", window=(-10, 5)) is ax
    first, second = (line for line in ax.lines if len(line.get_xdata()) > 2)
    assert (first.get_color(), first.get_linewidth(), second.get_color(), second.get_linestyle()) == (
        "C3",
        3,
        "C2",
        ":",
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["occupied", "silicon", "water"]
    assert ax.get_xlim() == (-10, 6) and ax.get_ylim()[1] > higher.density_of_states.max()
    assert ax.get_title(loc="left").startswith("Si$_2$")
    with pytest.raises(AttributeError, match="unexpected keyword argument 'colour'"):
        RESULTS["plain"].plot(colour="red")
    plt.close("all")
