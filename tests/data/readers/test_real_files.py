"""Files that the codes wrote: pw.x 6.7, GPAW 26.7.0 and ABINIT 9.6.2, with settings chosen to be small."""

from pathlib import Path

import numpy as np
import pytest

from electrain.data import (
    Calculation,
    read_abinit,
    read_calculations,
    read_gpaw,
    read_quantum_espresso_text,
    read_quantum_espresso_xml,
)
from electrain.interface.quantities import ENERGY, FORCES, STRESS

# name: spins, k-points, bands, spin treatment, electrons, as the text output says; the Fermi level in eV
PW_RUNS = {
    "mg_metal": ((1, 6, 8), "unpolarised", 4, 3.8925),
    "mg_spin": ((2, 4, 8), "collinear", 4, 2.5228),
    "mg_nc": ((1, 4, 14), "noncollinear", 4, 2.5041),
    "si_fixed": ((1, 6, 8), "unpolarised", 8, (6.5883 + 6.8743) / 2),
    "si_md": ((1, 6, 8), "unpolarised", 8, (6.7499 + 6.8167) / 2),
}


@pytest.mark.parametrize("name", PW_RUNS)
def test_the_two_files_of_quantum_espresso_agree(real_file, name):
    shape, spin_treatment, num_electrons, fermi_level = PW_RUNS[name]
    xml = read_quantum_espresso_xml(real_file(f"{name}.xml"))
    text = read_quantum_espresso_text(real_file(f"{name}.out"))
    for found in (xml, text):
        assert (found.eigenvalues.shape, found.spin_treatment) == (shape, spin_treatment)
        assert (found.num_electrons, found.code) == (num_electrons, "Quantum ESPRESSO 6.7MaX")
        assert found.fermi_level == pytest.approx(fermi_level, abs=6e-5)
        assert found.weights.sum() == pytest.approx(1 if shape[0] == 2 or spin_treatment == "noncollinear" else 2)
    # The text has four digits of an eigenvalue; the parts of a stress are as large as 1e-3 eV/A^3 and more.
    np.testing.assert_allclose(text.eigenvalues, xml.eigenvalues, atol=6e-5)
    np.testing.assert_allclose(text.weights, xml.weights, atol=1e-7)
    np.testing.assert_allclose(text.k_points, xml.k_points, atol=1e-5)  # six digits of the reciprocal lattice
    np.testing.assert_allclose(text.values[FORCES], xml.values[FORCES], atol=1e-6)
    np.testing.assert_allclose(text.values[STRESS], xml.values[STRESS], atol=1e-6)
    assert text.values[ENERGY] == pytest.approx(xml.values[ENERGY], abs=1e-4)
    # Molecular dynamics: the results of the XML file hold the structure of a step that was not computed.
    np.testing.assert_allclose(text.atoms.positions, xml.atoms.positions, atol=1e-5)
    np.testing.assert_allclose(text.atoms.cell[:], xml.atoms.cell[:], atol=1e-5)


def test_forces_and_stress_are_those_of_the_text(real_file):
    calculation = read_quantum_espresso_xml(real_file("mg_metal.xml"))
    # In Ry/bohr: "atom 1 type 1 force = 0.00000000 -0.00000000 0.00760254"
    np.testing.assert_allclose(calculation.values[FORCES][0], [0, 0, 0.00760254 * 13.605693 / 0.529177], atol=1e-6)
    # In kbar: "P= -12.30", and the same with the other sign for every part of a stress
    kilobar = 1602.1766
    np.testing.assert_allclose(np.diag(calculation.values[STRESS]) * kilobar, [-1.50, -1.50, 39.89], atol=0.01)


def test_a_run_on_a_fixed_density_has_no_energy(real_file):
    calculation = read_quantum_espresso_xml(real_file("mg_nscf.xml"))
    assert calculation.eigenvalues.shape == (1, 9, 10)
    assert calculation.values == {}


# name: spins, k-points, bands, spin treatment, electrons, Fermi level in eV
GPAW_RUNS = {
    "al.gpw": ((1, 2, 8), "unpolarised", 3, 6.2216),
    "o2.gpw": ((2, 1, 10), "collinear", 12, -3.5137),
    "al_nc.gpw": ((1, 8, 32), "noncollinear", 3, 6.3822),
}


@pytest.mark.parametrize("name", GPAW_RUNS)
def test_gpaw(real_file, name):
    shape, spin_treatment, num_electrons, fermi_level = GPAW_RUNS[name]
    found = read_gpaw(real_file(name))
    assert (found.eigenvalues.shape, found.spin_treatment) == (shape, spin_treatment)
    assert found.num_electrons == pytest.approx(num_electrons, abs=1e-6)
    assert found.fermi_level == pytest.approx(fermi_level, abs=1e-4)
    assert found.code == "GPAW 26.7.0"


def test_gpaw_gives_what_its_text_output_says(real_file):
    found = read_gpaw(real_file("al.gpw"))
    assert found.values[ENERGY] == pytest.approx(-4.031979, abs=1e-6)  # "Free energy"
    np.testing.assert_allclose(found.eigenvalues[0, 0, :3], [1.893, 6.152, 10.522], atol=1e-3)
    np.testing.assert_allclose(2 * found.occupations[0, 0, :3], [2.000, 1.333, 0.000], atol=1e-3)
    np.testing.assert_allclose(found.weights, [1.5, 0.5])
    np.testing.assert_allclose(found.values[STRESS], 0.009375 * np.eye(3), atol=1e-6)


# name: spins, k-points, bands, spin treatment
ABINIT_RUNS = {"al_spin_GSR.nc": ((2, 3, 8), "collinear"), "al_nc_GSR.nc": ((1, 4, 14), "noncollinear")}


@pytest.mark.parametrize("name", ABINIT_RUNS)
def test_abinit(real_file, name):
    pytest.importorskip("netCDF4")
    found = read_abinit(real_file(name))
    assert (found.eigenvalues.shape, found.spin_treatment) == ABINIT_RUNS[name]
    assert (found.num_electrons, found.code) == (3, "ABINIT 9.6.2")
    # From the log: "fermie : 5.53249", "etotal : -2.4637..." Hartree
    assert found.fermi_level == pytest.approx(5.5325, abs=1e-4)
    assert found.values[ENERGY] == pytest.approx(-2.4637076 * 27.2113860, abs=1e-4)


# name: divisions of a mesh around gamma
MESHES = {
    "mg_metal.xml": (3, 3, 2),
    "mg_metal.out": (3, 3, 2),
    "mg_spin.xml": (2, 2, 2),
    "mg_spin.out": (2, 2, 2),
    "si_md.xml": (2, 2, 2),
    "al_spin_GSR.nc": (2, 2, 2),
    "al_nc_GSR.nc": (2, 2, 2),
    "o2.gpw": (1, 1, 1),
}
SHIFTED = ("al.gpw", "al_nc.gpw")  # a mesh of Monkhorst and Pack, 2x2x2: all coordinates are 1/4 or -1/4


@pytest.mark.parametrize("name", [*MESHES, *SHIFTED])
def test_k_points_are_those_of_the_mesh(real_file, name):
    if name.endswith("nc"):
        pytest.importorskip("netCDF4")
    (found,) = read_calculations(real_file(name))
    assert found.k_points.shape == (len(found.weights), 3)
    if name in SHIFTED:
        np.testing.assert_allclose(abs(found.k_points), 0.25)
        return
    steps = found.k_points * MESHES[name]
    np.testing.assert_allclose(steps, steps.round(), atol=1e-5)
    # All are different, gamma is one of them, and together they are the whole mesh.
    folded = {tuple(point) for point in np.mod(steps.round().astype(int), MESHES[name])}
    assert len(folded) == len(found.weights) and (0, 0, 0) in folded
    total = found.weights * np.prod(MESHES[name]) / found.weights.sum()
    np.testing.assert_allclose(total, total.round(), atol=1e-4)
    assert total[[not point.any() for point in steps.round()]].tolist() == pytest.approx([1.0], abs=1e-4)


def test_k_points_follow_from_the_cell(real_file):
    """In units of 2 pi / alat: a_i * k / alat is the coordinate along the reciprocal vector i."""
    found = read_quantum_espresso_xml(real_file("mg_metal.xml"))
    alat = 6.028226337556 * 0.529177210903  # from the file
    cartesian = np.array([0.3333333333333333, 0.5773502771462318, -0.3079150579150580])
    np.testing.assert_allclose(found.k_points[5], found.atoms.cell[:] @ cartesian / alat, atol=1e-8)
    np.testing.assert_allclose(found.k_points[5], [1 / 3, 1 / 3, -1 / 2], atol=1e-7)


@pytest.mark.parametrize("name", ["mg_metal.xml", "mg_metal.out", "al.gpw", "al_spin_GSR.nc"])
def test_every_real_file_is_recognised(real_file, name):
    if name.endswith("nc"):
        pytest.importorskip("netCDF4")
    path = real_file(name)
    (found,) = read_calculations(path)
    assert isinstance(found, Calculation)
    assert found.source == str(path)


def test_packed_files_of_quantum_espresso(real_file):
    for name in ("mg_metal.xml", "mg_metal.out"):
        (packed,) = read_calculations(Path(__file__).parent / "files" / f"{name}.xz")
        (plain,) = read_calculations(real_file(name))
        np.testing.assert_array_equal(packed.eigenvalues, plain.eigenvalues)


def test_text_of_quantum_espresso_in_another_encoding(real_file, tmp_path):
    text = real_file("mg_metal.out").read_bytes()
    (tmp_path / "cafe.out").write_bytes(text.replace(b"Program PWSCF", b"Title: caf\xe9\n     Program PWSCF", 1))
    (found,) = read_calculations(tmp_path / "cafe.out")
    (expected,) = read_calculations(real_file("mg_metal.out"))
    np.testing.assert_array_equal(found.eigenvalues, expected.eigenvalues)
