"""Figures that compare models."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..figures import NamedFigure, finish, new_figure, plain_numbers, series_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BASELINE_LINES = ("--", ":")


def error_distribution(
    models: Mapping[str, NDArray[np.float64]], baselines: Mapping[str, NDArray[np.float64]], label: str, caption: str
) -> NamedFigure | None:
    """Plot the cumulative distributions of the errors of structures; ``None`` without errors.

    :param models: errors by name of the model, NaN where not defined, shape ``(num_structures,)``.
    :param baselines: the same of baselines.
    :param label: of the axis of errors, with the unit.
    :param caption: of the figure.
    """
    figure = new_figure(8.0, 3.6)
    panel = figure.subplots()
    for index, (name, errors) in enumerate(models.items()):
        _plot_distribution(panel, errors, label=name, color=series_color(index), linewidth=1.4)
    for style, (name, errors) in zip(_BASELINE_LINES, baselines.items(), strict=False):
        _plot_distribution(panel, errors, label=name, color="0.5", linewidth=1.1, linestyle=style)
    if not panel.lines:
        return None
    panel.set_xscale("log")
    plain_numbers(panel.xaxis)
    panel.set_ylim(0.0, 1.03)
    panel.set_xlabel(label)
    finish(panel, title="", ylabel="fraction of structures")
    panel.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return NamedFigure("error_distribution", caption, figure)


def _plot_distribution(panel: "Axes", errors: NDArray[np.float64], **line: object) -> None:
    known = np.sort(errors[np.isfinite(errors)])
    if len(known):
        shares = np.arange(len(known) + 1) / len(known)
        panel.step(known[[0, *range(len(known))]], shares, where="post", **line)  # type: ignore[arg-type]
