"""Parity plots: predictions against calculations, one point per structure or component."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from electrain.interface.quantities import BAND_GAP, ENERGY, FERMI_LEVEL, quantity_of
from electrain.plots.style import LINE

from .chunk_files import read_components
from .figures import NamedFigure, finish, new_figure
from .summary import ALL, ErrorTable, mean_absolute, root_mean_square
from .tables import counted
from .typesetting import as_mathtext

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP, _LEVEL, _ENERGY = quantity_of(BAND_GAP), quantity_of(FERMI_LEVEL), quantity_of(ENERGY)
_GAPS = {
    "predicted_gap": "model",
    "predicted_gap_counted": "counting in predicted DOS",
    "true_gap_counted": "counting in true DOS",
}
_LEVELS = {"predicted_level": "model", "predicted_level_counted": "counting in predicted DOS"}
# More points than this are drawn as a density of points.
_MAX_POINTS = 3000
_NUM_CELLS = 60  # of the density, along each axis


class Parity(NamedTuple):
    """One panel.

    :param title: its title.
    :param unit: unit of the values, as in tables.
    :param labels: labels of the axes, without the unit: calculation and prediction.
    :param subset: index of the subset of each point, shape ``(num_points,)``.
    :param values: calculated and predicted values, shape ``(num_points, 2)``; NaN where unknown.
    :param noun: what a point is.
    :param error_unit: smaller unit for errors, and its factor; ``None`` for the same unit.
    """

    title: str
    unit: str
    labels: tuple[str, str]
    subset: NDArray[np.int64]
    values: NDArray[np.float64]
    noun: str = "structure"
    error_unit: tuple[str, float] | None = None

    def known(self) -> "Parity":
        """Leave out the points with unknown values."""
        finite = np.isfinite(self.values).all(axis=1)
        return self._replace(subset=self.subset[finite], values=self.values[finite])


def gap_parity(table: ErrorTable) -> NamedFigure | None:
    """Plot band gaps, determined in three ways, against those of DFT; ``None`` without gaps."""
    labels = f"DFT {_GAP.label}", _GAP.label
    caption = (
        "Band gaps against those of DFT: as predicted by the model, and determined in the traditional way (Fermi level "
        "from the number of electrons, densities below 0.1 states/eV/atom taken as zero) from the predicted and the "
        "true density of states. Densities of states with too few electrons or without an upper edge of the gap are "
        "left out."
    )
    panels = [
        Parity(title, _GAP.unit, labels, _subset_of(table), _pairs(table, "true_gap", name))
        for name, title in _GAPS.items()
    ]
    return parity_figure("gap_parity", caption, _subset_names(table), panels, same_limits=True)


def fermi_level_parity(table: ErrorTable) -> NamedFigure | None:
    """Plot Fermi levels on the model's axis against those of DFT; ``None`` without Fermi levels."""
    labels = r"DFT $E_\mathrm{F}$ after alignment", r"$E_\mathrm{F}$"
    caption = (
        "Fermi levels on the model's own energy axis, against the position of the DFT Fermi level on that axis at the "
        "shift that fits the density of states best: as predicted by the model, and where the integral of the "
        "predicted density of states reaches the number of electrons. Insulators: the middle of the gap."
    )
    panels = [
        Parity(title, _LEVEL.unit, labels, _subset_of(table), _pairs(table, "true_level", name))
        for name, title in _LEVELS.items()
    ]
    return parity_figure("fermi_level_parity", caption, _subset_names(table), panels, same_limits=True)


def energy_parity(table: ErrorTable, files: Sequence[Path], composition: ErrorTable | None) -> NamedFigure | None:
    """Plot energies per atom, components of forces and of stresses against those of DFT; ``None`` without energies.

    :param table: all structures.
    :param files: files of the chunks, with the components.
    :param composition: numbers of the baseline with a constant per element, whose energies are subtracted, because
        those of free atoms would hide everything else; ``None`` subtracts nothing.
    """
    subset = _subset_of(table)
    energies = _pairs(table, "true_energy", "predicted_energy")
    labels, note = ("DFT energy", "predicted energy"), ""
    if composition is not None:
        energies -= composition.column("predicted_energy")[:, None]
        labels = r"DFT energy $-$ composition fit", r"predicted energy $-$ composition fit"
        note = (
            " From both energies, the sum of one constant per element, fitted to the training set, has been subtracted"
            " (structures with an element that the training set lacks are left out)."
        )
    energies /= table.column("num_atoms")[:, None]
    panels = [Parity(_ENERGY.plural_label, "eV/atom", labels, subset, energies, error_unit=("meV/atom", 1000.0))]
    for name, one, unit in (("forces", "force", "eV/A"), ("stresses", "stress", "eV/A^3")):
        structure, values = read_components(files, name)
        labels = f"DFT {one} component", f"predicted {one} component"
        milli = f"m{unit}", 1000.0
        panels.append(Parity(name, unit, labels, subset[structure], values.astype(np.float64), "component", milli))
    caption = f"Energies per atom and components of their derivatives, as predicted and as calculated.{note}"
    return parity_figure("energy_parity", caption, _subset_names(table), panels, same_limits=False)


def _subset_names(table: ErrorTable) -> list[str]:
    return [name for name in table.subsets() if name != ALL] or [ALL]


def _subset_of(table: ErrorTable) -> NDArray[np.int64]:
    """Index of the subset of each structure, shape ``(num_structures,)``."""
    names = _subset_names(table)
    return np.array([0 if names == [ALL] else names.index(entry.subset) for entry in table.entries], dtype=np.int64)


def _pairs(table: ErrorTable, true: str, predicted: str) -> NDArray[np.float64]:
    return np.column_stack([table.column(true), table.column(predicted)])


def parity_figure(
    name: str, caption: str, subsets: Sequence[str], panels: Sequence[Parity], *, same_limits: bool
) -> NamedFigure | None:
    """Plot predictions against calculations; ``None`` if nothing is known of both.

    :param name: of the file.
    :param caption: of the figure.
    :param subsets: names of the subsets that the panels count.
    :param panels: what is drawn, from left to right.
    :param same_limits: whether all panels have the same axes.
    """
    shown = [panel.known() for panel in panels if len(panel.known().values)]
    if not shown:
        return None
    figure = new_figure(0.4 + 3.2 * len(shown), 4.2)
    drawn = figure.subplots(1, len(shown), squeeze=False)[0]
    everything = np.concatenate([item.values for item in shown])
    names = dict(enumerate(subsets))
    for axes, item in zip(drawn, shown, strict=True):
        _draw(axes, item, names, _limits(everything if same_limits else item.values))
        if same_limits and axes is not drawn[0]:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
    handles = {text: handle for axes in drawn for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    if len(names) > 1 and handles:
        columns = min(6, len(handles))
        legend = figure.legend(
            handles.values(), handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
        )
        for handle in legend.get_lines():
            handle.set_alpha(1.0)
    if any(len(item.values) > _MAX_POINTS for item in shown):
        caption += " Where there are too many points, colors give their number in each cell, on a logarithmic scale."
    return NamedFigure(name, caption, figure)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _draw(axes: "Axes", item: Parity, names: Mapping[int, str], limits: tuple[float, float]) -> None:
    axes.plot(limits, limits, color="0.6", linewidth=0.8, zorder=1)
    true, predicted = item.values.T
    if len(true) > _MAX_POINTS:
        _draw_density(axes, item, limits)
    else:
        # Fainter, the more there are.
        alpha = float(np.clip(10.0 / np.sqrt(len(true)), 0.25, 0.75))
        for index, name in names.items():
            own = item.subset == index
            if own.any():
                (points,) = axes.plot(true[own], predicted[own], ".", color=f"C{index}", alpha=alpha, label=name)
                points.set(markersize=6, markeredgewidth=0.0)
    unit, factor = item.error_unit or (item.unit, 1.0)
    errors = factor * (predicted - true)
    lines = [
        f"{name} {value:{'.0f' if value >= 100 else '.3g'}} {as_mathtext(unit)}"
        for name, value in (("MAE", mean_absolute(errors)), ("RMSE", root_mean_square(errors)))
    ]
    text = "\n".join([*lines, counted(len(errors), item.noun)])
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=8)
    axes.set_aspect("equal")
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
    unit = as_mathtext(item.unit)
    axes.set_xlabel(f"{item.labels[0]} ({unit})")
    finish(axes, title=item.title, ylabel=f"{item.labels[1]} ({unit})")


def _draw_density(axes: "Axes", item: Parity, limits: tuple[float, float]) -> None:
    """Draw the number of points in each cell of a grid, on a logarithmic scale."""
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("points", ["#d6e4f2", LINE, "#0b1d33"])
    cells = axes.hexbin(
        *item.values.T,
        gridsize=_NUM_CELLS,
        extent=(*limits, *limits),
        bins="log",
        mincnt=1,
        cmap=colors,
        linewidths=0.1,
        zorder=2,
    )
    # Below the diagonal, where there are no points unless the model is wrong by as much as the range of the data.
    bar = axes.inset_axes((0.52, 0.16, 0.44, 0.035))
    axes.figure.colorbar(cells, cax=bar, orientation="horizontal")
    bar.set_title(f"{item.noun}s per cell", fontsize=8, pad=3)
    bar.tick_params(labelsize=7)
