"""Figures as files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from electrain.files.replacing import replacing
from electrain.plots.style import save_figure

from .figures import NamedFigure
from .tables import counted


def write_figures(folder: Path, figures: Sequence[NamedFigure], say: Callable[[str], None]) -> None:
    """Write each figure as PNG and PDF into the folder ``figures``.

    :param folder: folder of the report.
    :param figures: the figures.
    :param say: function that shows a line to the user.
    """
    (folder / "figures").mkdir(exist_ok=True)
    for item in figures:
        for ending in ("png", "pdf"):
            with replacing(folder / "figures" / f"{item.name}.{ending}") as temporary:
                save_figure(item.figure, temporary)
    say(f"wrote {folder}/figures/ ({counted(len(figures), 'figure')} as .png and .pdf)")
