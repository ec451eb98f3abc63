"""Colors and helpers shared by all figures."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LINE = "#1f4e79"
SHADE = "#9dc3e6"
REFERENCE = "#404040"
PREDICTED = "#d1495b"
MISSING = PREDICTED
# Colors of lines that are compared with each other, in this order
SERIES = (LINE, PREDICTED, "#edae49")
# Colors for trajectories: statistical error of the mean, heat and free energy of the electrons
STATISTICS = "#e08e0b"
HEAT = "#2e8b57"
FREE_ENERGY = "#b8860b"
_LEGEND_SIZE = 8.0  # points


def legend_above_curves(ax: "Axes", num_columns: int = 5) -> None:
    """Add a legend at the top, if anything has a label, and raise the upper limit so that it covers no curve.

    :param ax: axes with their final limits, on a linear scale.
    :param num_columns: number of columns in the legend.
    """
    count = len(ax.get_legend_handles_labels()[1])
    if count == 0:
        return
    # A row takes 1.7 times the font size, and the space around all rows 1.5 times.
    legend = _LEGEND_SIZE * (1.5 + 1.7 * -(-count // num_columns))
    whole = max(ax.bbox.height / ax.figure.dpi * 72, 2 * legend)  # points, apart from changes by the layout
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom, bottom + (top - bottom) * whole / (whole - legend))
    # White up to the edge, so that the line of the Fermi level does not cross the text.
    frame = {"framealpha": 1.0, "edgecolor": "none", "borderaxespad": 0.0, "borderpad": 0.7}
    ax.legend(fontsize=_LEGEND_SIZE, loc="upper left", bbox_to_anchor=(0.005, 1.0), ncols=num_columns, **frame)


def check_figure_path(path: Path) -> None:
    """Raise a ``ValueError`` if matplotlib has no format for the suffix of a file."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        endings = ", ".join(f".{ending}" for ending in sorted(known))
        raise ValueError(f"expected a plot file that ends with one of {endings}, got {path}")


def save_figure(figure: "Figure", path: Path, dpi: int = 150) -> None:
    """Write a figure to a file without the date, so that equal figures give equal files.

    (PostScript and compressed SVG always have one.)

    :param path: the file; its suffix determines the format.
    :param dpi: dots per inch, for formats that have dots.
    :raises OSError: if the file cannot be written.
    """
    from matplotlib import rc_context

    date = {".pdf": "CreationDate", ".svg": "Date"}.get(path.suffix.lower())
    content = BytesIO()  # because matplotlib fails in all kinds of ways on a full disk
    with rc_context({"svg.hashsalt": "electrain"}):  # otherwise SVG has random names
        form = path.suffix.lower().removeprefix(".")
        figure.savefig(content, format=form, dpi=dpi, metadata=None if date is None else {date: None})
    path.write_bytes(content.getbuffer())


def new_axes() -> Any:
    """Return the axes of a new pyplot figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, 3.4), layout="constrained")[1]
