"""Numbers on a periodic table of the elements."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ase.data import chemical_symbols

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = "viridis_r"
_NUM_COLUMNS = 18
_LANTHANIDES, _ACTINIDES = range(57, 72), range(89, 104)


def plot_periodic_table(panel: "Axes", shades: Mapping[str, float], texts: Mapping[str, str]) -> None:
    """Draw the table with some elements colored and the others white.

    :param panel: axes to draw in.
    :param shades: shades by chemical symbol, from 0 (light) to 1 (dark).
    :param texts: texts below these symbols.
    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    colors = colormaps[COLORS]
    for number in range(1, 104):
        x, y = _place(number)
        symbol = chemical_symbols[number]
        known = symbol in shades
        shade = 0.1 + 0.9 * shades.get(symbol, 0.0)
        color = colors(shade) if known else "white"
        panel.add_patch(Rectangle((x, -y), 0.94, 0.94, facecolor=color, edgecolor="0.8", linewidth=0.5))
        text_color = ("white" if shade > 0.5 else "black") if known else "0.7"
        panel.text(x + 0.47, 0.6 - y, symbol, ha="center", va="center", fontsize=7, color=text_color)
        if known:
            panel.text(x + 0.47, 0.22 - y, texts[symbol], ha="center", va="center", fontsize=4.5, color=text_color)
    panel.set_xlim(-0.2, _NUM_COLUMNS + 0.2)
    panel.set_ylim(-9.6, 1.2)
    panel.set_aspect("equal")
    panel.set_axis_off()


def _place(number: int) -> tuple[float, float]:
    """Column and row of an element; lanthanides and actinides are below the others."""
    for row, series in enumerate((_LANTHANIDES, _ACTINIDES)):
        if number in series:
            return 2.0 + number - series[0], 7.5 + row
    noble = (0, 2, 10, 18, 36, 54, 86, 118)
    period = next(index for index, last in enumerate(noble) if number <= last)
    position, length = number - noble[period - 1], noble[period] - noble[period - 1]
    left = {1: 1, 2: 2, 3: 2}.get(period, 3 if period < 6 else 2)
    column = position - 1 if position <= left else _NUM_COLUMNS - 1 - (length - position)
    return float(column), float(period - 1)
