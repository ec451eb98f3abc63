"""Averages over rotations: exact for polynomials, nothing to do for invariant functions."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from scipy.spatial.transform import Rotation

from electrain.calculators import (
    ElectronicStructureCalculator,
    ElectronicStructureModel,
    RotationalAverage,
    Rotations,
    average_electronic_structure,
)
from electrain.spectra import EnergyGrid, rotational_discrepancy

PAIR = Atoms("CO", positions=[[0.2, 0.1, -0.3], [0.5, 1.2, 0.7]])
BOND = PAIR.positions[1] - PAIR.positions[0]
LENGTH = np.linalg.norm(BOND)


class Tilted(Calculator):
    """Depends on the orientation in known ways: powers of the z component of a bond, a fixed axis in forces."""

    implemented_properties = ("energy", "forces", "stress", "dipole")
    power = 4

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        bond = atoms.positions[1] - atoms.positions[0]
        self.results = {
            "energy": float(bond[2] ** self.power),
            "forces": np.array([[0.0, 0.0, bond[2]], [bond[1], -bond[0], 0.0]]),
            "stress": np.array([1.0, 2.0, 6.0, 0.3, 0.2, 0.1]),
            "dipole": bond,
        }


def polynomial(degree, seed=0):
    """A random polynomial of the nine elements of R: a product of linear functions plus one of lower degree."""
    factors = np.random.default_rng(seed).normal(size=(degree, 3, 3))

    def function(matrices):
        return np.prod([np.einsum("nij,ij->n", matrices, factor) + 0.3 for factor in factors], axis=0)

    return function


@pytest.mark.parametrize("degree", [1, 3, 4, 5])
def test_all_orientations_is_exact(degree):
    """Against a much finer rule that is built in another way: Gauss-Legendre and equidistant Euler angles."""
    rotations = Rotations.all_orientations(degree)
    cosines, weights = np.polynomial.legendre.leggauss(12)
    angles = 2 * np.pi * np.arange(16) / 16
    euler = np.array([[a, np.arccos(c), b] for a in angles for c in cosines for b in angles])
    fine = Rotation.from_euler("ZYZ", euler).as_matrix()
    weights = np.tile(np.repeat(weights / 2 / 256, 16), 16)
    for seed in range(3):
        function = polynomial(degree, seed)
        expected = float(weights @ function(fine))
        assert float(rotations.average(function(rotations.matrices)).mean) == pytest.approx(expected, abs=1e-10)
    beyond = polynomial(degree + 4, 1)
    difference = rotations.average(beyond(rotations.matrices)).mean - weights @ beyond(fine)
    assert abs(difference) > 1e-6


def test_numbers_of_rotations():
    assert [len(Rotations.all_orientations(degree)) for degree in (3, 5, 9)] == [24, 84, 380]
    assert len(Rotations.axis_directions()) == 38
    for rotations in (Rotations.all_orientations(5), Rotations.axis_directions(9, inversion=True)):
        identity = rotations.matrices @ rotations.matrices.transpose(0, 2, 1)
        np.testing.assert_allclose(identity, np.tile(np.eye(3), (len(rotations), 1, 1)), atol=1e-14)
        assert rotations.weights.sum() == pytest.approx(1.0, abs=1e-14)
    assert len(np.unique(Rotations.all_orientations(3).matrices.round(9), axis=0)) == 24
    determinants = np.linalg.det(Rotations.all_orientations(3, inversion=True).matrices)
    assert sorted(determinants.round(9)) == [-1.0] * 24 + [1.0] * 24
    for degree in (0, 132):
        with pytest.raises(ValueError, match=f"expected a degree of 1 to 131, got {degree}"):
            Rotations.axis_directions(degree)


def test_axis_directions_average_one_axis():
    """Exact for what depends on the direction of z; not for x alone and y alone, whose sum it gets right."""
    rotations = Rotations.axis_directions(9)
    moved = rotations.matrices @ BOND
    for power in (2, 4, 8):
        mean = rotations.average(moved[:, 2] ** power).mean
        assert float(mean) == pytest.approx(LENGTH**power / (power + 1), rel=1e-12)
    assert float(rotations.average(moved[:, 0] ** 2 + moved[:, 1] ** 2).mean) == pytest.approx(2 * LENGTH**2 / 3)
    assert abs(float(rotations.average(moved[:, 0] ** 2).mean) - LENGTH**2 / 3) > 0.01


def test_known_averages():
    average = RotationalAverage(Tilted(), Rotations.all_orientations(9))
    energy = average.get("energy", PAIR)
    assert float(energy.mean) == pytest.approx(LENGTH**4 / 5, rel=1e-12)
    variance = LENGTH**8 / 9 - LENGTH**8 / 25  # of degree 8
    assert float(energy.spread) == pytest.approx(variance**0.5, rel=1e-12)
    # An axis times its own component: a third of the bond. A cross product with it: nothing.
    np.testing.assert_allclose(average.get("forces", PAIR).mean, [BOND / 3, np.zeros(3)], atol=1e-13)
    np.testing.assert_allclose(average.get("stress", PAIR).mean, [3, 3, 3, 0, 0, 0], atol=1e-13)
    dipole = average.get("dipole", PAIR)
    np.testing.assert_allclose(dipole.mean, BOND, atol=1e-13)
    np.testing.assert_allclose(dipole.spread, 0.0, atol=1e-13)
    assert average.get("forces", PAIR).spread.min() > 0.05


def test_inversion():
    """Odd powers change their sign, so that their average vanishes; without it, the degree does the same."""
    tilted = Tilted()
    tilted.power = 1
    one = Rotations(np.eye(3)[None], np.ones(1))
    assert float(RotationalAverage(tilted, one).get("energy", PAIR).mean) == pytest.approx(BOND[2])
    both = Rotations(np.array([np.eye(3), -np.eye(3)]), np.full(2, 0.5))
    averaged = RotationalAverage(tilted, both).get("energy", PAIR)
    assert float(averaged.mean) == pytest.approx(0.0, abs=1e-15)
    assert float(averaged.spread) == pytest.approx(abs(BOND[2]))


@pytest.mark.parametrize("inversion", [False, True])
def test_invariant_calculators_stay_as_they_are(inversion):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + 0.02 * np.arange(9).reshape(3, 3)), scale_atoms=True)
    atoms.set_constraint(FixAtoms([0]))
    average = RotationalAverage(EMT(), Rotations.all_orientations(3, inversion=inversion))
    plain, rotated = atoms.copy(), atoms.copy()
    plain.calc, rotated.calc = EMT(), average
    assert rotated.get_potential_energy() == pytest.approx(plain.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(rotated.get_forces(), plain.get_forces(), atol=1e-10)
    np.testing.assert_allclose(rotated.get_stress(), plain.get_stress(), atol=1e-10)
    assert max(np.abs(spread).max() for spread in average.spreads.values()) < 1e-6
    rotated.positions[1] += 0.1
    assert abs(rotated.get_potential_energy() - plain.get_potential_energy()) > 1e-3
    with pytest.raises(PropertyNotImplementedError, match=r"expected one of energy, .* got 'dipole'"):
        average.get("dipole", atoms)


def test_averaged_forces_are_derivatives(metal_file):
    calculator = ElectronicStructureCalculator(metal_file, device="cpu", do_gradients_with_energy=False)
    with torch.jit.optimized_execution(False):
        atoms = molecule("CH4")
        atoms.rattle(0.1, seed=0)
        average = RotationalAverage(calculator)
        forces, step = average.get("forces", atoms), 1e-4
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[1, 2] += sign * step
            energies.append(float(average.get("energy", moved).mean))
    assert forces.mean[1, 2] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), rel=1e-6)
    assert forces.spread.max() > 1e-4  # the network is not equivariant


def test_electronic_structure(level_file):
    """Every rotated copy predicted alone; the discrepancy of the paper from the same spectra."""
    model = ElectronicStructureModel(level_file, "cpu")
    atoms = molecule("CH3OH")
    rotations = Rotations.axis_directions(3)
    found = average_electronic_structure(model, atoms, rotations, batch_size=13)
    alone = [model.predict(copy) for copy in rotations.apply(atoms)]
    spectra = np.array([result.density_of_states for result in alone])
    np.testing.assert_allclose(found.spectra, spectra, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.mean.density_of_states, rotations.weights @ spectra)
    gaps, levels = (np.array([getattr(r, name) for r in alone]) for name in ("band_gap", "fermi_level"))
    assert found.mean.band_gap == pytest.approx(rotations.weights @ gaps)
    assert found.mean.fermi_level == pytest.approx(rotations.weights @ levels)
    assert found.spread.fermi_level == pytest.approx(
        (rotations.weights @ (levels - rotations.weights @ levels) ** 2) ** 0.5
    )
    np.testing.assert_allclose(found.mean.energies + found.mean.fermi_level, alone[0].energies + levels[0])
    assert found.spread.density_of_states.max() > 1e-6

    grid = EnergyGrid(-30.0, 0.05, 800)
    target = torch.from_numpy(found.mean.density_of_states).abs()[None]
    trusted = torch.ones_like(target, dtype=torch.bool)
    discrepancy = rotational_discrepancy(torch.from_numpy(found.spectra)[:, None], target, trusted, grid.step)
    variance = ((found.spectra - found.spectra.mean(axis=0)) ** 2).mean(axis=0)
    assert float(discrepancy) == pytest.approx(float((variance.sum() / target.sum()) ** 0.5))


def test_cubic_crystals_are_turned_into_others(level_file):
    """The 24 rotations of a cube would map the crystal onto itself."""
    found = average_electronic_structure(ElectronicStructureModel(level_file, "cpu"), bulk("Al", cubic=True))
    assert found.spread.density_of_states.max() > 1e-4


def test_copies_are_not_checked_again(dos_only_model, checked):
    water = molecule("H2O")
    average_electronic_structure(dos_only_model, water, Rotations.axis_directions(3))
    assert checked == [water]
    close = Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.1]])
    with pytest.raises(ValueError, match=r"^atoms 0 \(O\) and 1 \(H\) are 0.100 A apart"):
        average_electronic_structure(dos_only_model, close)


def test_electronic_structure_without_heads(dos_only_model):
    found = average_electronic_structure(dos_only_model, molecule("H2O"), Rotations.axis_directions(3))
    assert found.mean.fermi_level is None
    assert found.spread.band_gap is None
    assert found.mean.energies[0] == pytest.approx(-30.0)
