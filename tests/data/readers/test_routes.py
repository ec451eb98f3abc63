"""One calculation gives the same density of states from the file of every code."""

import numpy as np
import pytest
import torch
from writers import WRITERS, write_abinit, write_vasp

from electrain.data import choose_axis, dos_target, read_calculations
from electrain.interface.quantities import ENERGY, FORCES, STRESS

CODES = {
    "calculation.xyz": "",
    "mg.xml": "Quantum ESPRESSO made up",
    "vasprun.xml": "VASP 6.4.3",
    "mg.gpw": "GPAW made up",
    "mgo_GSR.nc": "ABINIT made up",
}
PACKAGES = {write_vasp: "pymatgen", write_abinit: "netCDF4"}


# Extended XYZ says nothing of noncollinear spins; GPAW writes them in another shape, see the real file.
COLLINEAR_ONLY = ("calculation.xyz", "mg.gpw")
ROUTES = [(name, spins) for name in WRITERS for spins in ("unpolarised", "collinear")]
ROUTES += [(name, "noncollinear") for name in WRITERS if name not in COLLINEAR_ONLY]


@pytest.mark.parametrize(("name", "spin_treatment"), ROUTES)
def test_every_file_gives_the_same_density_of_states(metal, tmp_path, spin_treatment, name):
    if package := PACKAGES.get(WRITERS[name]):
        pytest.importorskip(package)
    expected = metal(spin_treatment)
    WRITERS[name](tmp_path / name, expected)
    (found,) = read_calculations(tmp_path / name)
    assert (found.code, found.spin_treatment) == (CODES[name], spin_treatment)
    assert found.num_electrons == pytest.approx(expected.num_electrons, abs=1e-8)
    np.testing.assert_allclose(found.atoms.positions, expected.atoms.positions, atol=1e-8)
    np.testing.assert_allclose(found.atoms.cell[:], expected.atoms.cell[:], atol=1e-8)
    np.testing.assert_allclose(found.k_points, expected.k_points, atol=1e-7)
    assert found.atoms.symbols.get_chemical_formula() == "Si2"
    # The order of the spins does not show in the sum of both.
    levels = expected.eigenvalues - expected.fermi_level
    np.testing.assert_allclose(found.eigenvalues - found.fermi_level, levels, atol=1e-7)
    axis = choose_axis([expected], step=0.05, smearing=0.3, max_shift=1.0)
    torch.testing.assert_close(dos_target(found, axis), dos_target(expected, axis), atol=1e-9, rtol=0, equal_nan=True)


def test_weights_are_normalised_whatever_their_rounding(metal, tmp_path):
    expected = metal()
    WRITERS["calculation.xyz"](tmp_path / "rounded.xyz", metal(weights=expected.weights * (1 + 2e-4)))
    (found,) = read_calculations(tmp_path / "rounded.xyz")
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-12)


def test_k_points_without_weight_are_left_out(metal, tmp_path):
    pytest.importorskip("pymatgen")
    expected = metal()
    # A path for a band structure beside the mesh, with states that are nowhere in the mesh.
    path = np.full((1, 2, 16), 1.0)
    states = np.concatenate([expected.eigenvalues, path], axis=1)
    weights = np.concatenate([expected.weights, [0.0, 0.0]])
    k_points = np.concatenate([expected.k_points, np.zeros((2, 3))])
    write_vasp(tmp_path / "vasprun.xml", metal(eigenvalues=states, weights=weights, k_points=k_points))
    (found,) = read_calculations(tmp_path / "vasprun.xml")
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues)
    np.testing.assert_allclose(found.k_points, expected.k_points)


def test_energy_forces_and_stress_of_vasp(metal, tmp_path):
    pytest.importorskip("pymatgen")
    generator = np.random.default_rng(11)
    forces, stress = generator.normal(size=(2, 3)), generator.normal(size=(3, 3))
    path = tmp_path / "vasprun.xml"
    write_vasp(path, metal(values={FORCES: forces, STRESS: stress}))
    (found,) = read_calculations(path)
    assert found.values[ENERGY] == -10.5  # the free energy, not the one without entropy
    np.testing.assert_allclose(found.values[FORCES], forces, atol=1e-12)
    np.testing.assert_allclose(found.values[STRESS], stress, rtol=1e-6)
    # A band structure on the density of another run.
    write_vasp(path, metal(values={FORCES: forces, STRESS: stress}), charge=11)
    (found,) = read_calculations(path)
    assert found.values == {}
