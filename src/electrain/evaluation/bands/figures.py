"""Figures of the evaluation of bands: parity, distributions of errors, and examples."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from electrain.bands import bands_of_window, centers_and_dispersions
from electrain.data.bands.reading import BandsPart
from electrain.plots.bands import draw_bands
from electrain.plots.fixed_spectra import readable_formula
from electrain.plots.style import SERIES

from ..distribution_figures import at_percentiles
from ..figures import NamedFigure, finish, new_figure
from ..parity import Parity, parity_figure
from ..side_by_side.figures import error_distribution
from .errors import ComparedBands
from .labels import with_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = ("non-metals", "metals")
_QUINTILES = {10: "Q1", 30: "Q2", 50: "Q3", 70: "Q4", 90: "Q5"}  # their middles, in percent
_NUM_COLUMNS = 2
_MAX_VALUES = 5000  # in a violin: more take seconds, and look the same
_SHOWN = (1.0, 99.0)  # percentiles of the errors that are inside of the axes

Results = Mapping[str, ComparedBands]


def band_parity(
    part: BandsPart, true_gaps: NDArray[np.float64], models: Results, counted: NDArray[np.bool_]
) -> NamedFigure | None:
    """Plot predicted centers, dispersions and gaps of the first model against the true ones; ``None`` without bands.

    As figure 2 a to c of the paper.

    :param part: the evaluated part of the data set.
    :param true_gaps: in eV, 0 for a metal, NaN if unknown.
    :param models: results by name of the model.
    :param counted: which structures are shown, shape ``(num_structures,)``.
    """
    name, model = next(iter(models.items()))
    chosen = counted & np.isfinite(true_gaps)
    kind = (true_gaps[chosen] == 0).astype(np.int64)
    true, predicted = (centers_and_dispersions(energies[chosen]) for energies in (part.energies, model.predicted))
    true_gap, predicted_gap = (gaps[chosen][kind == 0] for gaps in (true_gaps, model.gaps))
    panels = [
        _panel("band centers", true[0], predicted[0], kind, "band"),
        _panel("band dispersions", true[1], predicted[1], kind, "value"),
        _panel("gaps of non-metals", true_gap, predicted_gap, kind[kind == 0], "structure"),
    ]
    caption = (
        f"Predictions of {name} against the calculations: means of bands along the path, deviations of energies from "
        "them, and gaps along the path of structures that are no metals."
    )
    return parity_figure("band_parity", caption, _KINDS, panels, same_limits=False)


def _panel(
    title: str,
    true: NDArray[np.float64],
    predicted: NDArray[np.float64],
    kind: NDArray[np.int64],
    noun: str,
) -> Parity:
    pairs = np.column_stack([true.ravel(), predicted.ravel()])
    kinds = np.repeat(kind, true.size // max(1, len(true)))
    return Parity(title, "eV", ("true", "predicted"), kinds, pairs, noun)


def error_violins(
    part: BandsPart, true_gaps: NDArray[np.float64], models: Results, counted: NDArray[np.bool_]
) -> NamedFigure | None:
    """Plot the distributions of the errors of the first model, of non-metals and of metals.

    As figure 2 d of the paper; ``None`` without errors. Parameters are those of :func:`band_parity`.
    """
    name, model = next(iter(models.items()))
    differences = model.predicted - part.energies
    centers, dispersions = centers_and_dispersions(differences)
    errors = {"band center": centers, "band dispersion": dispersions, "band energy": differences}
    figure = new_figure(7.0, 3.6)
    panel = figure.subplots()
    shown = []
    for shift, kind, color, members in zip(
        (-0.21, 0.21), _KINDS, SERIES, (true_gaps > 0, true_gaps == 0), strict=False
    ):
        for place, values in enumerate(errors.values()):
            known = values[members & counted]
            known = known[np.isfinite(known)]
            if len(known):
                shown.append(np.percentile(known, _SHOWN))
                _draw_violin(panel, place + shift, known, color)
        if (members & counted).any():
            panel.fill_between([], [], color=color, alpha=0.5, label=kind)
    if not shown:
        return None
    largest = 1.1 * float(np.abs(shown).max()) or 1.0
    panel.set_ylim(-largest, largest)
    panel.axhline(0.0, color="0.6", linewidth=0.6, zorder=0)
    panel.set_xticks(range(len(errors)), list(errors))
    panel.set_xlim(-0.5, len(errors) - 0.5)
    panel.tick_params(axis="x", length=0)
    finish(panel, title="", ylabel="predicted $-$ true (eV)")
    panel.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    caption = (
        f"Distributions of the errors of {name}, of all bands of all structures. Points are medians, bars reach from "
        "quartile to quartile; 1 % of the errors or less are beyond each end of the axis."
    )
    return NamedFigure("error_violins", caption, figure)


def _draw_violin(panel: "Axes", place: float, values: NDArray[np.float64], color: str) -> None:
    few = np.sort(values)[:: -(-len(values) // _MAX_VALUES)]
    drawn: Any = panel.violinplot([few], [place], widths=0.4, showextrema=False)
    for body in drawn["bodies"]:
        body.set(facecolor=color, edgecolor=color, alpha=0.5)
    low, median, high = np.percentile(values, [25, 50, 75])
    panel.vlines(place, low, high, color=color, linewidth=2.5)
    panel.plot(place, median, "o", color="white", markersize=3.5, markeredgecolor=color)


def energy_distribution(models: Results, baselines: Results, counted: NDArray[np.bool_]) -> NamedFigure | None:
    """Plot the cumulative distributions of the errors of band energies of structures; ``None`` without errors.

    :param models: results by name of the model.
    :param baselines: the same of baselines.
    :param counted: which structures count, shape ``(num_structures,)``.
    """
    of_models, of_baselines = (
        {name: item.errors["energy"][counted] for name, item in results.items()} for results in (models, baselines)
    )
    caption = "Cumulative distribution of the mean absolute errors of the band energies of structures."
    return error_distribution(of_models, of_baselines, "MAE of the band energies of a structure (eV)", caption)


def quintile_examples(part: BandsPart, models: Results, counted: NDArray[np.bool_]) -> NamedFigure | None:
    """Plot true and predicted bands of the crystal in the middle of each quintile of the error of the first model.

    As figure 3 of the paper; ``None`` without errors. Parameters are those of :func:`band_parity`.
    """
    name, model = next(iter(models.items()))
    errors = np.where(counted, model.errors["energy"], np.nan)
    if not np.isfinite(errors).any():
        return None
    examples = at_percentiles(errors, list(_QUINTILES))
    num_rows = -(-len(examples) // _NUM_COLUMNS)
    figure = new_figure(11.0, 3.6 * num_rows)
    panels = figure.subplots(num_rows, _NUM_COLUMNS, squeeze=False).ravel()
    for panel, (index, percentiles) in zip(panels, examples.items(), strict=False):
        quintiles = ", ".join(_QUINTILES[number] for number in percentiles)
        formula = readable_formula(part.structures[index].get_chemical_formula(mode="metal", empirical=True))
        title = f"{quintiles}:  {formula}   MAE {errors[index]:.2g} eV"
        draw_example(panel, part, index, model.predicted[index], title)
        legend = panel.get_legend()
        if legend is not None and panel is not panels[0]:
            legend.remove()
    for panel in panels[len(examples) :]:
        panel.remove()
    caption = (
        f"Bands as calculated (gray) and as predicted by {name}, of the crystals in the middle of each fifth of all, "
        "from the smallest mean absolute error of band energies (Q1) to the largest (Q5)."
    )
    return NamedFigure("examples", caption, figure)


def draw_example(panel: "Axes", part: BandsPart, index: int, predicted: NDArray[np.float64], title: str) -> None:
    """Draw the predicted bands of a crystal on the true ones; nothing if one of both is not known.

    :param panel: where to draw.
    :param part: with the true bands.
    :param index: of the crystal.
    :param predicted: in eV, shape ``(num_bands, num_k_points)``.
    :param title: of the panel.
    """
    atoms, k_points = part.structures[index], part.k_points[index]
    true, found = (bands_of_window(atoms, k_points, energies) for energies in (part.energies[index], predicted))
    if true is not None and found is not None:
        draw_bands(panel, with_labels(found), reference=true, names=("predicted", "true"), zero=0.0, title=title)
        panel.set_ylabel(r"$E - E_\mathrm{F}$ (eV)" if true.edges() is None else r"$E - E_\mathrm{mid\,gap}$ (eV)")
