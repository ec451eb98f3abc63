"""What all figures share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LINE = "#1f4e79"
SHADE = "#9dc3e6"
REFERENCE = "#404040"
PREDICTED = "#d1495b"
MISSING = PREDICTED
# Of lines that are compared with each other, in this order
SERIES = (LINE, PREDICTED, "#edae49")
# Of a trajectory: the statistical error of its mean, the heat and the free energy of its electrons
STATISTICS = "#e08e0b"
HEAT = "#2e8b57"
FREE_ENERGY = "#b8860b"
_LEGEND_SIZE = 8.0  # points


def legend_above_curves(ax: "Axes", num_columns: int = 5) -> None:
    """Add a legend at the top, if anything has a label, and raise the upper limit so that it covers no curve.

    :param ax: with its final limits, on a linear axis.
    :param num_columns: of the legend.
    """
    count = len(ax.get_legend_handles_labels()[1])
    if count == 0:
        return
    # A row takes 1.7 and the space around all rows 1.5 times the size of the letters.
    legend = _LEGEND_SIZE * (1.5 + 1.7 * -(-count // num_columns))
    whole = max(ax.bbox.height / ax.figure.dpi * 72, 2 * legend)  # points, up to what a layout changes
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom, bottom + (top - bottom) * whole / (whole - legend))
    # White up to the edge, where the line of the Fermi level would cross the text.
    frame = {"framealpha": 1.0, "edgecolor": "none", "borderaxespad": 0.0, "borderpad": 0.7}
    ax.legend(fontsize=_LEGEND_SIZE, loc="upper left", bbox_to_anchor=(0.005, 1.0), ncols=num_columns, **frame)


def check_figure_path(path: Path) -> None:
    """Raise a ``ValueError`` if matplotlib has no format for the ending of a file's name."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        endings = ", ".join(f".{ending}" for ending in sorted(known))
        raise ValueError(f"expected a plot file that ends with one of {endings}, got {path}")


def new_axes() -> Any:
    """Axes of a new figure of pyplot."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, 3.4), layout="constrained")[1]
