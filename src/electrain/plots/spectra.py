"""Plots of densities of states in states/eV, against energies in eV from the Fermi level."""

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


from .style import LINE, PREDICTED, REFERENCE, SHADE, legend_above_curves, new_axes

WINDOW = (-15.0, 8.0)  # eV around the Fermi level
_DOS_LABEL = "DOS (states/eV)"
# `ElectronicStructure` of `electrain.results`, which imports this module: an import here would be circular.
ElectronicStructure: TypeAlias = Any

_ONE_DEVIATION = r"uncertainty ($1\,\sigma$)"


def plot_density_of_states(
    result: ElectronicStructure,
    ax: "Axes | None" = None,
    *,
    window: tuple[float, float] | None = None,
    title: str | None = None,
    **line: Any,
) -> "Axes":
    """Plot one structure, with occupied states shaded, and formula and band gap in the title.

    A local density of states is summed over the atoms of each element, and the uncertainty (one standard deviation) is
    drawn as a band, if they were predicted. On axes that already show something, only the curves are added, by default
    with the formula as label, and the limits extended.

    :param result: the prediction.
    :param ax: axes to draw in; default: those of a new pyplot figure.
    :param window: energies to show, in eV; default: -15 to 8 eV from the Fermi level, or all if the model predicts no
        Fermi level.
    :param title: title; default: the formula and the band gap.
    :param line: options of matplotlib for the line of the total, such as ``color``, ``label`` or ``linewidth``.
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.colors import same_color
    from matplotlib.lines import Line2D

    ax = new_axes() if ax is None else ax
    line = normalize_kwargs(line, Line2D)  # matplotlib's options have long and short names
    shown = (ax.get_xlim(), ax.get_ylim()) if ax.has_data() else None
    energies, values = result.energies, result.density_of_states
    low, high = _clip(window, result)
    if result.relative_to_fermi_level and shown is None:
        occupied = energies <= 0
        # Up to the Fermi level itself, which lies between channels.
        edge = np.append(energies[occupied], 0.0), np.append(values[occupied], np.interp(0.0, energies, values))
        ax.fill_between(*edge, color=SHADE, alpha=0.6, linewidth=0, label="occupied")
    spectra = [values]
    if result.uncertainty is not None:
        spread = result.uncertainty.density_of_states
        edges = values - spread, values + spread
        spectra.append(edges[1])
        band = line.get("color", PREDICTED)
        # once in the legend, however many results are drawn
        label = None if _ONE_DEVIATION in ax.get_legend_handles_labels()[1] else _ONE_DEVIATION
        ax.fill_between(energies, edges[0], edges[1], color=band, alpha=0.35, linewidth=0, label=label)
    is_resolved = result.local_density_of_states is not None
    if shown is not None and not is_resolved:
        line.setdefault("label", _formula(result))
    if not is_resolved:
        ax.plot(energies, values, **{"color": LINE, "linewidth": 1.4, **line})
    else:
        # Dashed, and drawn above the elements, because a single element may make up all of it.
        dashed = {"color": LINE, "linewidth": 1.4, "linestyle": "--", "zorder": 3, "label": "total"}
        ax.plot(energies, values, **{**dashed, **line})
        taken = line.get("color", LINE)
        free = (color for color in (f"C{index}" for index in count(1)) if not same_color(color, taken))
        for color, (symbol, local) in zip(free, result.element_density_of_states().items(), strict=False):
            ax.plot(energies, local, color=color, linewidth=1.1, label=symbol)
    if shown is None:
        _mark_fermi_level(ax, result.relative_to_fermi_level)
    _frame(ax, energies, spectra, (low, high))
    if shown is not None:
        for set_limits, before, now in ((ax.set_xlim, shown[0], ax.get_xlim()), (ax.set_ylim, shown[1], ax.get_ylim())):
            set_limits(min(before[0], now[0]), max(before[1], now[1]))
    ax.set_xlabel(_axis_label(result.relative_to_fermi_level))
    if shown is None or title is not None:
        ax.set_title(_title(result) if title is None else title, loc="left", fontsize=10)
    legend_above_curves(ax)
    return ax


def plot_several(
    results: Sequence[ElectronicStructure],
    *,
    window: tuple[float, float] | None = None,
    names: Sequence[str] | None = None,
) -> "Figure":
    """Plot several structures in panels below each other, with a common energy axis.

    :param results: predictions, at least one.
    :param window: as in :func:`plot_density_of_states`.
    :param names: one per structure, shown before formula and band gap.
    :raises ValueError: without structures.
    """
    from matplotlib.figure import Figure

    if not results:
        raise ValueError("expected at least one structure to plot, got none")
    num_panels = len(results)
    height = 3.4 if num_panels == 1 else 0.6 + 1.7 * num_panels
    figure = Figure(figsize=(6.4, height), layout="constrained")
    panels = figure.subplots(num_panels, 1, sharex=True, squeeze=False)[:, 0]
    for index, (panel, result) in enumerate(zip(panels, results, strict=True)):
        title = None if names is None else f"{names[index]}   {_title(result)}"
        plot_density_of_states(result, panel, window=window, title=title)
        if index < num_panels - 1:
            panel.set_xlabel("")
        if index > 0 and result.local_density_of_states is None and panel.get_legend() is not None:
            panel.get_legend().remove()
    figure.align_ylabels(panels)
    windows = [_clip(window, result) for result in results]
    panels[0].set_xlim(min(low for low, _ in windows), max(high for _, high in windows))
    return figure


def plot_comparison(
    energies: ArrayLike,
    predicted: ArrayLike,
    reference: ArrayLike,
    ax: "Axes | None" = None,
    *,
    trusted: ArrayLike | None = None,
    window: tuple[float, float] = WINDOW,
    title: str = "",
) -> "Axes":
    """Plot a predicted density of states together with that of DFT, on the same energies.

    A prediction is defined only up to a rigid shift, so align it first, e.g. with :func:`electrain.spectra.best_shift`
    and :func:`electrain.spectra.take_window`.

    :param energies: energies in eV from the Fermi level, shape ``(num_channels,)``.
    :param predicted: predicted density of states in states/eV, of the same shape.
    :param reference: density of states of DFT in states/eV, of the same shape; NaN where it is not known.
    :param ax: axes to draw in; default: those of a new pyplot figure.
    :param trusted: which channels of the reference can be trusted, bool, of the same shape; default: those that are
        finite. The rest is hatched, and the reference is not drawn there.
    :param window: energies to show, in eV.
    :param title: title, e.g. the formula.
    :raises ValueError: for inconsistent shapes.
    """
    ax = new_axes() if ax is None else ax
    axis, prediction, target = (np.asarray(values, dtype=float) for values in (energies, predicted, reference))
    known = np.isfinite(target) if trusted is None else np.asarray(trusted, dtype=bool)
    if not (axis.ndim == 1 and axis.shape == prediction.shape == target.shape == known.shape):
        raise ValueError(
            "expected energies, prediction, reference and mask of one shape (num_channels,), got "
            f"{axis.shape}, {prediction.shape}, {target.shape} and {known.shape}"
        )
    target = np.where(known, target, np.nan)
    ax.fill_between(axis, np.nan_to_num(target), color=REFERENCE, alpha=0.15, linewidth=0)
    ax.plot(axis, target, color=REFERENCE, linewidth=1.2, label="DFT")
    ax.plot(axis, prediction, color=PREDICTED, linewidth=1.2, label="predicted")
    low, high = max(window[0], axis[0]), min(window[1], axis[-1])
    if known.any() and axis[known][-1] < high:
        ax.axvspan(axis[known][-1], high, facecolor="none", edgecolor="0.8", hatch="///", linewidth=0)
    _mark_fermi_level(ax, True)
    _frame(ax, axis, [prediction, target], (low, high))
    ax.set_xlabel(_axis_label(True))
    ax.set_title(title, loc="left", fontsize=10)
    legend_above_curves(ax)
    return ax


def _axis_label(relative_to_fermi_level: bool) -> str:
    return r"$E - E_\mathrm{F}$ (eV)" if relative_to_fermi_level else r"$E$ (eV, model's own zero)"


def _formula(result: ElectronicStructure) -> str:
    return "".join(f"$_{c}$" if c.isdigit() else c for c in result.formula)


def _title(result: ElectronicStructure) -> str:
    readable = _formula(result)
    if result.band_gap is None:
        return readable
    spread = None if result.uncertainty is None else result.uncertainty.band_gap
    number = f"{result.band_gap:.2f}" if spread is None else rf"{result.band_gap:.2f} $\pm$ {spread:.2f}"
    return f"{readable}   band gap {number} eV"


def _clip(window: tuple[float, float] | None, result: ElectronicStructure) -> tuple[float, float]:
    first, last = float(result.energies[0]), float(result.energies[-1])
    if window is None:
        window = WINDOW if result.relative_to_fermi_level else (first, last)
    low, high = max(window[0], first), min(window[1], last)
    if low >= high:
        raise ValueError(
            f"expected a window from a lower to a higher energy, both inside {first:.2f} to {last:.2f} eV, got "
            f"{window[0]:g} to {window[1]:g} eV"
        )
    return low, high


def _mark_fermi_level(ax: "Axes", known: bool) -> None:
    if known:
        ax.axvline(0.0, color="0.3", linewidth=0.8, linestyle="--")


def _frame(
    ax: "Axes", energies: NDArray[np.float64], spectra: list[NDArray[np.float64]], window: tuple[float, float]
) -> None:
    """Set the limits: the window, and enough height for the curves in it."""
    inside = (energies >= window[0]) & (energies <= window[1])
    shown = np.concatenate([values[inside] for values in spectra])
    top, bottom = float(np.nanmax(shown, initial=0.0)), float(np.nanmin(shown, initial=0.0))
    height = (top - bottom) or 1.0
    ax.set_xlim(*window)
    # Predictions can be slightly below zero; the axis starts at zero unless this is visible.
    ax.set_ylim(0.0 if bottom > -0.02 * height else bottom - 0.04 * height, top + 0.08 * height)
    ax.axhline(0.0, color="0.6", linewidth=0.6)
    ax.set_ylabel(_DOS_LABEL)
    ax.spines[["top", "right"]].set_visible(False)
