"""Actual errors against predicted uncertainties."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

from .style import PREDICTED, REFERENCE, SHADE, new_axes


def plot_calibration(
    uncertainties: ArrayLike,
    errors: ArrayLike,
    ax: "Axes | None" = None,
    *,
    unit: str,
    title: str = "",
) -> "Axes":
    """Plot actual errors against predicted uncertainties, one point per structure (PET-MAD paper, figure S6).

    The line marks where both are equal. If errors are Gaussian with the predicted standard deviations, 68 % and 95 % of
    the points lie in the shaded areas, and equal shares above and below them.

    :param uncertainties: positive uncertainties, shape ``(num_samples,)``.
    :param errors: errors of either sign, of the same shape; zeros cannot be shown.
    :param ax: axes to draw in; default: those of a new pyplot figure.
    :param unit: unit of both.
    :param title: title, e.g. the quantity.
    :raises ValueError: for inconsistent shapes, or uncertainties that are not positive.
    """
    from matplotlib.ticker import LogLocator

    ax = new_axes() if ax is None else ax
    predicted, actual = np.asarray(uncertainties, dtype=float), np.abs(np.asarray(errors, dtype=float))
    if predicted.ndim != 1 or predicted.shape != actual.shape or not (predicted > 0).all():
        raise ValueError(
            "expected positive uncertainties and errors of one shape (num_samples,), got shapes "
            f"{predicted.shape} and {actual.shape}, the smallest uncertainty {predicted.min(initial=np.inf):g}"
        )
    low, high = 0.5 * predicted.min(), 2.0 * predicted.max()
    line = np.array([low, high])
    for bounds, share, alpha in (((0.028, 2.28), "95 %", 0.25), ((0.200, 1.41), "68 %", 0.5)):
        # Quantiles of the absolute value of a standard normal number.
        ax.fill_between(line, bounds[0] * line, bounds[1] * line, color=SHADE, alpha=alpha, linewidth=0, label=share)
    ax.plot(line, line, color=REFERENCE, linewidth=1.0, linestyle="--", label="equal")
    ax.plot(predicted, actual, ".", color=PREDICTED, markersize=5, alpha=0.7 if len(actual) < 1000 else 0.2)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis, steps in ((ax.xaxis, (1.0, 2.0, 5.0)), (ax.yaxis, (1.0,))):
        axis.set_major_locator(LogLocator(subs=steps))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    ax.set_xlim(low, high)
    ax.set_ylim(0.005 * low, 6.0 * high)
    ax.set_xlabel(f"predicted uncertainty ({unit})")
    ax.set_ylabel(f"actual error ({unit})")
    ax.set_title(title, loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return ax
