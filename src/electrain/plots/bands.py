"""Plots of bands along a path, against energies in eV from the middle of the gap or the Fermi level."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from electrain.bands import BandGap, BandStructure, band_gap
from electrain.bands.gaps import equivalent_indices

from .style import LINE, REFERENCE, SHADE, STATISTICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = (-8.0, 8.0)  # eV
_MARGIN = 0.4  # eV, above and below all bands
_VALENCE, _CONDUCTION = LINE, STATISTICS
_LABEL_SIZE = 9.0  # points
_SMALL_GAP = 0.05  # of the height: no room for an arrow and a number
_BESIDE_EDGES = 2.0  # eV


def plot_bands(
    bands: BandStructure,
    *,
    reference: BandStructure | None = None,
    names: tuple[str, str] = ("predicted", "DFT"),
    density_of_states: tuple[ArrayLike, ArrayLike] | None = None,
    window: tuple[float, float] | None = None,
    title: str | None = None,
) -> "Figure":
    """Plot bands along their path, with high-symmetry points, the gap, and what lies beside it.

    Valence and conduction bands have different colors; an arrow shows the gap from edge to edge. A second spin is
    dashed.
    Each band structure has its own zero: the middle of its gap, or its Fermi level if it is a metal.

    :param bands: the bands.
    :param reference: other bands on the same k-points, drawn wide and gray beneath (see
        :func:`electrain.bands.resampled`).
    :param names: of both in the legend, which is there with a reference only.
    :param density_of_states: energies in eV from the same zero and values in states/eV, drawn on the right.
    :param window: energies to show, in eV; default: all bands, but at most 8 eV below and above, and 2 eV from the
        edges of a larger gap.
    :param title: title; default: the formula and the gap.
    :raises ValueError: for a reference on other k-points.
    """
    from matplotlib.figure import Figure

    num_labels = len(bands.labels)
    width = float(np.clip(0.26 * num_labels + 2.4, 5.2, 9.0))
    figure = Figure(figsize=(width + (1.3 if density_of_states is not None else 0.0), 4.4), layout="constrained")
    if density_of_states is None:
        ax = figure.subplots()
    else:
        ax, beside = figure.subplots(1, 2, sharey=True, width_ratios=(width, 1.2))
        _draw_density(beside, *density_of_states)
    draw_bands(ax, bands, reference=reference, names=names, window=window, title=title)
    if density_of_states is not None:
        _limit_density(beside, *density_of_states)
    return figure


def plot_several(bands: Sequence[BandStructure], *, window: tuple[float, float] | None = None) -> "Figure":
    """Plot several crystals beside and below each other, each along its own path; see :func:`plot_bands`."""
    from matplotlib.figure import Figure

    rows = -(-len(bands) // 2)
    figure = Figure(figsize=(11.0, 3.9 * rows), layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for ax, of_crystal in zip(panels, bands, strict=False):
        draw_bands(ax, of_crystal, window=window)
    for ax in panels[len(bands) :]:
        ax.remove()
    return figure


def draw_bands(
    ax: "Axes",
    bands: BandStructure,
    *,
    reference: BandStructure | None = None,
    names: tuple[str, str] = ("predicted", "DFT"),
    window: tuple[float, float] | None = None,
    title: str | None = None,
    zero: float | None = None,
) -> None:
    """Draw into given axes; see :func:`plot_bands`.

    :param zero: energy in eV that both band structures are drawn relative to; default: each has its own.
    """
    positions, breaks = _positions(bands)
    gap = band_gap(bands)
    shown = [bands.energies.ravel() - (bands.zero() if zero is None else zero)]
    if reference is not None:
        _check_same_path(bands, reference)
        of_reference = reference.zero() if zero is None else zero
        shown.append(reference.energies.ravel() - of_reference)
        _draw_lines(ax, reference, of_reference, positions, breaks, (REFERENCE, REFERENCE), linewidth=2.6, alpha=0.3)
    zero = bands.zero() if zero is None else zero
    colors = (_VALENCE, _VALENCE) if gap is None else (_VALENCE, _CONDUCTION)
    _draw_lines(ax, bands, zero, positions, breaks, colors, linewidth=1.3)
    low, high = _limits(np.concatenate(shown), gap) if window is None else window
    ax.set_ylim(low, high)
    ax.set_xlim(positions[0], positions[-1])
    if gap is None:
        ax.axhline(0.0, color="0.3", linewidth=0.8, linestyle="--")
        ax.set_ylabel(r"$E - E_\mathrm{F}$ (eV)")
    else:
        ax.set_ylabel(r"$E - E_\mathrm{mid\,gap}$ (eV)")
        _draw_gap(ax, bands, zero, gap, positions)
    _mark_points(ax, bands, positions)
    if reference is not None:
        _legend(ax, names, len(set(colors)) > 1)
    ax.set_title(_title(bands, gap) if title is None else title, loc="left", fontsize=10)


def _positions(bands: BandStructure) -> tuple[NDArray[np.float64], list[int]]:
    """Place of each k-point along the horizontal axis in 1/A, without the length of jumps, and where lines break."""
    is_jump = bands.jumps()
    steps = np.where(is_jump, 0.0, np.diff(bands.distances()))
    return np.concatenate([[0.0], np.cumsum(steps)]), (1 + np.flatnonzero(is_jump)).tolist()


def _check_same_path(bands: BandStructure, reference: BandStructure) -> None:
    shapes = bands.k_points.shape, reference.k_points.shape
    if shapes[0] != shapes[1] or not np.allclose(bands.k_points, reference.k_points, atol=1e-4):
        raise ValueError(
            f"expected both band structures on the same k-points, got {shapes[0][0]} and {shapes[1][0]} that differ: "
            "bring one to the path of the other with electrain.bands.resampled"
        )


def _draw_lines(
    ax: "Axes",
    bands: BandStructure,
    zero: float,
    positions: NDArray[np.float64],
    breaks: list[int],
    colors: tuple[str, str],
    **line: Any,
) -> None:
    middle = bands.zero()
    for spin, energies in enumerate(bands.energies):
        style = "-" if spin == 0 else (0, (4, 1.5))
        for part in np.split(np.arange(len(positions)), breaks):
            for band in energies.T:
                color = colors[int(np.median(band) > middle)]
                ax.plot(
                    positions[part], band[part] - zero, color=color, linestyle=style, solid_joinstyle="round", **line
                )


def _limits(relative: NDArray[np.float64], gap: BandGap | None) -> tuple[float, float]:
    beside = 0.0 if gap is None else 0.5 * gap.energy + _BESIDE_EDGES
    low, high = min(WINDOW[0], -beside), max(WINDOW[1], beside)
    return max(float(relative.min()) - _MARGIN, low), min(float(relative.max()) + _MARGIN, high)


def _draw_gap(ax: "Axes", bands: BandStructure, zero: float, gap: BandGap, positions: NDArray[np.float64]) -> None:
    """Dots at the edges, a level through the lower one, and an arrow to the upper one with the number beside it."""
    bottom, top = gap.valence.energy - zero, gap.conduction.energy - zero
    ax.axhspan(bottom, top, color="0.5", alpha=0.07, linewidth=0)
    low, high = ax.get_ylim()
    if not low <= bottom <= top <= high:
        return
    # of all visits of both k-points, the two that are closest on the page
    pairs = itertools.product(
        equivalent_indices(bands, gap.valence.k_index), equivalent_indices(bands, gap.conduction.k_index)
    )
    valence, conduction = min(pairs, key=lambda pair: (abs(positions[pair[0]] - positions[pair[1]]), pair))
    for index, energy, color in ((valence, bottom, _VALENCE), (conduction, top, _CONDUCTION)):
        ax.plot(
            positions[index], energy, "o", color=color, markersize=5, markeredgecolor="white", zorder=5, clip_on=False
        )
    ends = [positions[valence], positions[conduction]]
    ax.plot(ends, [bottom, bottom], color="0.35", linewidth=0.8, linestyle=":", zorder=4)
    if top - bottom > _SMALL_GAP * (high - low):
        arrow = {"arrowstyle": "<->", "color": "0.2", "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (ends[1], top), (ends[1], bottom), arrowprops=arrow, zorder=4)
        is_right = ends[1] > 0.85 * positions[-1]
        ax.annotate(
            f"{gap.energy:.2f} eV",
            (ends[1], 0.5 * (top + bottom)),
            xytext=(-5 if is_right else 5, 0),
            textcoords="offset points",
            ha="right" if is_right else "left",
            va="center",
            fontsize=8,
            zorder=6,
        )


def _mark_points(ax: Any, bands: BandStructure, positions: NDArray[np.float64]) -> None:
    """Lines at high-symmetry points, with labels in a second row where there is no room in the first."""
    names: dict[float, str] = {}
    for index, name in sorted(bands.labels):
        place = round(float(positions[index]), 9)
        if names.get(place, name) != name:
            name = f"{names[place]}|{name}"
        names[place] = name
    for place in names:
        ax.axvline(place, color="0.75", linewidth=0.6, zorder=0)
    width = ax.get_window_extent().width * 72 / ax.figure.dpi  # points, before the layout is final
    ends = [-np.inf, -np.inf]  # of the last label in each row, in points
    shown = []
    for place, name in names.items():
        center, half = place / positions[-1] * width, 0.33 * _LABEL_SIZE * len(name) + 1.0
        row = next((row for row, end in enumerate(ends) if center - half >= end), None)
        shown.append("" if row is None else "\n" * row + name)
        if row is not None:
            ends[row] = center + half
    ax.set_xticks(list(names), shown, fontsize=_LABEL_SIZE)
    ax.tick_params(axis="x", length=0)
    ax.spines[["top", "right"]].set_linewidth(0.6)


def _legend(ax: Any, names: tuple[str, str], has_two_colors: bool) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D

    colors = (_VALENCE, _CONDUCTION) if has_two_colors else (_VALENCE,)
    handles = [
        tuple(Line2D([], [], color=color, linewidth=1.3) for color in colors),
        Line2D([], [], color=REFERENCE, linewidth=2.6, alpha=0.3),
    ]
    ax.legend(
        handles,
        names,
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.0)},
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=8,
        borderaxespad=0.2,
    )


def _title(bands: BandStructure, gap: BandGap | None) -> str:
    formula = "".join(f"$_{c}$" if c.isdigit() else c for c in bands.atoms.get_chemical_formula(empirical=True))
    if gap is None:
        return f"{formula}   metal"
    if gap.is_direct:
        return f"{formula}   direct gap {gap.energy:.2f} eV at {gap.valence.where}"
    return f"{formula}   indirect gap {gap.energy:.2f} eV, {gap.valence.where} to {gap.conduction.where}"


def _draw_density(ax: "Axes", energies: ArrayLike, values: ArrayLike) -> None:
    axis, density = np.asarray(energies, dtype=float), np.asarray(values, dtype=float)
    ax.fill_betweenx(axis, density, where=(axis <= 0.0).tolist(), color=SHADE, alpha=0.6, linewidth=0)
    ax.plot(density, axis, color=LINE, linewidth=1.1)
    ax.set_xlabel("DOS (states/eV)", fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)


def _limit_density(ax: "Axes", energies: ArrayLike, values: ArrayLike) -> None:
    """Enough width for what is in the window."""
    axis, density = np.asarray(energies, dtype=float), np.asarray(values, dtype=float)
    low, high = ax.get_ylim()
    ax.set_xlim(0.0, 1.08 * float(np.max(density[(axis >= low) & (axis <= high)], initial=0.0)) or 1.0)
