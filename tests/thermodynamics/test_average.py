"""Thermodynamics of the electrons in the mean density of states of frames."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from electrain.results import ElectronicStructure, Ensemble
from electrain.spectra import EnergyGrid, electronic_energy, electronic_entropy, fermi_level, heat_capacity
from electrain.spectra.fermi import BOLTZMANN
from electrain.thermodynamics.average import EnsembleAverage, Estimate
from electrain.thermodynamics.figure import plot_thermodynamics
from electrain.thermodynamics.files import table, to_dict, write

TEMPERATURES = [300.0, 1000.0, 2000.0]
QUANTITIES = ["fermi_level", "electronic_energy", "entropy", "free_energy", "heat_capacity"]


def metal(energies):
    """Six electrons below zero and as many states above."""
    peaks = ((6.0, -3.0, 1.2), (6.0, 2.5, 1.5))
    return sum(n * np.exp(-0.5 * ((energies - c) / w) ** 2) / (w * math.sqrt(2 * math.pi)) for n, c, w in peaks)


def frame(function=metal, fermi=0.0, ensemble=None, start=-10.0, size=400, symbols="Al2"):
    """A prediction on channels 0.05 eV apart from `start` on, with its Fermi level somewhere on that axis."""
    energies = start + 0.05 * np.arange(size) - fermi
    members = None
    if ensemble is not None:
        levels = fermi + np.array([level for _, level in ensemble])
        spectra = [own(energies - level) for own, level in ensemble]
        members = Ensemble(np.array(spectra), None, levels)
    return ElectronicStructure(Atoms(symbols), energies, function(energies), None, fermi, ensemble=members)


def average(frames):
    gathered = EnsembleAverage()
    for one in frames:
        gathered.add(one)
    return gathered


def test_one_frame_is_its_density_of_states():
    result = average([frame()]).thermodynamics(TEMPERATURES)
    grid = EnergyGrid(-10.0, 0.05, 400)
    np.testing.assert_allclose(result.energies, grid.energies().numpy(), atol=1e-12)
    np.testing.assert_allclose(result.density_of_states.values, metal(result.energies), rtol=1e-9)
    states, electrons = torch.from_numpy(metal(result.energies)), result.num_electrons
    kelvin = torch.tensor(TEMPERATURES)
    levels = [fermi_level(states, grid, electrons, t) for t in TEMPERATURES]
    np.testing.assert_allclose(result.fermi_level.values, levels, atol=1e-9)
    expected = electronic_energy(states, grid, electrons, kelvin)
    np.testing.assert_allclose(result.electronic_energy.values, expected, rtol=1e-9)
    expected = electronic_entropy(states, grid, electrons, kelvin)
    np.testing.assert_allclose(result.entropy.values, expected, rtol=1e-9)
    expected = heat_capacity(states, grid, electrons, kelvin)
    np.testing.assert_allclose(result.heat_capacity.values, expected, rtol=1e-9)
    np.testing.assert_allclose(result.heat_capacity.values, frame().heat_capacity(TEMPERATURES).values, rtol=1e-9)
    assert result.heat_capacity.statistical_error is None
    assert result.heat_capacity.model_uncertainty is None


def test_differences_agree_with_the_derivative():
    result = average([frame()]).thermodynamics(TEMPERATURES)
    np.testing.assert_allclose(result.heat_capacity_by_differences, result.heat_capacity.values, rtol=1e-5)
    free = result.electronic_energy.values - result.temperatures * result.entropy.values
    np.testing.assert_allclose(result.free_energy.values, free, rtol=1e-9)


def test_a_constant_density_of_states():
    """C = pi^2 / 3 kB^2 T g at all temperatures, and the Fermi level stays."""
    result = average([frame(lambda e: np.full_like(e, 1.5)) for _ in range(3)]).thermodynamics([100, 2000])
    exact = math.pi**2 / 3 * BOLTZMANN**2 * 1.5 * result.temperatures
    np.testing.assert_allclose(result.heat_capacity.values, exact, rtol=1e-4)
    np.testing.assert_allclose(result.entropy.values, exact, rtol=1e-4)
    np.testing.assert_allclose(result.fermi_level.values, 0.0, atol=1e-5)


def test_frames_are_aligned_on_their_fermi_levels():
    """Equation 13: functions that differ, on axes of which every one has its own zero."""
    functions = [lambda e, s=s: (1 + 0.1 * s) * metal(e - 0.2 * s) for s in (-1, 0, 1, 2)]
    levels = [0.0, 1.23, -2.487, 0.51]
    frames = [frame(f, fermi, size=420) for f, fermi in zip(functions, levels, strict=True)]
    result = average(frames).thermodynamics(TEMPERATURES)
    # The energies that all of them know; below its grid, a density of states is zero.
    assert result.energies[-1] == pytest.approx(10.95 - 1.23, abs=0.05)
    assert result.energies[0] == pytest.approx(-10.0 - 1.23, abs=0.05)
    expected = np.mean([f(result.energies) for f in functions], axis=0)
    inner = result.energies > -7.4
    # Linear between channels: up to DOS'' step^2 / 8
    np.testing.assert_allclose(result.density_of_states.values[inner], expected[inner], atol=2e-3)
    again = average([frame(f, 0.0, size=420) for f in functions]).thermodynamics(TEMPERATURES)
    for name in QUANTITIES[1:]:
        np.testing.assert_allclose(getattr(result, name).values, getattr(again, name).values, rtol=5e-3)


def test_negative_noise_averages_out():
    noise = np.random.default_rng(0).normal(size=400)
    frames = [frame(lambda e, s=s: metal(e) + s * noise) for s in (1, -1)]
    result = average(frames).thermodynamics(TEMPERATURES)
    plain = average([frame()]).thermodynamics(TEMPERATURES)
    np.testing.assert_allclose(result.heat_capacity.values, plain.heat_capacity.values, rtol=1e-9)


def test_statistical_errors():
    """Densities of states that differ by a factor: all quantities but the Fermi level are proportional to it."""
    factors = np.random.default_rng(0).normal(1.0, 0.1, size=30)
    frames = [frame(lambda e, f=f: f * metal(e)) for f in factors]
    result = average(frames).thermodynamics(TEMPERATURES)
    relative = factors.std(ddof=1) / math.sqrt(30) / factors.mean()
    assert len(result.blocks.means) == 30
    for name in QUANTITIES[1:]:
        estimate = getattr(result, name)
        np.testing.assert_allclose(estimate.statistical_error, relative * np.abs(estimate.values), rtol=1e-6)
    np.testing.assert_allclose(result.fermi_level.statistical_error, 0.0, atol=1e-7)
    spectrum = result.density_of_states
    np.testing.assert_allclose(spectrum.statistical_error, relative * spectrum.values, rtol=1e-6)


def test_a_wide_gap():
    """Nothing but slightly negative noise within many electronvolts: no heat, and no error of it."""

    def insulator(energies):
        peaks = ((8.0, -8.0, 0.3), (8.0, 8.0, 0.3))
        bands = sum(n * np.exp(-0.5 * ((energies - c) / w) ** 2) / (w * math.sqrt(2 * math.pi)) for n, c, w in peaks)
        return bands - 1e-4

    ensemble = [(insulator, 0.0)] * 3
    result = average([frame(insulator, ensemble=ensemble)] * 4).thermodynamics([300.0])
    for estimate in (result.heat_capacity, result.electronic_energy, result.entropy):
        np.testing.assert_allclose([estimate.values, estimate.statistical_error], 0.0, atol=1e-12)
        np.testing.assert_allclose(estimate.model_uncertainty, 0.0, atol=1e-12)


def test_model_uncertainty():
    """Ensemble members with Fermi levels of their own, each averaged over the frames as if it were the prediction."""
    factors, levels = [0.8, 1.0, 1.3], [-0.5, 0.0, 0.7]

    def members(frame_factor):
        pairs = zip(factors, levels, strict=True)
        return [(lambda e, f=f: f * frame_factor * metal(e), level) for f, level in pairs]

    frames = [frame(lambda e, s=s: s * metal(e), 0.3 * s, members(s)) for s in (0.9, 1.1)]
    result = average(frames).thermodynamics(TEMPERATURES)
    relative = np.std(factors, ddof=1)
    for name in QUANTITIES[1:]:
        estimate = getattr(result, name)
        np.testing.assert_allclose(estimate.model_uncertainty, relative * np.abs(estimate.values), rtol=5e-3)
    assert result.energies[-1] <= 9.95 - 0.33 - 0.7  # what all frames and members know


@pytest.mark.parametrize(
    ("frames", "temperatures", "message"),
    [
        ([], [300], "expected at least one frame, got none"),
        ([frame()], [300, 0.1], "expected temperatures of at least 0.5 K, got 0.1"),
        (
            [frame(fermi=30.0)],
            [300],
            "the Fermi level is outside the energies common to all frames, -40 to -20.05 eV",
        ),
        ([frame(size=210)], [430], r"the DOS ends at 0.4.* eV .*, 12.2 kB T from the Fermi level at 430 K"),
        (
            [frame(size=210)],
            [2000],
            r"2000 K is too hot for this model's axis, which ends 0.45 eV above the Fermi level",
        ),
        ([frame()], [300.0] * 2001, "expected 1 to 2,000 temperatures, got 2,001"),
        ([frame()], [], "expected 1 to 2,000 temperatures, got 0"),
    ],
)
def test_errors_of_temperatures(frames, temperatures, message):
    with pytest.raises(ValueError, match=message):
        average(frames).thermodynamics(temperatures)


def test_errors_of_frames():
    no_level = ElectronicStructure(Atoms("Al"), np.arange(3.0), np.ones(3))
    with pytest.raises(ValueError, match="needs their Fermi levels, but the model predicts none"):
        average([no_level])
    with pytest.raises(ValueError, match="expected the same atoms in all frames, got AlSi after Al2"):
        average([frame(), frame(symbols="AlSi")])
    with pytest.raises(ValueError, match=r"with an energy step of 0.05 eV and 0 ensemble members, got 0.05 eV and 1"):
        average([frame(), frame(ensemble=[(metal, 0.0)])])


@pytest.fixture
def result():
    ensemble = [(lambda e, f=f: f * metal(e), 0.0) for f in (0.9, 1.1)]
    frames = [frame(lambda e, s=s: s * metal(e), ensemble=ensemble) for s in np.linspace(0.9, 1.1, 20)]
    return average(frames).thermodynamics(TEMPERATURES)


def test_table(result):
    lines = table(result).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["300", "1000", "2000"]
    assert "heat capacity (kB/atom)" in lines[0]
    capacity = result.heat_capacity
    errors = [error[0] / BOLTZMANN / 2 for error in capacity[1:]]
    assert f"{capacity.values[0] / BOLTZMANN / 2:.4f} ± {errors[0]:.4f} ± {errors[1]:.4f}" in lines[1]
    value = capacity.values[2] / BOLTZMANN / result.num_electrons
    assert f"{value:.4f} ±" in table(result, per_electron=True).splitlines()[3]
    assert f"{result.electronic_energy.values[2] / 2e-3:.3f} ±" in lines[3]


def test_small_errors_in_the_table(result):
    errors = [np.array(values) for values in ([4e-9, 6e-5, 0.0], [0.98, 4.9e-5, 12.0])]
    level = Estimate(np.array([1e-4, 2e-4, 0.5]), *errors)
    lines = table(replace(result, fermi_level=level)).splitlines()[1:]
    expected = ["0.0001 ± <0.0001 ± 0.9800", "0.0002 ± 0.0001 ± <0.0001", "0.5000 ± 0.0000 ± 12.0000"]
    assert [" ".join(line.split()[1:6]) for line in lines] == expected


def test_files(result, tmp_path):
    paths = write(result, tmp_path / "out.csv")
    assert [path.name for path in paths] == ["out.csv", "out_dos.csv"]
    rows, spectrum = (list(csv.DictReader(path.read_text().splitlines())) for path in paths)
    assert [float(row["temperature_K"]) for row in rows] == TEMPERATURES
    found = [float(row["heat_capacity_statistical_error_eV_per_K_per_atom"]) for row in rows]
    np.testing.assert_allclose(found, result.heat_capacity.statistical_error / 2, rtol=1e-9)
    found = [float(row["free_energy_model_uncertainty_eV_per_electron"]) for row in rows]
    np.testing.assert_allclose(found, result.free_energy.model_uncertainty / result.num_electrons, rtol=1e-9)
    assert len(spectrum) == len(result.energies)
    assert float(spectrum[200]["dos_states_per_eV_per_atom"]) == pytest.approx(metal(0.0) / 2, rel=1e-6)
    content = json.loads(write(result, tmp_path / "out.json")[0].read_text())
    assert content == json.loads(json.dumps(to_dict(result)))
    assert content["blocks"] == {"number": 10, "frames_in_each": 2, "are_independent": False}
    assert content["temperatures"]["entropy_eV_per_K_per_atom"] == list(result.entropy.values / 2)
    with pytest.raises(ValueError, match=r"ends with .json or .csv, got .*out.txt"):
        write(result, tmp_path / "out.txt")


def test_figure(result, tmp_path):
    for per_electron, unit in ((False, "atom"), (True, "electron")):
        figure = plot_thermodynamics(result, per_electron=per_electron)
        labels = [panel.get_ylabel() for panel in figure.axes]
        assert labels[0] == f"mean DOS (states/eV/{unit})"
        assert labels[1] == rf"heat capacity ($k_\mathrm{{B}}$/{unit})"
        line = figure.axes[1].lines[0]
        number = result.num_electrons if per_electron else 2
        np.testing.assert_allclose(line.get_ydata(), result.heat_capacity.values / BOLTZMANN / number)
        error = result.density_of_states.statistical_error.max() / number
        texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert texts[0] == "occupied" and texts[1].startswith(r"model ($1\,\sigma \leq$ ")
        assert texts[2] == rf"statistics ($1\,\sigma \leq$ {error:.1g})"
        colors = [tuple(band.get_facecolor()[0]) for band in figure.axes[0].collections]
        assert len(set(colors)) == 3
    figure.savefig(tmp_path / "figure.png")
