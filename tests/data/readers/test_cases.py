"""Files as users have them, that were refused or misread once."""

import json
import lzma
import re
from pathlib import Path

import numpy as np
import pytest

from electrain.data import Calculation, read_calculations, read_pymatgen_dos
from electrain.data.calculation import Rejected
from electrain.data.readers import is_source
from electrain.data.sampled_spectrum import SampledSpectrum
from electrain.interface.quantities import ENERGY, FORCES

CASES = Path(__file__).parents[1] / "cases"


@pytest.fixture
def case(tmp_path):
    """The one calculation in a case's file, as users have it."""

    def read(name: str, edit=lambda text: text):
        text = lzma.decompress((CASES / f"{name}.xz").read_bytes()).decode()
        path = tmp_path / name
        path.write_text(edit(text))
        assert is_source(path)
        (found,) = read_calculations(path)
        return found

    return read


@pytest.mark.parametrize("name", ["algoint_vasprun.xml", "kinter_vasprun.xml"])
def test_what_pymatgen_stumbles_over_in_vasprun(case, name):
    """`ALGO = 53`, and asterisks for an integer: neither is used."""
    found = case(name)
    assert isinstance(found, Calculation)
    assert found.eigenvalues.shape[1] == len(found.weights) == len(found.k_points)
    assert ENERGY in found.values and FORCES in found.values
    assert found.code.startswith("VASP")


def test_forces_that_are_not_numbers(case):
    """They cost themselves only."""
    found = case("nanforces_vasprun.xml")
    assert isinstance(found, Calculation)
    assert FORCES not in found.values and np.isfinite(found.values[ENERGY])


def test_fixed_magnetization_of_vasp(case):
    found = case("o2_nupdown2_vasprun.xml")
    assert isinstance(found, Rejected)
    assert found.reason == "expected one Fermi level, got a fixed magnetization (NUPDOWN = 2)"


def test_tetrahedron_method(case):
    """Partly filled states of a coarse mesh: some more of them in a larger cell."""
    found = case("tetra_vasprun.xml")
    assert isinstance(found, Calculation)
    filled = np.einsum("k,skn->", found.weights, found.occupations)
    assert filled == pytest.approx(found.num_electrons, abs=0.01)


def test_pw_before_6_4(case):
    """Without a word about convergence: the last error against the threshold."""
    found = case("qe63.xml")
    assert isinstance(found, Calculation) and found.code == "Quantum ESPRESSO 6.3"
    worse = case("qe63.xml", lambda text: text.replace("<scf_error>3.0e-8", "<scf_error>3.0e-6"))
    assert worse.reason == "expected a converged calculation, got one that did not converge"


def test_occupations_from_input(case):
    found = case("qe_frominput.xml")
    assert isinstance(found, Calculation)
    filled, empty = found.occupations > 0.5, found.occupations < 0.5
    assert found.eigenvalues[filled].max() < found.fermi_level < found.eigenvalues[empty].min()


@pytest.mark.parametrize("name", ["dos_module_late.json", "dos_nomodule.json"])
def test_pymatgen_dos_by_its_entries(case, name):
    found = case(name)
    assert isinstance(found, SampledSpectrum)
    assert found.fermi_level == 0.2 and str(found.atoms.symbols) == "Si"
    np.testing.assert_allclose(found.atoms.cell.lengths(), 4.0)


def test_json_of_others(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"energies": [1, 2], "efermi": 0.0}))
    assert not is_source(path)


def test_a_density_of_states_runs_nothing(tmp_path, monkeypatch):
    """Whatever module a file names, it is not imported."""
    content = json.loads(lzma.decompress((CASES / "dos_nomodule.json.xz").read_bytes()))
    (tmp_path / "payload.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    payload = {"@module": "payload", "@class": "Payload"}
    content["structure"] |= {**payload, "properties": payload}
    content["structure"]["sites"][0]["properties"] = payload
    path = tmp_path / "dos.json"
    path.write_text(json.dumps(content))
    assert len(read_pymatgen_dos(path).atoms) == 1


def test_disordered_sites(tmp_path):
    content = json.loads(lzma.decompress((CASES / "dos_nomodule.json.xz").read_bytes()))
    content["structure"]["sites"][0]["species"] = [{"element": "Si", "occu": 0.5}, {"element": "Ge", "occu": 0.5}]
    path = tmp_path / "dos.json"
    path.write_text(json.dumps(content))
    (found,) = read_calculations(path)
    assert found.reason == "expected every site fully occupied by one element, got Si 0.5, Ge 0.5 at 0"


def test_reasons_are_sentences(case):
    found = case("algoint_vasprun.xml", lambda text: text.replace("NELECT", "NELECTRONS"))
    assert "the entry 'NELECT' is missing" in found.reason
    empty = case("algoint_vasprun.xml", lambda text: re.sub("<kpoints>.*?</kpoints>", "", text, flags=re.DOTALL))
    assert "NoneType" not in empty.reason and "Error" not in empty.reason
    empty = case("qe63.xml", lambda text: re.sub("<ks_energies>.*</ks_energies>", "", text, flags=re.DOTALL))
    assert empty.reason == "expected eigenvalues, got none"
