"""Thermodynamics of the phonons of a structure from its spectrum."""

import re
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from electrain.interface.quantities import ELECTRONIC_DOS, PHONON_DOS, PHONON_DOS_NORMALIZED
from electrain.results import Spectrum
from electrain.spectra.fermi import BOLTZMANN
from electrain.spectra.fixed_axis import FixedAxis
from electrain.spectra.harmonic import HarmonicIntegrals
from electrain.thermodynamics.phonons import JOULE_PER_MOLE, PhononIntegrals

AXIS = FixedAxis(0.0, 0.5, 41, "THz")
KELVIN = [0.0, 50.0, 300.0, 1e6]


def spectrum(modes=6.0, target=PHONON_DOS, axis=AXIS, values=None):
    """Of silicon, with two peaks."""
    frequencies = axis.values().numpy()
    if values is None:
        values = sum(np.exp(-0.5 * ((frequencies - centre) / 1.2) ** 2) for centre in (5.0, 14.0))
        values *= modes / HarmonicIntegrals(axis, 0.0).number(values)
    return Spectrum(bulk("Si"), axis, target, values)


def test_of_the_whole_structure():
    given = spectrum()
    result = PhononIntegrals(AXIS, KELVIN).thermodynamics(given)
    integrals = HarmonicIntegrals(AXIS, KELVIN)
    np.testing.assert_allclose(result.density_of_states, given.values, rtol=1e-12)
    np.testing.assert_allclose(result.quantities, integrals.quantities(given.values), rtol=1e-12)
    np.testing.assert_allclose(result.zero_point_energy, integrals.zero_point_energy(given.values), rtol=1e-12)
    assert (result.num_atoms, result.num_modes, result.spectrum) == (2, 6, given)
    assert abs(result.predicted_modes - 6.0) < 1e-10
    assert (result.imaginary_modes, result.negative_share, result.notes) == (0.0, 0.0, [])
    # 24.943 J/(mol K) per atom
    per_mole = result.quantities.heat_capacity[-1] / 2 * JOULE_PER_MOLE
    assert abs(per_mole - 3 * 8.31446261815324) < 1e-4
    assert abs(BOLTZMANN * JOULE_PER_MOLE - 8.31446261815324) < 1e-9


def test_normalised_spectra_and_other_units_are_the_same():
    expected = PhononIntegrals(AXIS, KELVIN).thermodynamics(spectrum()).quantities
    values = spectrum().values
    normalised = spectrum(target=PHONON_DOS_NORMALIZED, values=values / values.max())
    result = PhononIntegrals(AXIS, KELVIN).thermodynamics(normalised)
    assert result.predicted_modes is None and result.notes == []
    np.testing.assert_allclose(result.quantities, expected, rtol=1e-12)
    for unit in ("cm^-1", "meV"):
        axis = AXIS.in_unit(unit)
        given = spectrum(axis=axis, values=values * AXIS.step / axis.step)
        np.testing.assert_allclose(PhononIntegrals(axis, KELVIN).thermodynamics(given).quantities, expected, rtol=1e-12)


@pytest.mark.parametrize(("modes", "text"), [(5.6, "5.60 modes were predicted instead of 6 (-6.7 %)"), (5.8, None)])
def test_wrong_numbers_of_modes_are_scaled_and_noted(modes, text):
    result = PhononIntegrals(AXIS, KELVIN).thermodynamics(spectrum(modes))
    np.testing.assert_allclose(
        result.quantities, PhononIntegrals(AXIS, KELVIN).thermodynamics(spectrum()).quantities, rtol=1e-12
    )
    assert abs(result.predicted_modes - modes) < 1e-10
    assert [note.partition(";")[0] for note in result.notes] == ([] if text is None else [text])


def test_imaginary_modes_are_left_out():
    """The others keep their share of the modes."""
    axis = FixedAxis(-6.0, 0.5, 53, "THz")
    frequencies = axis.values().numpy()
    positive, negative = ((abs(frequencies - centre) < 1.2).astype(float) for centre in (10.0, -3.0))
    result = PhononIntegrals(axis, KELVIN).thermodynamics(spectrum(axis=axis, values=9.0 * positive + negative))
    assert abs(result.imaginary_modes - 0.6) < 1e-12
    alone = PhononIntegrals(axis, KELVIN).thermodynamics(spectrum(axis=axis, values=positive)).quantities
    np.testing.assert_allclose(result.quantities, 0.9 * np.array(alone), rtol=1e-12)
    assert any("0.60 of 6 modes have negative frequencies" in note for note in result.notes)


def test_negative_values_and_spectra_that_are_cut_off_are_noted():
    values = spectrum().values
    noisy = np.where(AXIS.values().numpy() > 18.0, -0.2, values)
    result = PhononIntegrals(AXIS, KELVIN).thermodynamics(spectrum(values=noisy))
    assert result.negative_share > 0.05 and result.density_of_states.min() == 0.0
    assert any("% of the predicted states are negative and set to zero" in note for note in result.notes)
    assert np.all(result.quantities.heat_capacity >= 0.0)
    values = np.where(AXIS.values().numpy() > 19.0, 0.5 * values.max(), values)
    result = PhononIntegrals(AXIS, KELVIN).thermodynamics(spectrum(target=PHONON_DOS_NORMALIZED, values=values))
    text = "the spectrum is cut off at the end of its axis, 20 THz, where it has 50 % of its maximum: modes above are "
    assert result.notes == [text + "missing"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            spectrum(target=ELECTRONIC_DOS),
            "expected a phonon density of states, got mtt::electronic_dos (elect",
        ),
        (
            spectrum(axis=AXIS.in_unit("meV")),
            "expected a spectrum on the axis 0 ... 20 THz in steps of 0.5 THz",
        ),
        (spectrum(values=np.full(41, np.nan)), "expected finite values of the spectrum of Si2, got NaN or infinity"),
        (spectrum(values=np.zeros(41)), "the phonon density of states of Si2 is zero at all positive"),
        (
            spectrum(values=-spectrum().values),
            "the phonon density of states of Si2 is zero at all positive frequencies",
        ),
    ],
    ids=range(5),
)
def test_wrong_spectra(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        PhononIntegrals(AXIS, KELVIN).thermodynamics(given)
    with pytest.raises(ValueError, match=r"expected a value for each of 41 channels, got shape \(40,\)"):
        replace(spectrum(), values=np.zeros(40))


def test_phonopy():
    """Its sum over modes of a simple cubic crystal with springs between neighbors, from its density of states."""
    phonopy = pytest.importorskip("phonopy")
    structure = pytest.importorskip("phonopy.structure.atoms").PhonopyAtoms(
        symbols=["Cu"], cell=3.0 * np.eye(3), scaled_positions=[[0.0, 0.0, 0.0]]
    )
    crystal = phonopy.Phonopy(structure, supercell_matrix=2 * np.eye(3, dtype=int))
    scaled = crystal.supercell.scaled_positions
    constants = np.zeros((8, 8, 3, 3))
    along, across = 6.0, 2.0  # eV/A^2
    for i in range(8):
        constants[i, i] = 2.0 * (along + 2.0 * across) * np.eye(3)
        for direction in range(3):
            shifted = (scaled[i] + 0.5 * np.eye(3)[direction]) % 1.0
            j = int(np.argmin(np.abs((scaled - shifted + 0.5) % 1.0 - 0.5).sum(axis=1)))
            constants[i, j] -= 2.0 * np.diag(np.where(np.arange(3) == direction, along, across))
    crystal.force_constants = constants
    crystal.run_mesh([30, 30, 30])
    kelvin = [100.0, 300.0, 1000.0]
    crystal.run_thermal_properties(temperatures=kelvin)
    crystal.run_total_dos(freq_min=0.0, freq_max=16.0, freq_pitch=0.01)
    expected = crystal.thermal_properties
    axis = FixedAxis.through(crystal.total_dos.frequency_points, "THz")
    given = Spectrum(bulk("Cu", "sc", a=3.0), axis, PHONON_DOS, np.array(crystal.total_dos.dos))
    result = PhononIntegrals(axis, kelvin).thermodynamics(given)
    assert result.notes == [] and abs(result.predicted_modes - 3.0) < 0.02
    found = result.quantities
    np.testing.assert_allclose(found.heat_capacity * JOULE_PER_MOLE, expected.heat_capacity, rtol=2e-3)
    np.testing.assert_allclose(found.entropy * JOULE_PER_MOLE, expected.entropy, rtol=2e-3)
    np.testing.assert_allclose(found.free_energy * JOULE_PER_MOLE / 1e3, expected.free_energy, rtol=2e-3, atol=2e-3)
