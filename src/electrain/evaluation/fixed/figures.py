"""Figures of the evaluation of spectra on a fixed axis: the distribution of errors, and examples from it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from electrain.data.fixed.reading import SpectraPart
from electrain.interface.quantities import quantity_of
from electrain.plots.fixed_spectra import axis_label, mark_fermi_level
from electrain.plots.style import REFERENCE

from ..distribution_figures import at_percentiles, position
from ..figures import NamedFigure, finish, new_figure, series_color
from ..side_by_side.figures import error_distribution
from ..typesetting import as_mathtext
from .errors import ComparedSpectra, num_atoms_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUARTILES = (0, 25, 50, 75, 100)


def rmse_distribution(
    part: SpectraPart,
    models: Mapping[str, ComparedSpectra],
    baselines: Mapping[str, ComparedSpectra],
    counted: NDArray[np.bool_],
) -> NamedFigure | None:
    """Plot the cumulative distributions of the RMSE of structures; ``None`` without errors.

    :param part: the evaluated part of the data set.
    :param models: results by name of the model.
    :param baselines: the same of baselines.
    :param counted: which structures count, shape ``(num_structures,)``.
    """
    return error_distribution(
        {name: model.errors["rmse"][counted] for name, model in models.items()},
        {name: baseline.errors["rmse"][counted] for name, baseline in baselines.items()},
        f"RMSE of a structure{_in_parentheses(_unit(part))}",
        "Cumulative distribution of the root mean square errors of structures, each over its known channels.",
    )


def quartile_examples(
    part: SpectraPart, models: Mapping[str, ComparedSpectra], counted: NDArray[np.bool_]
) -> NamedFigure | None:
    """Plot true and predicted spectra at the quartiles of the error of the first model; ``None`` without errors.

    :param part: the evaluated part of the data set.
    :param models: results by name of the model.
    :param counted: which structures to choose from, shape ``(num_structures,)``.
    """
    name_of_first, first = next(iter(models.items()))
    errors = np.where(counted, first.errors["rmse"], np.nan)
    if not np.isfinite(errors).any():
        return None
    examples = at_percentiles(errors, _QUARTILES)
    figure = new_figure(6.4, 0.8 + 1.75 * len(examples))
    panels = figure.subplots(len(examples), 1, sharex=True, squeeze=False)[:, 0]
    whose = f" ({name_of_first})" if len(models) > 1 else ""
    for panel, (index, percentiles) in zip(panels, examples.items(), strict=True):
        _plot_example(panel, part, models, index)
        entry = part.entries[index]
        error = f"RMSE {errors[index]:#.3g}{_before(_unit(part))}{whose}"
        name = "" if entry.name == entry.formula else f" ({entry.name})"
        finish(panel, title=f"{position(percentiles)}:  {entry.formula}{name}   {error}", ylabel="")
    panels[-1].set_xlabel(axis_label(quantity_of(part.target).fixed_axis, part.axis.unit))
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", frameon=False, fontsize=8, ncols=4
    )
    label = quantity_of(part.target).label
    figure.supylabel(f"{label}{_in_parentheses(_unit(part))}", fontsize=10)
    caption = (
        "True spectra and those of each model, of structures at the quartiles of the root mean square error of "
        f"{name_of_first}, from the best to the worst."
    )
    return NamedFigure("examples", caption, figure)


def _plot_example(panel: "Axes", part: SpectraPart, models: Mapping[str, ComparedSpectra], index: int) -> None:
    axis = part.axis.values().numpy()
    scale = 1.0 if quantity_of(part.target).intensive else 1.0 / num_atoms_of(part)[index]
    true: NDArray[np.float64] = scale * part.spectra[index]
    panel.fill_between(axis, true, color=REFERENCE, alpha=0.15, linewidth=0)
    panel.plot(axis, true, color=REFERENCE, linewidth=1.2, label="true")
    for number_of_model, (name, model) in enumerate(models.items()):
        color = series_color(number_of_model)
        panel.plot(axis, scale * model.predicted[index], color=color, linewidth=1.1, label=name)
    panel.axhline(0.0, color="0.6", linewidth=0.6)
    mark_fermi_level([panel], quantity_of(part.target).fixed_axis)
    panel.set_xlim(axis[0], axis[-1])


def _unit(part: SpectraPart) -> str:
    """Unit of errors, typeset."""
    unit = "" if quantity_of(part.target).intensive else f"{part.axis.density_unit}/atom"
    return as_mathtext(unit)


def _in_parentheses(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _before(unit: str) -> str:
    return f" {unit}" if unit else ""
