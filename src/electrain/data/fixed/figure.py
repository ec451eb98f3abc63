"""Overview figure of a data set of spectra on a fixed axis: some of them, their mean and scatter, the elements."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from electrain.interface.quantities import quantity_of
from electrain.plots.fixed_spectra import axis_label, mark_fermi_level, readable_formula
from electrain.plots.style import LINE, SHADE
from electrain.spectra.fixed_axis import FixedAxis

from ..figure import plot_elements
from .spectrum import FixedSpectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUM_SHOWN = 6


def plot_spectra_summary(
    target: str, axis: FixedAxis, spectra: Sequence[FixedSpectrum], values: Sequence[NDArray[np.float64]], path: Path
) -> None:
    """Draw the summary of a data set.

    :param target: name of the target.
    :param axis: its axis.
    :param spectra: all structures.
    :param values: their spectra as the data set has them.
    :param path: file of the figure.
    """
    from matplotlib.figure import Figure

    shown = range(0, len(spectra), max(1, len(spectra) // _NUM_SHOWN))[:_NUM_SHOWN]
    figure = Figure(figsize=(11, 2 + max(len(shown), 4)), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.15))[0]
    panels = left.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for panel, index in zip(panels, shown, strict=True):
        _plot_spectrum(panel, axis, values[index])
        panel.set_title(
            readable_formula(spectra[index].atoms.get_chemical_formula(mode="metal")), loc="left", fontsize=9
        )
    quantity = quantity_of(target)
    unit = "normalised" if quantity.intensive else axis.density_unit
    panels[0].set_ylabel(f"DOS ({unit})")
    panels[-1].set_xlabel(axis_label(quantity.fixed_axis, axis.unit))
    top, bottom = right.subplots(2, 1, height_ratios=(1, 1.5))
    sizes = np.ones(len(spectra)) if quantity.intensive else np.array([len(one.atoms) for one in spectra])
    _plot_scatter(top, axis, np.array(values) / sizes[:, None])
    top.set_xlabel(axis_label(quantity.fixed_axis, axis.unit))
    top.set_ylabel("DOS (normalised)" if quantity.intensive else f"DOS per atom ({axis.density_unit})")
    mark_fermi_level([*panels, top], quantity.fixed_axis)
    plot_elements(bottom, [one.atoms.get_chemical_symbols() for one in spectra])
    figure.savefig(path, dpi=130, format="png")


def _plot_spectrum(panel: "Axes", axis: FixedAxis, values: NDArray[np.float64]) -> None:
    x = axis.values().numpy()
    panel.fill_between(x, np.nan_to_num(values), color=SHADE, alpha=0.6, linewidth=0)
    panel.plot(x, values, color=LINE, linewidth=1.2)
    panel.set_xlim(x[0], x[-1])
    panel.set_ylim(0, 1.08 * max(float(np.nanmax(values, initial=0.0)), 1e-6))
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _plot_scatter(panel: "Axes", axis: FixedAxis, values: NDArray[np.float64]) -> None:
    """Median over structures, and the range of the middle half of them; channels that nobody knows are empty."""
    x, known = axis.values().numpy(), np.isfinite(values).any(axis=0)
    low, median, high = np.full((3, len(x)), np.nan)
    low[known], median[known], high[known] = np.nanpercentile(values[:, known], (25, 50, 75), axis=0)
    panel.fill_between(x, low, high, color=SHADE, alpha=0.6, linewidth=0, label="middle half")
    panel.plot(x, median, color=LINE, linewidth=1.4, label="median")
    panel.set_xlim(x[0], x[-1])
    panel.set_ylim(bottom=0)
    panel.legend(frameon=False, fontsize=8)
    panel.set_title(f"{len(values)} structures", loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)
