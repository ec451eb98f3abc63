"""What the plots of bands show."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from matplotlib.backends.backend_agg import FigureCanvasAgg

from electrain.bands import BandStructure
from electrain.plots.bands import plot_bands

K_POINTS = np.concatenate([np.linspace([0, 0, 0], [0.5, 0, 0], 11), np.linspace([0.5, 0, 0], [0.5, 0.5, 0], 11)[1:]])
INDEX = np.arange(21)


def bands(**changes):
    """The valence band has its top at Γ, the conduction band its bottom at 0.8 Γ-X."""
    energies = np.stack([-0.1 * INDEX, 2.0 + 0.1 * abs(INDEX - 8)], axis=1)[None]
    values = {
        "atoms": Atoms("Si2O4", cell=[3.0] * 3, pbc=True),
        "k_points": K_POINTS,
        "energies": energies,
        "fermi_level": 0.5,
        "labels": ((0, "Γ"), (10, "X"), (20, "M")),
        "num_electrons": 2.0,
    }
    return BandStructure(**values | changes)


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    return figure.axes[0]


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def curves(ax):
    """Lines with as many points as there are k-points."""
    return [line for line in ax.lines if len(line.get_xdata()) == 21]


def test_an_insulator():
    ax = drawn(plot_bands(bands()))
    assert ax.get_title(loc="left") == "O$_2$Si   indirect gap 2.00 eV, Γ to 0.80 Γ-X"
    assert ax.get_ylabel() == r"$E - E_\mathrm{mid\,gap}$ (eV)"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Γ", "X", "M"]
    np.testing.assert_allclose(ax.get_xticks(), bands().distances()[[0, 10, 20]])
    assert texts(ax) == ["2.00 eV"]
    valence, conduction = curves(ax)
    np.testing.assert_allclose(valence.get_ydata(), bands().energies[0, :, 0] - 1.0)
    assert valence.get_color() != conduction.get_color()
    assert ax.get_ylim() == pytest.approx((-3.4, 2.6))
    assert ax.get_legend() is None
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, [(0.0, -1.0), (bands().distances()[8], 1.0)])


def test_a_metal():
    ax = drawn(plot_bands(bands(num_electrons=3.0)))
    assert ax.get_title(loc="left") == "O$_2$Si   metal"
    assert ax.get_ylabel() == r"$E - E_\mathrm{F}$ (eV)"
    assert texts(ax) == []
    first, second = curves(ax)
    assert first.get_color() == second.get_color()
    np.testing.assert_allclose(first.get_ydata(), bands().energies[0, :, 0] - 0.5)


def test_a_direct_gap():
    energies = np.stack([-0.1 * INDEX, 2.0 + 0.1 * INDEX], axis=1)[None]
    assert plot_bands(bands(energies=energies)).axes[0].get_title(loc="left").endswith("direct gap 2.00 eV at Γ")


def test_a_reference_beneath_and_a_density_of_states_beside():
    other = bands(energies=bands().energies + 0.7)
    energies = np.linspace(-20, 20, 401)
    states = np.where(abs(energies) > 15, 50.0, np.exp(-(energies**2)))
    figure = plot_bands(bands(), reference=other, density_of_states=(energies, states), names=("this", "that"))
    ax, beside = figure.axes
    FigureCanvasAgg(figure).draw()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["this", "that"]
    beneath, above = curves(ax)[0], curves(ax)[2]
    assert beneath.get_linewidth() > above.get_linewidth()
    np.testing.assert_allclose(beneath.get_ydata(), above.get_ydata())  # each from its own zero
    assert beside.get_ylim() == ax.get_ylim()
    assert beside.get_xlabel() == "DOS (states/eV)"
    assert beside.get_xlim() == pytest.approx((0.0, 1.08))  # of what is shown
    assert beside.collections[0].get_paths()[0].vertices[:, 1].max() <= 0.0


def test_a_reference_on_other_k_points():
    other = bands()
    with pytest.raises(ValueError, match=r"same k-points, got 21 and 20 that differ: .* electrain\.bands\.resampled"):
        plot_bands(bands(), reference=replace(other, k_points=K_POINTS[1:], energies=other.energies[:, 1:], labels=()))


def test_large_and_small_gaps_and_edges_outside_the_window():
    wide = bands(energies=bands().energies + np.array([0.0, 24.0]))
    assert drawn(plot_bands(wide)).get_ylim() == pytest.approx((-15.0, 14.6))
    narrow = bands(energies=bands().energies - np.array([0.0, 1.95]))
    assert texts(drawn(plot_bands(narrow))) == []  # in the title only
    assert texts(drawn(plot_bands(bands(), window=(-0.5, 0.5)))) == []


@pytest.mark.parametrize("name", ["X₁", "Γ₁₂₃₄"])
def test_labels_do_not_overlap(name):
    labels = tuple((index, name) for index in range(21))
    ticks = drawn(plot_bands(bands(labels=labels))).get_xticklabels()
    for row in (0, 1):
        boxes = [tick.get_window_extent() for tick in ticks if tick.get_text() and tick.get_text().count("\n") == row]
        assert len(boxes) > 0 or (name, row) == ("X₁", 1)
        for before, after in itertools.pairwise(boxes):
            assert after.x0 > before.x1


def test_jumps_have_no_length():
    k_points = np.concatenate(
        [np.linspace([0, 0, 0], [0.5, 0, 0], 11), np.linspace([0.5, 0.5, 0.5], [0, 0.5, 0.5], 10)]
    )
    ax = drawn(plot_bands(bands(k_points=k_points, labels=((0, "Γ"), (10, "X"), (11, "R"), (20, "T")))))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Γ", "X|R", "T"]
    assert [len(line.get_xdata()) for line in ax.lines[:2]] == [11, 11]
    assert ax.get_xlim()[1] == pytest.approx(2 * np.pi / 3.0)


def test_two_spins():
    two = replace(bands(), energies=np.concatenate([bands().energies, bands().energies + 0.1]))
    styles = [line.get_linestyle() for line in curves(drawn(plot_bands(two)))]
    assert styles == ["-", "-", "--", "--"]
