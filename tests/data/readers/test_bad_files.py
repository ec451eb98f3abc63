"""Files that cannot be used: each comes back with its path and a reason, and no other error."""

import dataclasses
import gzip
import json
import pickle
import sys

import numpy as np
import pytest
from writers import (
    WRITERS,
    occupations_of,
    unchecked,
    write_abinit,
    write_gpaw,
    write_quantum_espresso_xml,
    write_vasp,
)

from electrain.data import CalculationError, Rejected, read_calculations, read_quantum_espresso_xml

REAL_AND_BAD = {
    "mg_unconv.xml": "expected a converged calculation, got one that did not converge",
    "mg_unconv.out": "expected a converged calculation, got 'convergence NOT achieved'",
    "mg_manyk.out": r"expected eigenvalues, got none; pw.x prints them with verbosity='high'",
    "mg_bands.xml": "expected a calculation of kind scf, relax, vc-relax, md, vc-md, nscf, got bands",
    "mg_bands.out": "expected a Fermi level or a highest occupied level, got neither",
    "al_two_levels.xml": r"expected one Fermi level, got \[12.306\d* +4.214\d*\] eV \(fixed magnetization\)",
    "al_two_levels.out": r"expected one Fermi level, got 12.3060 and 4.2140 eV \(fixed magnetization\)",
    "al_fixmag.gpw": r"expected one Fermi level, got \[9.823\d* 4.656\d*\] eV \(fixed magnetization\)",
    "al_unconv.gpw": r"expected an energy, got none \(not converged, or run with a fixed density\)",
    "al_unconv_GSR.nc": r"change by at most 0.0001 eV per atom in the last step, got 0.012 \(not converged\)",
}

LINES = (
    "expected a k-point mesh, got k-points along lines, which have no weights; for bands along a path, use electrain "
    "prepare --bands"
)


def reason_for(path) -> str:
    (rejected,) = read_calculations(path)
    assert isinstance(rejected, Rejected)
    assert rejected.source == str(path)
    return rejected.reason


@pytest.mark.parametrize("name", REAL_AND_BAD)
def test_real_files_that_cannot_be_used(real_file, name):
    if name.endswith(".nc"):
        pytest.importorskip("netCDF4")
    with pytest.raises(ValueError, match=REAL_AND_BAD[name]):
        raise ValueError(reason_for(real_file(name)))


WHOLE = ["mg_metal.xml", "mg_metal.out", "al.gpw", "al_spin_GSR.nc", "vasprun.xml"]
DAMAGED = "is damaged or has another format|ends before|in none of them"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
@pytest.mark.parametrize("name", WHOLE)
def test_truncated_files(real_file, metal, tmp_path, name, share):
    if name == "vasprun.xml":
        pytest.importorskip("pymatgen")
        path = tmp_path / name
        write_vasp(path, metal())
    else:
        if name.endswith(".nc"):
            pytest.importorskip("netCDF4")
        path = real_file(name)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=DAMAGED):
        raise ValueError(reason_for(path))


@pytest.mark.parametrize("name", ["packed.xml.xz", "packed.out.gz"])
def test_files_that_are_not_packed_as_they_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not packed")
    assert "expected a compressed file, but it is damaged or has another format" in reason_for(tmp_path / name)


def test_damage_inside_of_a_packed_file(real_file, tmp_path):
    text = real_file("mg_metal.xml").read_bytes()
    good, begin_of_another = gzip.compress(text[:20_000]), gzip.compress(text[20_000:])[:10]
    (tmp_path / "mg.xml.gz").write_bytes(good + begin_of_another + b"\xff" * 1000)
    assert "it is damaged or has another format (error: Error -3" in reason_for(tmp_path / "mg.xml.gz")
    (tmp_path / "mg.xml.gz").write_bytes(begin_of_another + b"\xff" * 1000)
    assert "it is damaged or has another format (Error -3" in reason_for(tmp_path / "mg.xml.gz")


@pytest.mark.parametrize("name", ["vasprun.xml", "empty.gpw", "data-file-schema.xml.gz"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
    assert reason_for(tmp_path / name) == "expected a calculation, got an empty file"


def test_an_unknown_file_is_told_what_is_known(tmp_path):
    (tmp_path / "POSCAR").write_text("Si2\n1.0\n")
    reason = reason_for(tmp_path / "POSCAR")
    assert reason.startswith("expected one of the formats extended XYZ, Quantum ESPRESSO (XML), ")
    assert reason.endswith("got a file in none of them")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_calculations(tmp_path / "missing.xml"))


def write(name, path, calculation):
    if package := {"vasprun.xml": "pymatgen", "mgo_GSR.nc": "netCDF4"}.get(name):
        pytest.importorskip(package)
    WRITERS[name](path, calculation)


# GPAW writes no number of electrons.
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "mg.gpw"])
def test_a_wrong_number_of_electrons(metal, tmp_path, name):
    right = metal()
    wrong = unchecked(right, num_electrons=right.num_electrons + 3, occupations=occupations_of(right))
    write(name, tmp_path / name, wrong)
    (rejected,) = read_calculations(tmp_path / name)
    assert f"expected {wrong.num_electrons:g} electrons, but the weighted" in rejected.reason


# Extended XYZ has no occupations, and counts states.
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "calculation.xyz"])
def test_a_wrong_fermi_level(metal, tmp_path, name):
    write(name, tmp_path / name, unchecked(metal(), fermi_level=6.0))
    assert "expected filled states below and empty states above the Fermi level, 6 eV" in reason_for(tmp_path / name)


def test_negative_weights(metal, tmp_path):
    weights = np.array([0.5, 0.5, 0.5, 0.5, 0.5, -0.5])
    calculation = metal()
    wrong = unchecked(calculation, weights=weights, occupations=occupations_of(calculation))
    write_quantum_espresso_xml(tmp_path / "mg.xml", wrong)
    assert reason_for(tmp_path / "mg.xml") == "expected k-point weights of at least 0, got -0.5 at k-point 5"


def test_weights_of_one_channel_only(metal, tmp_path):
    wrong = unchecked(metal(), weights=metal().weights / 2)
    write_quantum_espresso_xml(tmp_path / "mg.xml", wrong)
    assert reason_for(tmp_path / "mg.xml") == "expected k-point weights that sum to 2 (1 spin channel), got 1"


def test_a_run_of_quantum_espresso_that_did_not_end(metal, tmp_path):
    path = tmp_path / "mg.xml"
    write_quantum_espresso_xml(path, metal())
    text = path.read_text()
    path.write_text(text[: text.index("<output>")] + text[text.index("</output>") + 9 :])
    assert reason_for(path) == "expected results, got none (the run did not finish)"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_steps": 60}, "expected a converged calculation, got one that did not converge"),
        (
            {"lines": True},
            LINES,
        ),
        ({"doses": False}, "expected a Fermi level (written together with the density of states), got none"),
    ],
)
def test_runs_of_vasp_that_cannot_be_used(metal, tmp_path, changes, reason):
    pytest.importorskip("pymatgen")
    write_vasp(tmp_path / "vasprun.xml", metal(), **changes)
    assert reason_for(tmp_path / "vasprun.xml") == reason


def test_lines_of_k_points_of_abinit(metal, tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    write_abinit(tmp_path / "o_GSR.nc", metal())
    with netcdf.Dataset(tmp_path / "o_GSR.nc", "a") as file:
        file.variables["kptopt"][...] = -2
    assert reason_for(tmp_path / "o_GSR.nc") == LINES


def test_an_old_file_of_gpaw(metal, tmp_path):
    write_gpaw(tmp_path / "old.gpw", metal())
    content = (tmp_path / "old.gpw").read_bytes()
    assert content.count(b'"version": 7') == 1
    (tmp_path / "old.gpw").write_bytes(content.replace(b'"version": 7', b'"version": 2'))
    assert reason_for(tmp_path / "old.gpw") == "expected a .gpw file of version 3 or later, got 2"


def test_a_density_of_states_without_a_structure(tmp_path):
    pytest.importorskip("pymatgen")
    content = {"@module": "pymatgen.electronic_structure.dos", "@class": "Dos", "efermi": 0.0}
    (tmp_path / "dos.json").write_text(json.dumps(content))
    assert reason_for(tmp_path / "dos.json") == "expected a CompleteDos, which has a structure, got Dos"


@pytest.mark.parametrize(("name", "package"), [("vasprun.xml", "pymatgen"), ("mgo_GSR.nc", "netCDF4")])
def test_a_missing_package_is_no_bad_file(metal, tmp_path, monkeypatch, name, package):
    write(name, tmp_path / name, metal())
    for module in ("pymatgen.io.vasp", "pymatgen.core", "netCDF4"):
        monkeypatch.setitem(sys.modules, module, None)
    extra = {"pymatgen": "pymatgen", "netCDF4": "abinit"}[package]
    with pytest.raises(ImportError, match=rf"needs {package}: pip install electrain\[{extra}\]"):
        list(read_calculations(tmp_path / name))


def test_the_error_names_path_and_reason(real_file):
    path = real_file("mg_unconv.xml")
    with pytest.raises(CalculationError, match=r"mg_unconv.xml: expected a converged calculation") as caught:
        read_quantum_espresso_xml(path)
    assert (caught.value.source, caught.value.reason[:8]) == (str(path), "expected")
    # Workers send it to the process that lists it.
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


def test_two_channels_of_noncollinear_spins(metal):
    collinear = metal("collinear")
    with pytest.raises(CalculationError, match="expected the states of noncollinear spins in one channel, got two"):
        dataclasses.replace(collinear, noncollinear=True)
