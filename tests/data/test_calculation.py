"""Checks of one calculation."""

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from electrain.interface.quantities import BAND_GAP, ENERGY, FORCES, STRESS


def test_a_sound_calculation_passes(make_calculation):
    calculation = make_calculation(values={BAND_GAP: 2.0, ENERGY: -1.0, FORCES: np.zeros((2, 3)), STRESS: None})
    assert set(calculation.values) == {BAND_GAP, ENERGY, FORCES}
    assert calculation.bands().shape == (1, 5, 10)
    assert calculation.name == "made up, frame 0"
    with pytest.raises(dataclasses.FrozenInstanceError):
        calculation.fermi_level = 0.0


def test_bands_are_relative_to_the_fermi_level(make_calculation):
    calculation = make_calculation()
    shifted = make_calculation(eigenvalues=calculation.eigenvalues + 3.0, fermi_level=3.0)
    np.testing.assert_allclose(shifted.bands(), calculation.bands())


def test_two_spins_have_weights_that_sum_to_one(make_calculation):
    single = make_calculation()
    both = np.concatenate([single.eigenvalues, single.eigenvalues])
    assert make_calculation(eigenvalues=both, weights=single.weights / 2).num_electrons == 8
    with pytest.raises(ValueError, match=r"sum to 1 \(spin-polarised\), got 2"):
        make_calculation(eigenvalues=both)


EIGHT_BANDS = np.tile(np.linspace(-8.0, 6.0, 8), (1, 5, 1))
STACKED = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 0.1]])
IMAGE = Atoms("SiC", positions=[[0.1, 2, 2], [3.95, 2, 2]], cell=[4, 4, 4], pbc=True)
TINY_CELL = Atoms("Si", cell=[5, 0.3, 5], pbc=True)
FLAT_CELL = Atoms("Si", cell=[[3, 0, 0], [6, 0, 0], [0, 0, 3]], pbc=True)
NOT_A_NUMBER = Atoms("Si2", positions=[[0, 0, 0], [np.nan, 0, 2]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"atoms": Atoms()}, "made up, frame 0: expected at least one atom, got an empty structure"),
        ({"atoms": NOT_A_NUMBER}, r"expected finite positions, got \[nan  0.  2.\] for atom 1"),
        ({"atoms": Atoms("Si", cell=[np.inf, 3, 3])}, "expected a finite cell"),
        ({"atoms": FLAT_CELL}, "expected independent cell vectors in the periodic directions a, b, c"),
        ({"atoms": Atoms("Si", pbc=[0, 0, 1])}, "independent cell vectors in the periodic directions c"),
        ({"atoms": STACKED}, r"atoms 0 \(Si\) and 1 \(Si\) are 0.100 A apart, expected at least 0.4 A"),
        ({"atoms": IMAGE}, r"atoms 0 \(Si\) and 1 \(C\) are 0.150 A apart"),
        ({"atoms": TINY_CELL}, r"atom 0 \(Si\) and its own periodic image are 0.300 A apart"),
        ({"eigenvalues": np.zeros((5, 8))}, r"expected eigenvalues of shape .* got \(5, 8\)"),
        ({"eigenvalues": np.zeros((3, 5, 8))}, r"expected eigenvalues of shape .* got \(3, 5, 8\)"),
        ({"eigenvalues": np.zeros((1, 5, 0))}, "expected at least one k-point and one band, got 5 and 0"),
        ({"eigenvalues": np.zeros((1, 6, 8))}, "one weight for each of 6 k-points, got 5 weights"),
        ({"eigenvalues": np.where(EIGHT_BANDS > 5, np.nan, EIGHT_BANDS)}, "infinity at k-point 0, band 7"),
        ({"weights": np.array([1, 1, 1, -2, 1.0])}, "at least 0, got -2 at k-point 3"),
        ({"weights": np.array([1, 1, 1, np.nan, 1.0])}, "expected finite k-point weights"),
        ({"weights": np.full(5, 0.2)}, r"weights that sum to 2 \(not spin-polarised\), got 1"),
        ({"num_electrons": 10.0}, r"expected 10 electrons, but .* hold 8.00 to 8.00"),
        ({"num_electrons": -1.0}, "expected a positive number of electrons, got -1"),
        ({"fermi_level": 4.0}, "expected 8 electrons, but the weighted states up to the Fermi level"),
        ({"fermi_level": np.nan}, "expected a finite Fermi level in eV, got nan"),
        ({"values": {ENERGY: np.inf}}, "expected a finite energy in eV, got inf"),
        ({"values": {BAND_GAP: -0.5}}, "expected a band gap of at least 0 eV, got -0.5"),
        ({"values": {FORCES: np.zeros((3, 3))}}, r"expected forces of shape \(2, 3\), got \(3, 3\)"),
        ({"values": {FORCES: np.full((2, 3), np.nan)}}, "expected finite forces in eV/angstrom, got NaN or infinity"),
        ({"values": {"mtt::dos": 1.0}}, r"among mtt::bandgap, energy, forces, stress, got 'mtt::dos'"),
        ({"k_points": np.zeros((4, 3))}, r"expected k-points of shape \(5, 3\), got \(4, 3\)"),
        ({"k_points": np.full((5, 3), np.nan)}, "expected finite k-points in fractional coordinates, got NaN"),
    ],
)
def test_what_cannot_be_right_is_refused(make_calculation, changes, message):
    with pytest.raises(ValueError, match=message):
        make_calculation(**changes)


def test_surfaces_and_molecules_pass(make_calculation):
    make_calculation(atoms=fcc111("Al", (1, 1, 2), vacuum=4.5))
    make_calculation(atoms=Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]))
    make_calculation(atoms=bulk("C"))


def test_a_half_filled_level_at_the_fermi_level_counts(make_calculation):
    # An odd number of electrons: the fifth, doubly counted level lies within the DFT smearing of E_F.
    levels = np.array([[[-6.0, -4.0, -3.0, -2.0, 0.04, 5.0]]])
    calculation = make_calculation(eigenvalues=levels, weights=np.array([2.0]), num_electrons=9.0)
    assert calculation.num_electrons == 9
    with pytest.raises(ValueError, match=r"expected 9 electrons, but .* hold 8.00 to 8.00"):
        make_calculation(eigenvalues=levels, weights=np.array([2.0]), num_electrons=9.0, fermi_level=-0.3)


def aluminium(make_calculation, **changes):
    """A coarse mesh and a wide smearing: half of the electrons of the upper level lie 0.6 eV above E_F."""
    levels = np.array([[[-6.0, -0.9, 5.0], [-5.0, 0.6, 5.0]]])
    fields = {"eigenvalues": levels, "weights": np.array([1.0, 1.0]), "num_electrons": 3.0}
    return make_calculation(**(fields | changes))


FILLED = np.array([[[1.0, 0.6, 0.0], [1.0, 0.4, 0.0]]])


def test_occupations_count_the_electrons(make_calculation):
    assert aluminium(make_calculation, occupations=FILLED).occupations is FILLED
    with pytest.raises(ValueError, match=r"expected 3 electrons, but the weighted occupations hold 3.100: wrong"):
        aluminium(make_calculation, occupations=np.where(FILLED == 0.6, 0.7, FILLED))
    with pytest.raises(ValueError, match=r"empty states above the Fermi level, 3 eV .* got 0.20 on the wrong side"):
        aluminium(make_calculation, occupations=FILLED, fermi_level=3.0)
    with pytest.raises(ValueError, match=r"expected occupations of shape \(1, 2, 3\), got \(2, 3\)"):
        aluminium(make_calculation, occupations=FILLED[0])


def test_noncollinear_states_hold_one_electron(make_calculation):
    single = make_calculation()
    doubled = np.repeat(single.eigenvalues, 2, axis=2)
    spinors = make_calculation(eigenvalues=doubled, weights=single.weights / 2, noncollinear=True)
    assert (spinors.spin_treatment, spinors.electrons_per_state) == ("noncollinear", 1)
    assert (single.spin_treatment, single.electrons_per_state) == ("unpolarised", 2)
    with pytest.raises(ValueError, match=r"sum to 1 \(noncollinear spins\), got 2"):
        make_calculation(noncollinear=True)


def test_a_stress_is_a_matrix(make_calculation):
    assert make_calculation(values={STRESS: np.eye(3)}).values[STRESS].trace() == 3
    with pytest.raises(ValueError, match=r"expected stress of shape \(3, 3\), got \(6,\)"):
        make_calculation(values={STRESS: np.zeros(6)})
    with pytest.raises(ValueError, match=r"expected finite stress in eV/angstrom\^3"):
        make_calculation(values={STRESS: np.full((3, 3), np.nan)})
