"""Text output of SIESTA and FHI-aims: known numbers come back, and what cannot be used is told."""

import numpy as np
import pytest
from ase import Atoms
from text_writers import write_fhi_aims, write_siesta

from electrain.data import Calculation, read_calculations
from electrain.interface.quantities import ENERGY, FORCES, STRESS

WRITERS = {"RUN.out": write_siesta, "aims.out": write_fhi_aims}
ROUTES = [(name, spins) for name in WRITERS for spins in ("unpolarised", "collinear")]
ROUTES += [("RUN.out", "noncollinear")]


@pytest.fixture
def relaxed(metal):
    """A calculation with energy, forces and stress."""

    def make(spin_treatment="unpolarised", **changes):
        generator = np.random.default_rng(3)
        stress = generator.normal(size=(3, 3))
        values = {ENERGY: -123.5, FORCES: generator.normal(size=(2, 3)), STRESS: stress + stress.T}
        return metal(spin_treatment, values=values, **changes)

    return make


def read(path):
    (found,) = read_calculations(path)
    return found


@pytest.mark.parametrize(("name", "spin_treatment"), ROUTES)
def test_the_numbers_come_back(relaxed, tmp_path, name, spin_treatment):
    expected = relaxed(spin_treatment)
    WRITERS[name](tmp_path / name, expected)
    found = read(tmp_path / name)
    assert isinstance(found, Calculation), found.reason
    assert found.spin_treatment == spin_treatment
    assert found.code == {"RUN.out": "SIESTA 5.2.0", "aims.out": "FHI-aims 210226"}[name]
    assert found.num_electrons == pytest.approx(expected.num_electrons, abs=1e-6)
    assert found.fermi_level == pytest.approx(expected.fermi_level)
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, atol=1e-8)
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-9)
    np.testing.assert_allclose(found.k_points, expected.k_points, atol=1e-9)
    np.testing.assert_allclose(found.atoms.positions, expected.atoms.positions, atol=1e-8)
    np.testing.assert_allclose(found.atoms.cell[:], expected.atoms.cell[:], atol=1e-8)
    assert found.atoms.symbols.get_chemical_formula() == "Si2"
    for quantity in (ENERGY, FORCES, STRESS):
        np.testing.assert_allclose(found.values[quantity], expected.values[quantity], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("RUN.out", ">> End of run", "", "expected '>> End of run' at the end"),
        ("RUN.out", "SCF cycle converged after", "", "expected a converged calculation"),
        ("RUN.out", "SCF cycle", "   scf:    1 \nSCF cycle", None),
        ("RUN.out", "siesta: Etot", "   scf:    1 \nsiesta: Etot", "expected a converged calculation"),
        ("RUN.out", "siesta: Etot", "outcoor: Final (unrelaxed) atomic coordinates", "got an unfinished one"),
        ("RUN.out", "system                  =   F", "system                  =   T", "got a fixed magnetization"),
        ("RUN.out", "Label: si", "Label: other", "expected the file other.EIG beside the output, got none"),
        ("RUN.out", "Label: si", "Label: ../../si", None),
        ("aims.out", "Have a nice day.", "", "expected 'Have a nice day.' at the end"),
        ("aims.out", "cycle converged.", "cycle not converged.", "expected a converged calculation"),
        ("aims.out", "  Input geometry", "  fixed_spin_moment 2\n  Input geometry", "got a fixed magnetization"),
        ("aims.out", "  Input geometry", "  include_spin_orbit\n  Input geometry", "expected no spin-orbit coupling"),
        ("aims.out", "  What follows", "Begin self-consistency iteration # 2", "those of an earlier one"),
        ("aims.out", "| k-point:", "|", "expected the weights of the k-points, got none"),
        ("aims.out", "Writing Kohn-Sham eigenvalues.", "", "expected eigenvalues, got none"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(metal, tmp_path, name, old, new, reason):
    path = tmp_path / name
    WRITERS[name](path, metal())
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    found = read(path)
    if reason is None:
        assert isinstance(found, Calculation), found.reason
    else:
        assert reason in found.reason


def test_forces_of_another_run_are_left_out(relaxed, tmp_path):
    """Their file has the same name for all runs in a folder."""
    write_siesta(tmp_path / "RUN.out", relaxed())
    lines = (tmp_path / "FORCE_STRESS").read_text().splitlines()
    (tmp_path / "FORCE_STRESS").write_text("\n".join([str(float(lines[0]) - 0.01), *lines[1:]]))
    found = read(tmp_path / "RUN.out")
    assert set(found.values) == {ENERGY}


def test_the_kinetic_energy_of_nuclei_is_no_part_of_the_energy(relaxed, tmp_path):
    write_siesta(tmp_path / "RUN.out", relaxed(), kinetic=1.75)
    found = read(tmp_path / "RUN.out")
    assert found.values[ENERGY] == pytest.approx(-123.5)
    assert FORCES in found.values


@pytest.mark.parametrize("header", ["999999999 1 999999999", "16 1 0"])
def test_numbers_that_a_file_of_eigenvalues_does_not_hold(metal, tmp_path, header):
    write_siesta(tmp_path / "RUN.out", metal())
    level, _, *rest = (tmp_path / "si.EIG").read_text().splitlines()
    (tmp_path / "si.EIG").write_text("\n".join([level, header, *rest]))
    assert "eigenvalues in si.EIG, but it is shorter" in read(tmp_path / "RUN.out").reason


def test_states_at_some_k_points_only(metal, tmp_path):
    """What FHI-aims prints unless it is told otherwise."""
    write_fhi_aims(tmp_path / "aims.out", metal(), printed=1)
    assert read(tmp_path / "aims.out").reason == (
        "expected eigenvalues at 6 k-points, got those at 1; FHI-aims prints all of them with 'output k_eigenvalue 6' "
        "and 'output k_point_list'"
    )


def test_core_states_that_cannot_be_told_apart(metal, tmp_path):
    write_fhi_aims(tmp_path / "aims.out", metal(), core=metal().eigenvalues.min() - 0.5)
    assert read(tmp_path / "aims.out").reason == ("expected core states at least 1 eV below the others, got 0.50 eV")


def test_a_molecule(metal, tmp_path):
    levels = np.array([[[-12.0, -8.0, -6.5, 1.0, 4.0]]])
    molecule = metal(
        atoms=Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.2]]),
        eigenvalues=levels, weights=np.array([2.0]), k_points=None, fermi_level=-3.0, num_electrons=6.0,
    )  # fmt: skip
    write_fhi_aims(tmp_path / "aims.out", molecule)
    found = read(tmp_path / "aims.out")
    assert isinstance(found, Calculation), found.reason
    assert not found.atoms.pbc.any() and found.num_electrons == 6
    np.testing.assert_allclose(found.eigenvalues, levels)
