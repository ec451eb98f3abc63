"""Overview figure of a data set of bands: some of them, the gaps, the elements."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
    figure = Figure(figsize=(12, max(6.0, 2.6 * num_rows)), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.15))[0]
    panels = left.subplots(num_rows, 2, squeeze=False).ravel()
    for panel, one in zip(panels, shown, strict=False):
        _plot_bands(panel, one)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    for panel in panels[::2]:
        panel.set_ylabel(r"$E$ (eV)")
    top, bottom = right.subplots(2, 1, height_ratios=(1, 1.5))
    _plot_gaps(top, learned)
    plot_elements(bottom, [one.atoms.get_chemical_symbols() for one in learned])
    figure.savefig(path, dpi=130, format="png")


def _plot_bands(panel: "Axes", one: LearnedBands) -> None:
    energies, labels = one.targets.energies, _joined(one)
    panel.plot(energies.T, color=LINE, linewidth=1.1)
    panel.axhline(0.0, color="0.3", linewidth=0.8, linestyle="--")
    for index in labels:
        panel.axvline(index, color="0.8", linewidth=0.6, zorder=0)
    panel.set_xticks(list(labels), list(labels.values()), fontsize=7)
    panel.set_xlim(0, energies.shape[1] - 1)
    gap = f"   gap {one.gap:.2f} eV" if one.gap else "   metal"
    formula = readable_formula(one.atoms.get_chemical_formula(mode="metal"))
    panel.set_title(f"{formula}{gap}", loc="left", fontsize=9)
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)


def _joined(one: LearnedBands) -> dict[int, str]:
    """Names by index; those between which a path jumps stand together, such as ``K|U``, at the first one."""
    found: dict[int, str] = {}
    for index, name in one.targets.labels:
        place = index if index in found or index - 1 not in found else index - 1
        found[place] = f"{found[place]}|{name}" if place in found and found[place] != name else name
    return found


def _plot_gaps(panel: "Axes", learned: Sequence[LearnedBands]) -> None:
    gaps = np.array([one.gap for one in learned])
    found = gaps[gaps > 0]
    if len(found):
        panel.hist(found.tolist(), bins=min(30, max(6, len(found) // 4)), color=LINE, alpha=0.8)
    panel.set_xlim(left=0)
    panel.set_xlabel("band gap along the path (eV)")
    panel.set_ylabel("structures")
    panel.set_title(f"{len(learned)} structures, {int((gaps == 0).sum())} metals", loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)
