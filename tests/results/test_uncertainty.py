"""Uncertainties and ensembles in results, figures, files and on the command line."""

import csv
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from made_up_results import make_result
from metatomic.torch import ModelEvaluationOptions, ModelOutput
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from small_models import GRID, NUM_MEMBERS
from typer.testing import CliRunner

from electrain.calculators import ElectronicStructureModel, load_model
from electrain.cli import app
from electrain.interface.ase_systems import to_system
from electrain.plots.calibration import plot_calibration
from electrain.results import Ensemble, Uncertainty, open_writer, read_json
from electrain.spectra import EnergyGrid, count_electrons, heat_capacity

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
KINDS = ("_uncertainty", "_ensemble")
STRUCTURES = [bulk("Si"), molecule("H2O")]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def uncertain_model(uncertain_file):
    return ElectronicStructureModel(uncertain_file, device="cpu")


def test_results_are_the_outputs_of_the_file(uncertain_file, uncertain_model):
    """Each structure alone, against metatomic's own call."""
    loaded = load_model(uncertain_file)
    assert uncertain_model.predicts_uncertainty
    names = ["mtt::aux::dos", "mtt::aux::bandgap", "mtt::aux::efermi"]
    for atoms, result in zip(STRUCTURES, uncertain_model.predict_many(STRUCTURES), strict=True):
        system = get_system_with_neighbor_lists(to_system(atoms), loaded.requested_neighbor_lists())
        outputs = {name + kind: ModelOutput(sample_kind="system") for name in names for kind in KINDS}
        found = loaded([system], ModelEvaluationOptions("angstrom", outputs), check_consistency=True)
        values = {name: block.block().values[0].detach().numpy() for name, block in found.items()}
        members = values["mtt::aux::dos_ensemble"].reshape(NUM_MEMBERS, GRID["size"])
        np.testing.assert_allclose(result.ensemble.density_of_states, members, **CLOSE)
        np.testing.assert_allclose(members.mean(axis=0), result.density_of_states, **CLOSE)
        assert members.std(axis=0).max() > 1e-3
        for spread, name in zip(result.uncertainty, names, strict=True):
            np.testing.assert_allclose(np.atleast_1d(spread), values[f"{name}_uncertainty"], **CLOSE)
        for numbers, name in zip(result.ensemble[1:], names[1:], strict=True):
            assert numbers.shape == (NUM_MEMBERS,)
            np.testing.assert_allclose(numbers, values[f"{name}_ensemble"], **CLOSE)


def test_per_atom_changes_nothing(uncertain_model):
    whole, resolved = (uncertain_model.predict(STRUCTURES[1], per_atom=per_atom) for per_atom in (False, True))
    assert resolved.local_density_of_states.shape == (3, GRID["size"])
    for one, other in ((whole.uncertainty, resolved.uncertainty), (whole.ensemble, resolved.ensemble)):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_allclose(first, second, **CLOSE)


def test_models_without_uncertainties(model):
    assert not model.predicts_uncertainty
    result = model.predict(STRUCTURES[0])
    assert (result.uncertainty, result.ensemble) == (None, None)


def metal():
    """A density of states around the Fermi level, with three members that are higher or lower and shifted."""
    result = make_result(bulk("Al"))
    values = np.where(np.abs(result.energies) < 15.0, 1.0 + 0.1 * result.energies / 15.0, 0.0)
    members = np.array([1.1 * values, 0.9 * values, values])
    return replace(
        result,
        density_of_states=values,
        uncertainty=Uncertainty(0.1 * values, 0.25, 0.5),
        ensemble=Ensemble(members, np.array([8.0, 9.0, 10.0]), result.fermi_level + np.array([0.0, 0.5, -0.5])),
    )


def test_heat_capacity_of_each_member():
    result = metal()
    grid = EnergyGrid(float(result.energies[0]), 0.05, 800)
    found = result.heat_capacity([300.0, 1000.0])
    np.testing.assert_allclose(found.temperatures, [300.0, 1000.0])
    for index, level in enumerate((0.0, 0.5, -0.5)):
        spectrum = torch.from_numpy(result.ensemble.density_of_states[index])
        electrons = count_electrons(spectrum, grid, level)
        expected = heat_capacity(spectrum, grid, electrons, [300.0, 1000.0])
        np.testing.assert_allclose(found.ensemble[index], expected, rtol=1e-6)
    np.testing.assert_allclose(found.uncertainty, found.ensemble.std(axis=0, ddof=1))
    # Sommerfeld: pi^2 / 3 kB^2 T times the states at the Fermi level
    np.testing.assert_allclose(found.values, np.pi**2 / 3 * 8.617333e-5**2 * np.array([300.0, 1000.0]), rtol=1e-3)


def test_heat_capacity_without_an_ensemble_or_a_fermi_level():
    plain = make_result(bulk("Al"))
    found = plain.heat_capacity(300.0)
    assert found.values.shape == (1,) and (found.uncertainty, found.ensemble) == (None, None)
    with pytest.raises(ValueError, match="the heat capacity needs a Fermi level, but the model predicts none"):
        replace(plain, fermi_level=None).heat_capacity(300.0)


def test_the_band_is_drawn():
    result = metal()
    ax = result.plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["occupied", r"uncertainty ($1\,\sigma$)"]
    assert ax.get_title(loc="left") == r"Al   band gap 9.00 $\pm$ 0.25 eV"
    band = ax.collections[1].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(1.1 * result.density_of_states.max())
    assert ax.get_ylim()[1] > 1.1 * result.density_of_states.max()


def test_json(tmp_path):
    result = metal()
    with open_writer(tmp_path / "out.json") as writer:
        writer.write(result, "Al")
        writer.write(replace(result, uncertainty=result.uncertainty._replace(band_gap=None)), "no gap")
        writer.write(make_result(bulk("Al")), "plain")
    first, second, third = (read for _, read in read_json(tmp_path / "out.json"))
    assert first.uncertainty[1:] == (0.25, 0.5)
    np.testing.assert_allclose(first.uncertainty.density_of_states, 0.1 * result.density_of_states, rtol=1e-7)
    assert second.uncertainty[1:] == (None, 0.5)
    assert third.uncertainty is None


@pytest.mark.parametrize("per_atom", [False, True])
def test_csv(tmp_path, per_atom):
    result = metal()
    if per_atom:
        result = replace(result, local_density_of_states=result.density_of_states[None])
    with open_writer(tmp_path / "out.csv") as writer:
        writer.write(result, "Al")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["structure", "formula", "band_gap_eV", "fermi_level_on_model_axis_eV"]
    names += ["electrons_below_fermi_level", "band_gap_uncertainty_eV", "fermi_level_uncertainty_eV"]
    names += [*(["atom", "element"] if per_atom else []), "energy_minus_fermi_eV"]
    assert list(rows[0]) == [*names, "dos_states_per_eV", "dos_uncertainty_states_per_eV"]
    assert rows[0]["band_gap_uncertainty_eV"] == "0.250000"
    spread = [float(row["dos_uncertainty_states_per_eV"]) for row in rows[:800]]
    np.testing.assert_allclose(spread, result.uncertainty.density_of_states, rtol=1e-7)
    assert {row["dos_uncertainty_states_per_eV"] for row in rows[800:]} == ({""} if per_atom else set())


def test_command(uncertain_file, uncertain_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bulk("Si").write("si.extxyz")
    arguments = ["dos", "si.extxyz", "-m", str(uncertain_file), "-o", "si.json", "-p", "si.png", "-T", "800"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    expected = uncertain_model.predict(bulk("Si"))
    assert f"{expected.band_gap:.2f} ± {expected.uncertainty.band_gap:.2f}" in result.output
    assert f"{expected.fermi_level:.2f} ± {expected.uncertainty.fermi_level:.2f}" in result.output
    assert "±: one standard deviation, calibrated on structures that the model was not trained on." in result.output
    capacity = expected.heat_capacity(800.0)
    numbers = capacity.values[0] / 8.617333262e-5, capacity.uncertainty[0] / 8.617333262e-5
    assert f"{numbers[0]:.4f} ± {numbers[1]:.4f}\n" in result.output
    assert "Heat capacity: electronic heat capacity of the whole structure at 800 K." in result.output
    ((_, read),) = read_json("si.json")
    np.testing.assert_allclose(read.uncertainty.density_of_states, expected.uncertainty.density_of_states, rtol=1e-6)


def test_a_heat_capacity_that_cannot_be_computed(model_file, tmp_path, monkeypatch):
    """A network that was never trained predicts no states at all; the rest of the row is there."""
    monkeypatch.chdir(tmp_path)
    bulk("Si").write("si.extxyz")
    result = CliRunner().invoke(app, ["dos", "si.extxyz", "-m", str(model_file), "-T", "800", "-o", "si.json"])
    assert result.exit_code == 1
    assert "error: si.extxyz: no heat capacity at 800 K: expected a positive number of electrons" in result.output
    assert "error: 1 of 1 heat capacities could not be computed (see above)" in result.output
    assert (tmp_path / "si.json").exists()


def test_heat_capacity_on_the_command_line_needs_a_fermi_level(dos_only_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bulk("Si").write("si.extxyz")
    result = CliRunner().invoke(app, ["dos", "si.extxyz", "-m", str(dos_only_file), "-T", "800"])
    assert result.exit_code == 1
    assert "error: --temperature needs a model with a Fermi level" in result.output


def test_calibration_figure():
    random = np.random.default_rng(0)
    uncertainties = np.exp(random.normal(size=2000))
    errors = uncertainties * random.normal(size=2000)
    ax = plot_calibration(uncertainties, errors, unit="eV", title="energy")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "predicted uncertainty (eV)" and ax.get_ylabel() == "actual error (eV)"
    for area, share in zip(ax.collections, (0.954, 0.683), strict=True):
        bounds = sorted(set(np.round(area.get_paths()[0].vertices[:, 1] / area.get_paths()[0].vertices[:, 0], 6)))
        low, high = bounds[0], bounds[-1]
        inside = np.mean((np.abs(errors) > low * uncertainties) & (np.abs(errors) < high * uncertainties))
        assert inside == pytest.approx(share, abs=0.02)
    with pytest.raises(ValueError, match=r"of one shape \(num_samples,\), got shapes \(2,\) and \(3,\)"):
        plot_calibration(np.ones(2), np.ones(3), unit="eV")
    with pytest.raises(ValueError, match="the smallest uncertainty 0"):
        plot_calibration(np.zeros(2), np.ones(2), unit="eV")
