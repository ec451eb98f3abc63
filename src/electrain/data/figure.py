"""A picture of a data set: some densities of states, how far they can be trusted, and which elements there are."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from .axis import SpectrumAxis
from .table import Row
from .targets import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WINDOW = (-15.0, 15.0)  # eV from the Fermi level
_LINE = "#1f4e79"
_SHADE = "#9dc3e6"
_MISSING = "#d1495b"
_NUM_COLUMNS = 18
_LANTHANIDES, _ACTINIDES = range(57, 72), range(89, 104)


def plot_summary(samples: Sequence[Sample], rows: Sequence[Row], axis: SpectrumAxis, path: Path) -> None:
    """Draw the summary of a data set.

    :param samples: a few of its structures.
    :param rows: all of them.
    :param axis: the energy axis.
    :param path: of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2 + max(len(samples), 4)), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.15))[0]
    _plot_spectra(left.subplots(len(samples), 1, sharex=True, squeeze=False)[:, 0], samples, axis)
    top, bottom = right.subplots(2, 1, height_ratios=(1, 1.5))
    _plot_trusted_energies(top, rows)
    _plot_elements(bottom, rows)
    figure.savefig(path, dpi=130, format="png")


def _plot_spectra(panels: Sequence["Axes"], samples: Sequence[Sample], axis: SpectrumAxis) -> None:
    energies = axis.grid.energies().numpy()
    low, high = max(_WINDOW[0], axis.target_grid.start), min(_WINDOW[1], energies[-1])
    shown = (energies >= low) & (energies <= high)
    for panel, sample in zip(panels, samples, strict=True):
        values = sample.spectrum.on(axis).numpy()
        panel.fill_between(energies, np.nan_to_num(values), color=_SHADE, alpha=0.6, linewidth=0, where=energies <= 0)
        panel.plot(energies, values, color=_LINE, linewidth=1.2)
        if sample.spectrum.highest < high:
            panel.axvspan(sample.spectrum.highest, high, facecolor="none", edgecolor="0.8", hatch="///", linewidth=0)
        panel.axvline(0.0, color="0.3", linewidth=0.8, linestyle="--")
        formula = sample.atoms.get_chemical_formula(mode="metal")
        readable = "".join(f"$_{{{c}}}$" if c.isdigit() else c for c in formula)
        gap = "" if np.isnan(sample.band_gap) else f"   band gap {sample.band_gap:.2f} eV"
        panel.set_title(f"{readable}{gap}", loc="left", fontsize=9)
        panel.set_xlim(low, high)
        panel.set_ylim(0, 1.08 * max(float(np.nanmax(values[shown], initial=0.0)), 1e-6))
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("DOS (states/eV)")
    panels[-1].set_xlabel(r"$E - E_\mathrm{F}$ (eV); hatched: too few bands, not trusted")


def _plot_trusted_energies(panel: "Axes", rows: Sequence[Row]) -> None:
    energies = np.array([row.highest for row in rows])
    edges = np.histogram_bin_edges(energies, bins=min(40, max(8, len(rows) // 5)))
    panel.hist(energies, bins=edges.tolist(), color=_LINE, alpha=0.8)
    panel.axvline(0.0, color="0.3", linewidth=0.8, linestyle="--")
    if (energies < 0).any():
        panel.axvspan(float(edges[0]), 0.0, color=_MISSING, alpha=0.15, linewidth=0)
    panel.set_xlabel(r"highest trusted energy $E_\mathrm{max} - E_\mathrm{F}$ (eV)")
    panel.set_ylabel("structures")
    panel.set_title(f"{len(rows)} structures", loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)


def _plot_elements(panel: "Axes", rows: Sequence[Row]) -> None:
    """The periodic table; color: in how many structures an element is."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.identity.elements)
    norm = LogNorm(1, max(2, *counts.values()))
    colors = colormaps["viridis_r"]
    for number in range(1, 104):
        x, y = _place(number)
        symbol = chemical_symbols[number]
        color = colors(0.1 + 0.9 * norm(counts[symbol])) if counts[symbol] else "white"
        is_dark = bool(counts[symbol]) and 0.1 + 0.9 * norm(counts[symbol]) > 0.5
        panel.add_patch(Rectangle((x, -y), 0.94, 0.94, facecolor=color, edgecolor="0.8", linewidth=0.5))
        text_color = "white" if is_dark else "black" if counts[symbol] else "0.7"
        panel.text(x + 0.47, 0.6 - y, symbol, ha="center", va="center", fontsize=7, color=text_color)
        if counts[symbol]:
            number_of = f"{counts[symbol]}" if counts[symbol] < 10_000 else f"{counts[symbol] / 1000:.0f}k"
            panel.text(x + 0.47, 0.22 - y, number_of, ha="center", va="center", fontsize=4.5, color=text_color)
    panel.set_xlim(-0.2, _NUM_COLUMNS + 0.2)
    panel.set_ylim(-9.6, 1.2)
    panel.set_aspect("equal")
    panel.set_axis_off()
    panel.set_title(f"{len(counts)} elements; number of structures with each", loc="left", fontsize=10)


def _place(number: int) -> tuple[float, float]:
    """Column and row of an element; lanthanides and actinides below the others."""
    for row, series in enumerate((_LANTHANIDES, _ACTINIDES)):
        if number in series:
            return 2.0 + number - series[0], 7.5 + row
    noble = (0, 2, 10, 18, 36, 54, 86, 118)
    period = next(index for index, last in enumerate(noble) if number <= last)
    position, length = number - noble[period - 1], noble[period] - noble[period - 1]
    left = {1: 1, 2: 2, 3: 2}.get(period, 3 if period < 6 else 2)
    column = position - 1 if position <= left else _NUM_COLUMNS - 1 - (length - position)
    return float(column), float(period - 1)
