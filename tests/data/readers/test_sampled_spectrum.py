"""A density of states on somebody else's grid."""

import dataclasses
import json

import numpy as np
import pytest
from ase.build import bulk

from electrain.data import CalculationError, SampledSpectrum, read_calculations, read_pymatgen_dos


def make_spectrum(**changes) -> SampledSpectrum:
    generator = np.random.default_rng(3)
    energies = np.arange(-7.03, 9.0, 0.037)
    fields = {
        "atoms": bulk("Si"),
        "energies": energies,
        "values": np.where(abs(energies - 1.5) < 0.5, 0.0, generator.uniform(0, 3, (2, len(energies)))),
        "fermi_level": 1.2345,
        "highest_trusted": 5.0,
        "source": "made up",
    }
    return SampledSpectrum(**(fields | changes))


def overlap(spectrum: SampledSpectrum, low: float, high: float) -> float:
    """States between two energies, cell by cell."""
    energies, total = spectrum.energies - spectrum.fermi_level, 0.0
    for i, energy in enumerate(energies):
        left = (energies[i - 1] + energy) / 2 if i > 0 else energy - (energies[1] - energy) / 2
        right = (energies[i + 1] + energy) / 2 if i + 1 < len(energies) else energy + (energy - energies[i - 1]) / 2
        width = max(min(high, right) - max(low, left), 0.0)
        total += float(spectrum.values[:, i].sum()) * width
    return total


@pytest.mark.parametrize("step", [0.01, 0.05, 0.3])
def test_every_channel_keeps_its_integral(step):
    spectrum = make_spectrum()
    grid, values = spectrum.on_channels(step)
    first = round(grid.start / step)
    for channel in (0, 1, len(values) // 2, len(values) - 1):
        middle = (first + channel) * step
        expected = overlap(spectrum, middle - step / 2, middle + step / 2)
        assert values[channel] * step == pytest.approx(expected, abs=1e-10)
    end = (first + len(values) - 0.5) * step
    assert values.sum() * step == pytest.approx(overlap(spectrum, -100, end), abs=1e-10)
    assert end - step / 2 <= spectrum.highest_trusted < end + step / 2


def test_an_uneven_grid():
    energies = np.sort(np.random.default_rng(5).uniform(-5, 8, 60))
    spectrum = make_spectrum(energies=energies, values=np.ones((1, 60)), fermi_level=0.5)
    grid, values = spectrum.on_channels(0.1)
    first = round(grid.start / 0.1)
    # A constant density stays one, except in the first channel, in which it begins.
    np.testing.assert_allclose(values[2:], 1.0)
    assert values.sum() * 0.1 == pytest.approx((first + len(values) - 0.5) * 0.1 - spectrum.lowest)


def test_a_shift_of_energies_and_fermi_level_changes_nothing():
    spectrum = make_spectrum()
    shifted = dataclasses.replace(spectrum, energies=spectrum.energies + 4, fermi_level=spectrum.fermi_level + 4)
    (grid, values), (grid_of_shifted, values_of_shifted) = spectrum.on_channels(0.05), shifted.on_channels(0.05)
    assert grid == grid_of_shifted
    np.testing.assert_allclose(values, values_of_shifted, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"energies": np.array([1.0])}, r"made up: expected at least two finite energies in a row, got shape \(1,\)"),
        ({"energies": np.array([0.0, 2.0, 1.0])}, "expected energies that increase"),
        ({"values": np.ones((3, 5))}, r"expected a density of states of shape .* got \(3, 5\)"),
        ({"values": np.full((1, 434), np.nan)}, "expected a finite density of states"),
        ({"values": np.zeros((1, 434))}, "expected a density of states with states, got none"),
        ({"fermi_level": 30.0}, r"expected a Fermi level on the grid, -7.03 to 8.99\d* eV, got 30 eV"),
        ({"highest_trusted": 20.0}, "expected a highest trusted energy between .* got 20 eV"),
        ({"highest_trusted": -9.0}, "expected a highest trusted energy between .* got -9 eV"),
    ],
)
def test_what_cannot_be_right_is_refused(changes, message):
    with pytest.raises(CalculationError, match=message):
        make_spectrum(**changes)


@pytest.mark.parametrize("num_spins", [1, 2])
def test_a_density_of_states_of_pymatgen(tmp_path, num_spins):
    pytest.importorskip("pymatgen")
    from pymatgen.electronic_structure.core import Spin
    from pymatgen.electronic_structure.dos import CompleteDos, Dos
    from pymatgen.io.ase import AseAtomsAdaptor

    expected = make_spectrum()
    expected = dataclasses.replace(expected, values=expected.values[:num_spins])
    structure = AseAtomsAdaptor.get_structure(expected.atoms)
    densities = dict(zip((Spin.up, Spin.down), expected.values, strict=False))
    total = Dos(expected.fermi_level, expected.energies, densities)
    path = tmp_path / "mp-149.json"
    path.write_text(json.dumps(CompleteDos(structure, total, {}).as_dict()))
    (found,) = read_calculations(path)
    assert isinstance(found, SampledSpectrum)
    np.testing.assert_allclose(found.values, expected.values)
    np.testing.assert_allclose(found.energies, expected.energies)
    np.testing.assert_allclose(found.atoms.positions, expected.atoms.positions)
    assert (found.fermi_level, found.source) == (expected.fermi_level, str(path))
    # It does not tell how many bands there were.
    assert found.highest_trusted == 0
    assert read_pymatgen_dos(path, highest_trusted=3.0).highest_trusted == 3
