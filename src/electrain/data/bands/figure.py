"""Overview figure of a data set of bands: some of them, the gaps, the elements."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electrain.bands import bands_of_window
from electrain.plots.bands import draw_bands
from electrain.plots.fixed_spectra import readable_formula
from electrain.plots.style import LINE

from ..figure import plot_elements
from .settings import LearnedBands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUM_SHOWN = 6


def plot_bands_summary(learned: Sequence[LearnedBands], path: Path) -> None:
    """Draw the summary of a data set.

    :param learned: all structures.
    :param path: file of the figure.
    """
    from matplotlib.figure import Figure

    shown = learned[:: max(1, len(learned) // _NUM_SHOWN)][:_NUM_SHOWN]
    num_rows = (len(shown) + 1) // 2
    figure = Figure(figsize=(13, max(6.0, 2.6 * num_rows)), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.2, 1))[0]
    panels = left.subplots(num_rows, 2, squeeze=False).ravel()
    for panel, one in zip(panels, shown, strict=False):
        _plot_bands(panel, one)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    top, bottom = right.subplots(2, 1, height_ratios=(1, 1.5))
    _plot_gaps(top, learned)
    plot_elements(bottom, [one.atoms.get_chemical_symbols() for one in learned])
    figure.savefig(path, dpi=130, format="png")


def _plot_bands(panel: "Axes", one: LearnedBands) -> None:
    """What is learned, with the gap of all that was computed."""
    bands = bands_of_window(one.atoms, *one.targets)
    if bands is None:
        panel.set_axis_off()
        return
    formula = readable_formula(one.atoms.get_chemical_formula(mode="metal"))
    draw_bands(panel, bands, title=f"{formula}   gap {one.gap:.2f} eV" if one.gap else f"{formula}   metal")
    panel.tick_params(labelsize=7)
    panel.yaxis.label.set_fontsize(8)


def _plot_gaps(panel: "Axes", learned: Sequence[LearnedBands]) -> None:
    from matplotlib.ticker import MaxNLocator

    gaps = np.array([one.gap for one in learned])
    found = gaps[gaps > 0]
    if len(found):
        panel.hist(found.tolist(), bins=min(30, max(6, len(found) // 4)), color=LINE, alpha=0.8)
    panel.set_xlim(left=0)
    panel.set_xlabel("band gap along the path (eV)")
    panel.set_ylabel("structures")
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_title(f"{len(learned)} structures, {int((gaps == 0).sum())} metals", loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)
