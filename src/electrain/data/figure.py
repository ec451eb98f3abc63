"""Overview figure of a data set: some densities of states, the energies up to which they are trusted, the elements."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electrain.interface.quantities import BAND_GAP
from electrain.plots.fixed_spectra import readable_formula
from electrain.plots.periodic_table import plot_periodic_table
from electrain.plots.style import LINE, MISSING, SHADE
from electrain.spectra.axis import EnergyAxis

from .table import Row
from .targets import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WINDOW = (-15.0, 15.0)  # eV from the Fermi level


def plot_summary(samples: Sequence[Sample], rows: Sequence[Row], axis: EnergyAxis, path: Path) -> None:
    """Draw the summary of a data set.

    :param samples: a few structures of the data set.
    :param rows: all its structures.
    :param axis: the energy axis.
    :param path: file of the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2 + max(len(samples), 4)), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.15))[0]
    _plot_spectra(left.subplots(len(samples), 1, sharex=True, squeeze=False)[:, 0], samples, axis)
    top, bottom = right.subplots(2, 1, height_ratios=(1, 1.5))
    _plot_trusted_energies(top, rows)
    plot_elements(bottom, [row.identity.elements for row in rows])
    figure.savefig(path, dpi=130, format="png")


def _plot_spectra(panels: Sequence["Axes"], samples: Sequence[Sample], axis: EnergyAxis) -> None:
    energies = axis.grid.energies().numpy()
    low, high = max(_WINDOW[0], axis.target_grid.start), min(_WINDOW[1], energies[-1])
    shown = (energies >= low) & (energies <= high)
    for panel, sample in zip(panels, samples, strict=True):
        values = sample.spectrum.on(axis).numpy()
        panel.fill_between(energies, np.nan_to_num(values), color=SHADE, alpha=0.6, linewidth=0, where=energies <= 0)
        panel.plot(energies, values, color=LINE, linewidth=1.2)
        if sample.spectrum.highest < high:
            panel.axvspan(sample.spectrum.highest, high, facecolor="none", edgecolor="0.8", hatch="///", linewidth=0)
        panel.axvline(0.0, color="0.3", linewidth=0.8, linestyle="--")
        band_gap = float(sample.values[BAND_GAP])
        gap = "" if np.isnan(band_gap) else f"   band gap {band_gap:.2f} eV"
        panel.set_title(
            f"{readable_formula(sample.atoms.get_chemical_formula(mode='metal'))}{gap}", loc="left", fontsize=9
        )
        panel.set_xlim(low, high)
        panel.set_ylim(0, 1.08 * max(float(np.nanmax(values[shown], initial=0.0)), 1e-6))
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("DOS (states/eV)")
    panels[-1].set_xlabel(r"$E - E_\mathrm{F}$ (eV); hatched: too few bands, not trusted")


def _plot_trusted_energies(panel: "Axes", rows: Sequence[Row]) -> None:
    energies = np.array([row.highest for row in rows])
    edges = np.histogram_bin_edges(energies, bins=min(40, max(8, len(rows) // 5)))
    panel.hist(energies, bins=edges.tolist(), color=LINE, alpha=0.8)
    panel.axvline(0.0, color="0.3", linewidth=0.8, linestyle="--")
    if (energies < 0).any():
        panel.axvspan(float(edges[0]), 0.0, color=MISSING, alpha=0.15, linewidth=0)
    panel.set_xlabel(r"highest trusted energy $E_\mathrm{max} - E_\mathrm{F}$ (eV)")
    panel.set_ylabel("structures")
    panel.set_title(f"{len(rows)} structures", loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)


def plot_elements(panel: "Axes", structures: Iterable[Iterable[str]]) -> None:
    """Draw the periodic table, colored by the number of structures that contain each element.

    :param panel: axes to draw into.
    :param structures: chemical symbols in each structure.
    """
    from matplotlib.colors import LogNorm

    counts: Counter[str] = Counter()
    for symbols in structures:
        counts.update(set(symbols))
    norm = LogNorm(1, max(2, *counts.values()))
    texts = {symbol: f"{n}" if n < 10_000 else f"{n / 1000:.0f}k" for symbol, n in counts.items()}
    plot_periodic_table(panel, {symbol: float(norm(n)) for symbol, n in counts.items()}, texts)
    panel.set_title(f"{len(counts)} elements; number of structures with each", loc="left", fontsize=10)
