"""Figures of an evaluation, modelled on those of the PET-MAD-DOS paper."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL, FORCES, STRESS, quantity_of
from electrain.plots.calibration import plot_calibration
from electrain.plots.style import SERIES

from .baselines import CONSTANT_PER_ELEMENT, TWO_LAYER_NETWORK
from .channel_errors import ChannelErrors
from .summary import ALL, Summary
from .typesetting import as_mathtext
from .uncertainties import Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DOS_ERROR_UNIT = as_mathtext("eV^-1/2")
_GAP, _LEVEL = quantity_of(BAND_GAP), quantity_of(FERMI_LEVEL)
# Errors by subset that differ by more than this factor are shown on a logarithmic scale.
_LOGARITHMIC = 30.0
# for more lines than there are colors of series: those of matplotlib that are unlike them
_FURTHER_COLORS = ("C2", "C4", "C5", "C9", "C6", "C8")
# panels of errors by subset: title, unit, logarithmic or not, and lines: label -> metric
_PANELS: tuple[tuple[str, str, bool, dict[str, str]], ...] = (
    (
        "DOS",
        DOS_ERROR_UNIT,
        True,
        {"RMSE (eq. 10)": "dos_rmse_per_electron", "rotational discrepancy (eq. 11)": "rotational_discrepancy"},
    ),
    (f"{_GAP.label}, model", _GAP.unit, False, {"MAE": "gap_head_mae", "RMSE": "gap_head_rmse"}),
    (f"{_LEVEL.label}, model", _LEVEL.unit, False, {"MAE": "fermi_head_mae", "RMSE": "fermi_head_rmse"}),
    (quantity_of(ENERGY).label, "meV/atom", False, {"MAE": "energy_mae", "RMSE": "energy_rmse"}),
    (quantity_of(FORCES).label, as_mathtext("meV/A"), False, {"MAE": "forces_mae", "RMSE": "forces_rmse"}),
    (quantity_of(STRESS).label, as_mathtext("meV/A^3"), False, {"MAE": "stresses_mae", "RMSE": "stresses_rmse"}),
)


class _Mark(NamedTuple):
    """How a baseline is marked: among the errors of subsets, and by a line in learning curves."""

    marker: str
    line: str
    caption: str


_MARKS = {
    CONSTANT_PER_ELEMENT: _Mark("_", "--", "Dashes: the same errors of one constant per element."),
    TWO_LAYER_NETWORK: _Mark(
        "x", ":", "Crosses: the same errors of a two-layer network trained on the same structures."
    ),
}


class NamedFigure(NamedTuple):
    """A figure with the name of its files and a caption."""

    name: str
    caption: str
    figure: "Figure"


def errors_by_subset(summary: Summary, baselines: Mapping[str, Summary] | None = None) -> NamedFigure | None:
    """Plot the errors of every subset (figures 1 and 4 of the paper); ``None`` without errors.

    :param summary: errors of the model.
    :param baselines: those of the baselines by name; a constant per element and the network are marked.
    """
    shown = [panel for panel in _PANELS if any(key in summary[ALL] for key in panel[3].values())]
    if not shown:
        return None
    num_rows = (len(shown) + 1) // 2
    figure = new_figure(10.0, 0.6 + 2.7 * num_rows)
    panels = figure.subplots(num_rows, min(2, len(shown)), squeeze=False).ravel()
    marked = _marked(baselines)
    for panel, item in zip(panels, shown, strict=False):
        _plot_subsets(panel, item, summary, marked)
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    caption = "Errors of each subset and of all structures, with the number of structures in parentheses."
    caption += "".join(f" {_MARKS[name].caption}" for name in marked)
    return NamedFigure("errors_by_subset", caption, figure)


def _marked(baselines: Mapping[str, Summary] | None) -> dict[str, Summary]:
    return {name: baselines[name] for name in _MARKS if name in baselines} if baselines else {}


def _plot_subsets(
    panel: "Axes", item: tuple[str, str, bool, dict[str, str]], summary: Summary, baselines: Mapping[str, Summary]
) -> None:
    title, unit, logarithmic, lines = item
    positions = np.arange(len(summary))
    known = {label: key for label, key in lines.items() if key in summary[ALL]}
    shown = []
    for index, (label, key) in enumerate(known.items()):
        values = np.array([row[key] for row in summary.values()])
        # Side by side, because those of a few structures may be equal.
        places = positions + 0.12 * (index - 0.5 * (len(known) - 1))
        panel.plot(places, values, "os"[index], color=SERIES[index], label=label, markersize=6)
        panel.vlines(places, 0.0, values, color=SERIES[index], alpha=0.25, linewidth=1.0)
        shown.append(values)
        for name, baseline in baselines.items():
            marks = np.array([baseline[subset].get(key, np.nan) for subset in summary])
            if np.isfinite(marks).any():
                panel.plot(places, marks, _MARKS[name].marker, color=SERIES[index], markersize=7, markeredgewidth=2.0)
                shown.append(marks)
    # A good model is far below its baseline.
    if logarithmic or (np.nanmin(shown) > 0 and np.nanmax(shown) > _LOGARITHMIC * np.nanmin(shown)):
        panel.set_yscale("log")
        plain_numbers(panel.yaxis)
    else:
        panel.set_ylim(bottom=0.0)
    panel.axvline(len(summary) - 1.5, color="0.8", linewidth=0.8)
    names = [f"{'all' if name == ALL else name}\n({row['structures']:.0f})" for name, row in summary.items()]
    panel.set_xticks(positions, names, fontsize=8)
    panel.set_xlim(-0.5, len(summary) - 0.5)
    finish(panel, title=title, ylabel=f"error ({unit})")
    # Level with the title, away from the numbers.
    narrow = {"ncols": 2, "handlelength": 1.0, "handletextpad": 0.3, "columnspacing": 1.0}
    panel.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.98), **narrow)


def errors_by_energy(models: Mapping[str, ChannelErrors]) -> NamedFigure:
    """Plot the errors of one or several models at each energy (figure S7 of the paper)."""
    figure = new_figure(8.0, 4.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    first = next(iter(models.values()))
    known = first.num_structures > 0
    visible = known & (first.target_per_atom > 1e-3)
    top.fill_between(
        first.energies[known],
        first.target_per_atom[known],
        color="0.85",
        linewidth=0,
        label="true DOS, root mean square",
    )
    for index, (name, errors) in enumerate(models.items()):
        label = "RMSE" if len(models) == 1 else f"RMSE, {name}"
        top.plot(errors.energies, errors.rmse_per_atom, color=series_color(index), linewidth=1.1, label=label)
    bottom.plot(first.energies[known], first.num_structures[known], color="0.3", linewidth=1.1)
    bottom.set_ylim(bottom=0.0)
    # Semicore states lie far below; the axis shows only valence and conduction states.
    low = max(-25.0, float(first.energies[visible][0])) if visible.any() else float(first.energies[0])
    bottom.set_xlim(low, float(first.energies[known][-1]))
    inside = known & (first.energies >= low)
    top.set_ylim(0.0, 1.08 * float(np.max(first.target_per_atom[inside])))
    for panel in (top, bottom):
        panel.axvline(0.0, color="0.3", linewidth=0.8, linestyle="--")
    finish(top, title="", ylabel="RMSE of DOS (states/eV/atom)")
    finish(bottom, title="", ylabel="structures")
    bottom.set_xlabel(r"$E - E_\mathrm{F}$ (eV)")
    top.legend(frameon=False, fontsize=8)
    caption = (
        "Root mean square error of the density of states per atom at each energy, at the best shift of each structure, "
        "together with the root mean square of the true density of states. Below: number of structures with enough "
        "bands to be compared at that energy. Semicore states, which lie lower, are in error_by_energy.csv."
    )
    return NamedFigure("error_by_energy", caption, figure)


def learning_curve(
    sizes: Sequence[int], summaries: Sequence[Summary], baselines: Mapping[str, Summary] | None = None
) -> NamedFigure | None:
    """Plot errors against the number of training structures (figures S1 to S4); ``None`` without errors.

    :param sizes: number of training structures of each model.
    :param summaries: errors of each model.
    :param baselines: errors of the baselines by name; a constant per element and the network are marked.
    """
    lines = {f"{quantity_of(DENSITY_OF_STATES).label}, RMSE (eq. 10)": ("dos_rmse_per_electron", DOS_ERROR_UNIT)}
    lines |= {f"{_GAP.label}, MAE": ("gap_head_mae", _GAP.unit)}
    lines |= {f"{quantity_of(ENERGY).label}, MAE": ("energy_mae", "meV/atom")}
    shown = {label: line for label, line in lines.items() if all(line[0] in summary[ALL] for summary in summaries)}
    if not shown:
        return None
    order = np.argsort(sizes)
    figure = new_figure(0.4 + 3.4 * len(shown), 3.2)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for panel, (label, (key, unit)) in zip(panels, shown.items(), strict=True):
        values = np.array([summary[ALL][key] for summary in summaries])
        panel.plot(np.array(sizes)[order], values[order], "o-", color=SERIES[0])
        marked = {name: row[ALL].get(key, np.nan) for name, row in _marked(baselines).items()}
        known = {name: value for name, value in marked.items() if np.isfinite(value)}
        for name, value in known.items():
            panel.axhline(value, color="0.5", linewidth=1.0, linestyle=_MARKS[name].line, label=name)
        if known:
            panel.legend(frameon=False, fontsize=8)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks(sorted(sizes), [str(size) for size in sorted(sizes)])
        panel.set_xticks([], minor=True)
        plain_numbers(panel.yaxis)
        panel.set_xlabel("training structures")
        finish(panel, title=label, ylabel=f"error ({unit})")
    caption = "Errors of models trained on different numbers of structures; both axes are logarithmic."
    return NamedFigure("learning_curve", caption, figure)


def calibration_figure(found: Mapping[str, Calibration]) -> NamedFigure | None:
    """Plot errors against predicted uncertainties (PET-MAD paper, figure S6); ``None`` without uncertainties."""
    positive = {name: values for name, values in found.items() if (values.uncertainties > 0).any()}
    if not positive:
        return None
    num_rows = (len(positive) + 1) // 2
    figure = new_figure(9.0, 3.6 * num_rows)
    panels = figure.subplots(num_rows, min(2, len(positive)), squeeze=False).ravel()
    for panel, (name, values) in zip(panels, positive.items(), strict=False):
        chosen = values.uncertainties > 0
        pairs = values.uncertainties[chosen], values.errors[chosen]
        plot_calibration(*pairs, panel, unit=values.unit, title=quantity_of(name).label)
    for panel in panels[len(positive) :]:
        panel.set_axis_off()
    caption = (
        "Actual errors against predicted uncertainties, one point per structure. If errors are Gaussian with the "
        "predicted standard deviations, 68 % and 95 % of the points lie in the shaded areas."
    )
    return NamedFigure("calibration", caption, figure)


def plain_numbers(axis: "Axis") -> None:
    """Label a logarithmic axis with plain numbers: decades with 2 and 5 between them, or all ticks on a short axis."""

    def minor(value: float, _: object) -> str:
        low, high = axis.get_view_interval()
        text = f"{value:.4g}"
        return text if high < 5 * low or text.strip("0.") in ("2", "5") else ""

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(minor)
    axis.set_tick_params(which="minor", labelsize=7)


def new_figure(width: float, height: float) -> "Figure":
    """Make a figure of a size in inches, without pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def series_color(index: int) -> str:
    """Color of a line among several that are compared."""
    colors = (*SERIES, *_FURTHER_COLORS)
    return colors[index % len(colors)]


def finish(panel: "Axes", *, title: str, ylabel: str) -> None:
    """Set the title and the label, in the style of all panels."""
    panel.set_title(title, loc="left", fontsize=10)
    panel.set_ylabel(ylabel)
    panel.spines[["top", "right"]].set_visible(False)
