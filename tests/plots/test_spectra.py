"""What the plots show."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from ase.build import bulk, molecule
from made_up_results import make_result
from matplotlib.backends.backend_agg import FigureCanvasAgg

from electrain.plots.spectra import plot_comparison, plot_density_of_states, plot_several
from electrain.plots.style import check_figure_path
from electrain.results.uncertainty import Uncertainty


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def legend_of(ax):
    return [] if ax.get_legend() is None else [text.get_text() for text in ax.get_legend().get_texts()]


def test_one_structure():
    ax = make_result(bulk("Si")).plot()
    assert ax.get_xlabel() == r"$E - E_\mathrm{F}$ (eV)"
    assert ax.get_ylabel() == "DOS (states/eV)"
    assert ax.get_title(loc="left") == "Si$_2$   band gap 9.00 eV"
    assert ax.get_xlim() == (-15, 8)
    assert legend_of(ax) == ["occupied"]
    shaded = ax.collections[0].get_paths()[0].vertices
    assert shaded[:, 0].max() == 0


def test_given_axes_window_and_title():
    ax = plt.figure().subplots()
    assert plot_density_of_states(make_result(bulk("Si")), ax, window=(-100, 5), title="mine") is ax
    assert ax.get_xlim() == pytest.approx((-20.012, 5))
    assert ax.get_title(loc="left") == "mine"


def test_window_outside_of_the_energies():
    with pytest.raises(ValueError, match=r"from a lower to a higher energy, both inside -20\.01 to 19\.94 eV, got 30 "):
        make_result(bulk("Si")).plot(window=(30, 40))
    with pytest.raises(ValueError, match="from a lower to a higher energy"):
        make_result(bulk("Si")).plot(window=(5, -5))


def test_height_is_that_of_the_window():
    result = make_result(bulk("Si"))
    high = replace(result, density_of_states=np.where(result.energies < -16, 1e3, result.density_of_states))
    assert plot_density_of_states(high).get_ylim() == plot_density_of_states(result).get_ylim()


def test_elements_are_drawn():
    ax = make_result(molecule("H2O"), per_atom=True).plot()
    assert legend_of(ax) == ["occupied", "total", "O", "H"]


def test_elements_have_other_colors_than_the_line():
    ax = make_result(molecule("H2O"), per_atom=True).plot(color="C1", label="water")
    assert [line.get_color() for line in ax.lines[:3]] == ["C1", "C2", "C3"]
    assert legend_of(ax) == ["occupied", "water", "O", "H"]


def test_results_on_top_of_each_other():
    spread = Uncertainty(np.full(len(make_result(bulk("Si")).energies), 0.1), None, None)
    silicon, water = (replace(make_result(atoms), uncertainty=spread) for atoms in (bulk("Si"), molecule("H2O")))
    ax = silicon.plot(label="first")
    water.plot(ax, color="C1")
    assert legend_of(ax) == ["occupied", "uncertainty ($1\\,\\sigma$)", "first", "H$_2$O"]


def test_total_and_its_only_element_are_both_visible():
    ax = make_result(bulk("Si"), per_atom=True).plot()
    total, silicon = ax.lines[:2]
    assert (total.get_label(), silicon.get_label()) == ("total", "Si")
    assert total.get_linestyle() == "--" and total.get_zorder() > silicon.get_zorder()


@pytest.mark.parametrize("count", [1, 12])
def test_legends_cover_no_curve(count):
    results = [make_result(molecule("CH3CONH2"), per_atom=True)] * count  # two rows of labels
    figure = plot_several(results)
    FigureCanvasAgg(figure).draw()
    for panel in figure.axes:
        legend = panel.get_legend().get_window_extent()
        curves = [line.get_ydata() for line in panel.lines if len(line.get_ydata()) > 2]
        low, high = panel.get_xlim()
        shown = (results[0].energies > low) & (results[0].energies < high)
        highest = max(values[shown].max() for values in curves)
        assert panel.transData.transform((0.0, highest))[1] < legend.y0


def test_own_zero():
    ax = replace(make_result(bulk("Si")), fermi_level=None, band_gap=None).plot()
    assert ax.get_xlabel() == r"$E$ (eV, model's own zero)"
    assert ax.get_xlim() == pytest.approx((-20.012, 19.938))
    assert ax.get_title(loc="left") == "Si$_2$"
    assert legend_of(ax) == []
    assert len(ax.lines) == 2  # the spectrum and zero, no Fermi level


def test_several():
    results = [make_result(bulk("Si")), make_result(molecule("H2O"))]
    figure = plot_several(results, names=["a", "b"])
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["a   Si$_2$   band gap 9.00 eV", "b   H$_2$O   band gap 9.00 eV"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", r"$E - E_\mathrm{F}$ (eV)"]
    with pytest.raises(ValueError, match="at least one structure to plot, got none"):
        plot_several([])


def test_comparison():
    result = make_result(bulk("Si"))
    reference = np.where(result.energies < 5, result.density_of_states, np.nan)
    ax = plot_comparison(result.energies, result.density_of_states + 0.1, reference, title="Si")
    assert legend_of(ax) == ["DFT", "predicted"]
    hatched = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert (hatched.x0, hatched.x1) == pytest.approx((4.988, 8))
    drawn = ax.lines[0].get_ydata()
    np.testing.assert_array_equal(drawn, reference)


def test_comparison_of_what_does_not_fit():
    with pytest.raises(ValueError, match=r"of one shape \(num_channels,\), got \(3,\), \(4,\), \(3,\) and \(3,\)"):
        plot_comparison(np.arange(3), np.arange(4), np.arange(3))


def test_formats():
    check_figure_path(Path("a.png"))
    check_figure_path(Path("a.PDF"))
    with pytest.raises(ValueError, match=r"ends with one of \.\w+, .*\.png.*, got a\.xyz"):
        check_figure_path(Path("a.xyz"))
