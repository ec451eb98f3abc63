"""What parity plots show."""

import math

import numpy as np
import pytest

from electrain.data.reading import Entry
from electrain.evaluation.parity import energy_parity, fermi_level_parity, gap_parity
from electrain.evaluation.structure_errors import StructureErrors
from electrain.evaluation.summary import ErrorTable
from electrain.evaluation.typesetting import as_html, as_mathtext


def table(rows, subsets=None):
    entries = [Entry("a", "Si", subset, 8.0) for subset in subsets or ["bulk"] * len(rows)]
    return ErrorTable(entries, np.array(rows), [""] * len(rows))


@pytest.fixture
def components(monkeypatch):
    """The components that are read from files, by name; none at first."""
    known = {name: (np.empty(0, np.int64), np.empty((0, 2), np.float32)) for name in ("forces", "stresses")}
    monkeypatch.setattr("electrain.evaluation.parity.read_components", lambda _, name: known[name])
    return known


def points(panel):
    """Points of each subset, without the diagonal."""
    return {line.get_label(): np.column_stack(line.get_data()).tolist() for line in panel.lines[1:]}


def test_energies_per_atom_without_those_of_the_composition(components):
    rows = [
        StructureErrors(2.0, true_energy=-10.0, predicted_energy=-9.0),
        StructureErrors(4.0, true_energy=-20.0, predicted_energy=-24.0),
        StructureErrors(1.0, true_energy=-3.0),
        StructureErrors(1.0, true_energy=-3.0, predicted_energy=-3.0),
    ]
    fitted = [
        StructureErrors(row.num_atoms, predicted_energy=e) for row, e in zip(rows, (-8, -20, -3, math.nan), strict=True)
    ]
    components["forces"] = np.array([0, 0, 1]), np.array([[0.5, 0.25], [-1.0, -1.5], [2.0, 2.25]], np.float32)
    everything = table(rows, ["bulk", "film", "bulk", "bulk"])
    energies, forces = energy_parity(everything, [], table(fitted)).figure.axes
    assert points(energies) == {"bulk": [[-1.0, -0.5]], "film": [[0.0, -1.0]]}
    assert energies.get_xlabel() == r"DFT energy $-$ composition fit (eV/atom)"
    assert energies.texts[0].get_text() == "MAE 750 meV/atom\nRMSE 791 meV/atom\n2 structures"
    assert points(forces) == {"bulk": [[0.5, 0.25], [-1.0, -1.5]], "film": [[2.0, 2.25]]}
    assert (forces.get_xlabel(), forces.get_title(loc="left")) == ("DFT force component (eV/Å)", "forces")
    assert forces.texts[0].get_text() == "MAE 333 meV/Å\nRMSE 354 meV/Å\n3 components"
    for panel in (energies, forces):
        assert panel.get_xlim() == panel.get_ylim() and panel.get_aspect() == 1.0
        assert panel.get_xlim()[0] < min(min(p) for own in points(panel).values() for p in own)
    (raw, _) = energy_parity(everything, [], None).figure.axes
    assert points(raw)["film"] == [[-5.0, -6.0]] and raw.get_xlabel() == "DFT energy (eV/atom)"


def test_many_points_become_a_density(components):
    random = np.random.default_rng(0)
    values = random.normal(size=(5000, 2)).astype(np.float32)
    components["stresses"] = np.zeros(5000, np.int64), values
    drawn = energy_parity(table([StructureErrors(1.0)]), [], None)
    (panel,) = drawn.figure.axes
    (bar,) = panel.child_axes
    (cells,) = panel.collections
    assert cells.get_array().sum() == 5000 and points(panel) == {}
    assert panel.get_ylabel() == "predicted stress component (eV/Å$^{3}$)"
    assert bar.get_title() == "components per cell" and "logarithmic" in drawn.caption


def test_points_are_fainter_the_more_there_are(components):
    alphas = []
    for count in (10, 400, 3000):
        components["forces"] = np.zeros(count, np.int64), np.zeros((count, 2), np.float32)
        (panel,) = energy_parity(table([StructureErrors(1.0)]), [], None).figure.axes
        alphas.append(panel.lines[1].get_alpha())
    assert alphas == [0.75, 0.5, 0.25]


def test_fermi_levels_and_gaps():
    rows = [
        StructureErrors(1.0, true_level=-2.0, predicted_level=-1.5, predicted_level_counted=math.nan),
        StructureErrors(1.0, true_level=-4.0, predicted_level=-5.0, predicted_level_counted=-3.0),
    ]
    model, counted = fermi_level_parity(table(rows)).figure.axes
    assert points(model) == {"all structures": [[-2.0, -1.5], [-4.0, -5.0]]}
    assert points(counted) == {"all structures": [[-4.0, -3.0]]}
    assert model.get_xlabel() == r"DFT $E_\mathrm{F}$ after alignment (eV)"
    assert model.get_xlim() == counted.get_xlim()
    assert gap_parity(table(rows)) is None
    (panel,) = gap_parity(table([StructureErrors(1.0, true_gap=1.0, predicted_gap=1.5)])).figure.axes
    assert points(panel) == {"all structures": [[1.0, 1.5]]}


def test_titles_are_inside_the_figure():
    """Three square panels beside each other are as high as there is room."""
    rows = [
        StructureErrors(1.0, true_gap=g, predicted_gap=g, predicted_gap_counted=g, true_gap_counted=g)
        for g in (0.0, 9.0)
    ]
    figure = gap_parity(table(rows, ["bulk", "film"])).figure
    figure.draw_without_rendering()
    for panel in figure.axes:
        assert panel.get_tightbbox().y1 <= figure.bbox.y1
        assert panel.bbox.width == pytest.approx(panel.bbox.height, rel=1e-3)


def test_nothing_to_compare(components):
    nothing = table([StructureErrors(1.0)])
    assert fermi_level_parity(nothing) is energy_parity(nothing, [], None) is gap_parity(nothing) is None


@pytest.mark.parametrize(
    ("unit", "mathtext", "page"),
    [
        ("eV^-1/2", "eV$^{-1/2}$", "eV<sup>&minus;1/2</sup>"),
        ("meV/A^3", "meV/Å$^{3}$", "meV/Å<sup>3</sup>"),
        ("meV/atom", "meV/atom", "meV/atom"),
        ("A^-1", "Å$^{-1}$", "Å<sup>&minus;1</sup>"),
        ("a<b", "a<b", "a&lt;b"),
    ],
)
def test_units(unit, mathtext, page):
    assert (as_mathtext(unit), as_html(unit)) == (mathtext, page)
