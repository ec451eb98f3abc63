"""Figures of the distribution of errors among structures, with examples, and among elements."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase.formula import Formula
from numpy.typing import NDArray

from electrain.plots.periodic_table import COLORS, plot_periodic_table
from electrain.plots.spectra import plot_comparison

from .figures import DOS_ERROR_UNIT, NamedFigure, plain_numbers
from .summary import ALL, ErrorTable, root_mean_square

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PERCENTILES = (10, 25, 50, 75, 90, 100)
WINDOW = (-15.0, 10.0)  # eV from the Fermi level

# Aligned prediction and target of a structure, by its index.
Spectra = Callable[[int], tuple[NDArray[np.float64], NDArray[np.float64]]]


def at_percentiles(errors: NDArray[np.float64], percentiles: Sequence[int] = _PERCENTILES) -> dict[int, list[int]]:
    """Find structures at chosen percentiles of the known errors: index of the structure -> its percentiles.

    Each is the first structure at or above the percentile; 0 is the best, 100 the worst.
    """
    order = np.argsort(errors, kind="stable")[: int(np.isfinite(errors).sum())]
    found: dict[int, list[int]] = {}
    for percentile in percentiles:
        rank = max(0, -(-percentile * len(order) // 100) - 1)
        found.setdefault(int(order[rank]), []).append(percentile)
    return found


def error_distribution(table: ErrorTable, energies: NDArray[np.float64], spectra: Spectra) -> NamedFigure | None:
    """Plot the cumulative distribution of errors, and examples from it (figure 2 of the paper).

    :param table: all structures.
    :param energies: energies of the target grid, in eV from the Fermi level.
    :param spectra: function that reads the densities of states of one structure.
    :return: ``None`` without densities of states.
    """
    from matplotlib.figure import Figure

    errors = table.dos_errors()
    if not np.isfinite(errors).any():
        return None
    examples = at_percentiles(errors)
    num_rows = (len(examples) + 1) // 2
    heights = 3.2, 1.8 * num_rows
    figure = Figure(figsize=(10.0, sum(heights)), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    _plot_distribution(upper.subplots(), table, examples)
    grid = lower.subplots(num_rows, 2, squeeze=False).ravel()
    panels = grid[: len(examples)]
    for panel in grid[len(examples) :]:
        panel.set_axis_off()
    for panel, (index, percentiles) in zip(panels, examples.items(), strict=True):
        predicted, target = spectra(index)
        entry = table.entries[index]
        title = f"{position(percentiles)}:  {entry.name} ({entry.subset})   {errors[index]:.2f} {DOS_ERROR_UNIT}"
        plot_comparison(energies, predicted, target, panel, window=WINDOW, title=title)
        panel.title.set_fontsize(8.5)
        if panel is not panels[0]:
            panel.get_legend().remove()
        if panel not in panels[-2:]:
            panel.set_xlabel("")
    caption = (
        "Top: cumulative distribution of the errors (root of the alignment term per electron) of the structures in "
        "each subset; circles mark the examples. Below: true and predicted densities of states of structures at these "
        "percentiles of all errors; hatched where too few bands were computed."
    )
    return NamedFigure("error_distribution", caption, figure)


def position(percentiles: list[int]) -> str:
    """Name the percentiles of one structure: ``"best"``, ``"25 %"``, ``"75 % to worst"``."""
    names = {0: "best", 100: "worst"}
    first, last = (names.get(number, f"{number} %") for number in (percentiles[0], percentiles[-1]))
    return last if first == last else f"{first} to {last}"


def _plot_distribution(panel: "Axes", table: ErrorTable, examples: dict[int, list[int]]) -> None:
    errors = table.dos_errors()
    subsets = table.subsets()
    for index, (name, rows) in enumerate(subsets.items()):
        known = np.sort(rows.dos_errors()[np.isfinite(rows.dos_errors())])
        if len(known):
            color, width = ("black", 1.8) if name == ALL else (f"C{index}", 1.2)
            shares = np.arange(len(known) + 1) / len(known)
            panel.step(known[[0, *range(len(known))]], shares, where="post", label=name, color=color, linewidth=width)
    places = [percentiles[-1] / 100 for percentiles in examples.values()]
    panel.plot(errors[list(examples)], places, "o", color="black", markerfacecolor="white", zorder=3)
    panel.set_xscale("log")
    plain_numbers(panel.xaxis)
    panel.set_ylim(0.0, 1.03)
    panel.set_xlabel(f"DOS error of a structure ({DOS_ERROR_UNIT})")
    panel.set_ylabel("fraction of structures")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(
        frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )  # the curves leave no room inside


def errors_by_element(table: ErrorTable) -> NamedFigure | None:
    """Plot the root mean square error of structures with each element on a periodic table; ``None`` without."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    values = element_errors(table)
    if not values:
        return None
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    panel = figure.subplots()
    top = max(error for error, _ in values.values())
    shades = {symbol: error / top for symbol, (error, _) in values.items()}
    texts = {symbol: f"{error:.2f} ({count})" for symbol, (error, count) in values.items()}
    plot_periodic_table(panel, shades, texts)
    panel.set_title("DOS RMSE of the structures that contain an element (and their number)", loc="left", fontsize=10)
    colors = ScalarMappable(Normalize(-top / 9, top), COLORS)  # the table does not use the lightest tenth of the colors
    bar = figure.colorbar(colors, ax=panel, shrink=0.7, label=f"DOS RMSE ({DOS_ERROR_UNIT})")
    bar.ax.set_ylim(0.0, top)
    caption = (
        "Root mean square DOS error (eq. 10) of the structures that contain each element, with their number in "
        "parentheses. Errors from only a few structures are not significant."
    )
    return NamedFigure("errors_by_element", caption, figure)


def element_errors(table: ErrorTable) -> dict[str, tuple[float, int]]:
    """Return the root mean square DOS error, in eV^-1/2, of the structures with each element, and their number."""
    errors = table.dos_errors()
    found: dict[str, list[float]] = {}
    for entry, error in zip(table.entries, errors, strict=True):
        if np.isfinite(error):
            for symbol in Formula(entry.formula).count():
                found.setdefault(symbol, []).append(float(error))
    return {symbol: (root_mean_square(np.array(values)), len(values)) for symbol, values in sorted(found.items())}
