"""Uncertainties of structures, percentiles, and how numbers are shown."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

from electrain.data import EnergyAxis
from electrain.data.reading import Entry, LabelledStructure
from electrain.evaluation.distribution_figures import at_percentiles, element_errors, error_distribution
from electrain.evaluation.evaluated_model import PredictedEnergy
from electrain.evaluation.figures import calibration_figure, errors_by_subset
from electrain.evaluation.structure_errors import StructureErrors, compare_structure, gap_by_counting
from electrain.evaluation.summary import ALL, ErrorTable, summarise
from electrain.evaluation.tables import (
    calibration_row,
    calibration_table,
    counted,
    number,
    text_table,
    write_json,
    write_structures,
)
from electrain.evaluation.uncertainties import SPECTRUM, calibrations
from electrain.evaluation.viewer import (
    MAX_SHOWN,
    as_script,
    chosen_structures,
    viewer_properties,
    viewer_settings,
)
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL, FORCES, STRESS
from electrain.results import ElectronicStructure, Uncertainty
from electrain.spectra import EnergyGrid

AXIS = EnergyAxis(EnergyGrid(-5.0, 0.1, 120), 20, 0.3)
ENTRY = Entry("silicon", "Si", "bulk", 8.0)


def spectrum(center):
    return torch.exp(-0.5 * (AXIS.grid.energies() - center) ** 2).numpy()


def labelled(changes=None):
    target = spectrum(0.0)
    target[:20], target[100:] = 0.0, np.nan
    values = {DENSITY_OF_STATES: target, BAND_GAP: 1.0, ENERGY: 3.0}
    values |= {FORCES: np.zeros((2, 3)), STRESS: np.full((3, 3), math.nan)} | (changes or {})
    return LabelledStructure(ENTRY, bulk("Si"), values)


def test_uncertainties_of_a_structure():
    """The prediction is the target, 15 channels lower and 0.01 too high."""
    spread = Uncertainty(np.full(120, 0.02), band_gap=0.2, fermi_level=0.1)
    energies = AXIS.grid.energies().numpy() + 1.2
    result = ElectronicStructure(bulk("Si"), energies, spectrum(-1.5) + 0.01, 0.4, -1.2, uncertainty=spread)
    energy = PredictedEnergy(3.5, np.ones((2, 3)), None, uncertainty=0.25)
    errors = compare_structure(labelled(), AXIS, result, energy, None).errors
    assert errors.dos_error == pytest.approx(0.01, rel=0.2)
    assert errors.dos_uncertainty == pytest.approx(0.02)
    assert (errors.true_level, errors.predicted_level) == (pytest.approx(-1.5), -1.2)
    assert (errors.num_forces, errors.forces_absolute, errors.num_stresses) == (6.0, 6.0, 0.0)
    found = calibrations(ErrorTable([ENTRY] * 2, np.array([errors, errors]), ["", ""]))
    assert found[ENERGY].errors.tolist() == [0.5, 0.5] and found[ENERGY].uncertainties.tolist() == [0.25, 0.25]
    np.testing.assert_allclose(found[BAND_GAP].errors, -0.6)
    np.testing.assert_allclose(found[FERMI_LEVEL].errors, 0.3)
    assert found[SPECTRUM].unit == "states/eV"
    assert calibration_row(found[ENERGY])["ratio"] == pytest.approx(2.0)
    names = ["energy", "density of states, mean over channels", "band gap", "Fermi level"]
    assert [line[:40].strip() for line in calibration_table(found).splitlines()[1:]] == names
    assert [panel.get_title(loc="left") for panel in calibration_figure(found).figure.axes] == names


def test_metals_predicted_as_such_have_no_gap_to_be_uncertain_of():
    errors = StructureErrors(num_atoms=2.0, true_gap=0.0, predicted_gap=0.0, gap_uncertainty=0.1)
    assert calibrations(ErrorTable([ENTRY], np.array([errors]), [""])) == {}


def test_nothing_trusted():
    """Without a target only the rest counts."""
    nothing = labelled({DENSITY_OF_STATES: np.full(120, math.nan)})
    energies = AXIS.grid.energies().numpy()
    result = ElectronicStructure(bulk("Si"), energies, spectrum(0.0), 0.4, 0.0)
    errors = compare_structure(nothing, AXIS, result, None, None).errors
    assert math.isnan(errors.alignment) and math.isnan(errors.true_level) and errors.predicted_gap == 0.4
    summary = summarise(ErrorTable([ENTRY], np.array([errors]), [""]))[ALL]
    assert "dos_rmse_per_electron" not in summary and summary["gap_head_mae"] == pytest.approx(0.6)


def test_gap_by_counting():
    grid = EnergyGrid(-5.0, 0.1, 120)
    energies = grid.energies()
    dos = torch.where((energies < 0.05) | (energies > 2.95), 1.0, 0.0).double()
    level, gap = gap_by_counting(dos, grid, 5.05, 1)
    assert 0.0 < level < 3.0
    # From 0 to 3 eV, each edge moved into the gap by 0.9 of a channel, where the density of states passes 0.1.
    assert gap == pytest.approx(3.0 - 2 * 0.09)
    assert gap_by_counting(dos, grid, 3.0, 1)[1] == 0.0
    assert all(map(math.isnan, gap_by_counting(dos, grid, 100.0, 1)))  # too few states
    assert all(map(math.isnan, gap_by_counting(dos, grid, math.nan, 1)))
    level, gap = gap_by_counting(torch.where(energies < 0.05, 1.0, 0.0).double(), grid, 5.05, 1)
    assert math.isfinite(level) and math.isnan(gap)  # no upper edge


def test_percentiles_are_structures():
    errors = np.array([3.0, 1.0, math.nan, 2.0, 4.0])
    assert at_percentiles(errors) == {1: [10, 25], 3: [50], 0: [75], 4: [90, 100]}


def test_every_example_is_shown_once():
    values = np.array([StructureErrors(2.0, alignment=a, electrons=1.0) for a in (1.0, 4.0, 9.0)])
    table = ErrorTable([ENTRY] * 3, values, [""] * 3)
    energies = np.linspace(-5.0, 5.0, 11)
    drawn = error_distribution(table, energies, lambda _: (np.ones(11), np.ones(11)))
    titles = [panel.get_title(loc="left").partition(":")[0] for panel in drawn.figure.axes]
    assert titles == ["", "10 % to 25 %", "50 %", "75 % to worst", ""]
    assert drawn.figure.axes[0].lines[-1].get_ydata().tolist() == [0.25, 0.5, 1.0]


def test_equal_errors_are_drawn_beside_each_other():
    """MAE and RMSE of one structure."""
    row = {"structures": 1.0, "gap_head_mae": 0.5, "gap_head_rmse": 0.5}
    (panel,) = errors_by_subset({ALL: row}).figure.axes
    places = [line.get_xdata()[0] for line in panel.lines[:2]]
    assert places == pytest.approx([-0.06, 0.06])


def test_columns_of_structures_have_units(tmp_path):
    values = np.array([StructureErrors(6.0, true_gap=0.5)])
    write_structures(tmp_path / "a.csv", ErrorTable([ENTRY._replace(formula="Fe")], values, [""]))
    (row,) = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert (row["formula"], row["true_gap (eV)"], row["true_level (eV)"]) == ("Fe6", "0.5", "")
    plain = {"number", "id", "formula", "subset", "left out", "num_atoms", "electrons", "num_forces", "num_stresses"}
    assert {name for name in row if not name.endswith(")")} == plain
    document = Path(__file__).parents[2] / "docs" / "evaluation.md"
    assert not [name for name in row if f"`{name}`" not in document.read_text()]


def test_errors_of_elements():
    entries = [ENTRY._replace(formula=formula) for formula in ("SiO2", "O2", "Al")]
    values = np.array([StructureErrors(1.0, alignment=a, electrons=1.0) for a in (1.0, 9.0, math.nan)])
    assert element_errors(ErrorTable(entries, values, [""] * 3)) == {"O": (math.sqrt(5.0), 2), "Si": (1.0, 1)}


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1234"), (0.01234, "0.0123"), (1.2e-5, "1.2e-05"), (math.nan, "-"), (0.0, "0")]
)
def test_numbers_for_readers(value, text):
    assert number("gap_head_mae", value) == text


def test_counted():
    assert [counted(value, "structure") for value in (0, 1, 2)] == ["0 structures", "1 structure", "2 structures"]


def test_text_table():
    text = text_table({"bulk": {"structures": 3.0, "gap_head_mae": 0.5}, ALL: {"structures": 4.0, "gap_head_mae": 1.0}})
    assert [line.split("  ")[-1].strip() for line in text.splitlines()] == [ALL, "4", "1"]
    assert text.splitlines()[2].startswith("gap, model: MAE (eV)")


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"a": [math.nan, {"b": math.inf}], "c": 1.0})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [None, {"b": None}], "c": 1.0}


def test_names_cannot_end_the_script():
    text = as_script({"titles": ["</script><script>alert(1)</script><!--"]})
    assert "</" not in text and "<!--" not in text


def test_the_viewer_shows_some_of_many():
    entries = [ENTRY] * 1000
    values = np.array([StructureErrors(1.0, alignment=float(i), electrons=1.0) for i in range(1000)])
    chosen = chosen_structures(ErrorTable(entries, values, [""] * 1000))
    assert len(chosen) == MAX_SHOWN and chosen[0] == 0 and chosen[-1] == 999


def test_the_viewer_gets_only_what_it_accepts():
    """It warns of texts with more than 20 different values, and of settings that it no longer knows."""
    pytest.importorskip("chemiscope")
    values = np.array([StructureErrors(1.0, alignment=1.0, electrons=1.0, num_forces=3.0, forces_squared=12.0)] * 30)
    entries = [ENTRY._replace(name=f"number {i}", subset="ab"[i % 2]) for i in range(30)]
    table = ErrorTable(entries, values, [""] * 30)
    found = viewer_properties(table, list(range(30)))
    assert (
        "id" not in found and set(found["subset"]["values"]) == {"a", "b"} and set(found["formula"]["values"]) == {"Si"}
    )
    assert set(found["forces, RMSE (eV/Å)"]["values"]) == {2.0}
    assert "id" in viewer_properties(table, list(range(20)))
    assert "packedCell" not in json.dumps(viewer_settings(table, list(range(30))))


def test_baselines_are_marked_among_the_errors():
    row = {"structures": 1.0, "energy_mae": 10.0, "energy_rmse": 20.0}

    def panel_with(name, **values):
        (panel,) = errors_by_subset({ALL: row}, {name: {ALL: {**row, "energy_rmse": math.nan, **values}}}).figure.axes
        return panel

    for name, marker in (("constant per element", "_"), ("two-layer network", "x")):
        panel = panel_with(name, energy_mae=100.0)
        assert [line.get_ydata()[0] for line in panel.lines[:2]] == [10.0, 100.0]
        assert panel.lines[1].get_marker() == marker and panel.lines[2].get_ydata()[0] == 20.0
        assert panel.get_yscale() == "linear" and panel.get_ylim()[1] > 100.0
        assert panel_with(name, energy_mae=1000.0).get_yscale() == "log"
    assert len(panel_with("training mean", energy_mae=100.0).lines) == len(panel_with("x", energy_mae=1.0).lines)


def test_captions_explain_the_marks():
    row = {"structures": 1.0, "energy_mae": 10.0, "energy_rmse": 20.0}
    both = {name: {ALL: row} for name in ("two-layer network", "constant per element")}
    assert "ashes" not in errors_by_subset({ALL: row}, {}).caption
    caption = errors_by_subset({ALL: row}, both).caption
    assert caption.endswith(
        "Dashes: the same errors of one constant per element. Crosses: the same errors of a two-layer network trained "
        "on the same structures."
    )
