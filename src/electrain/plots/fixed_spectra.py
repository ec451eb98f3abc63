"""Plots of spectra on a fixed axis, in the unit of that axis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .style import LINE, SHADE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# `Spectrum` of `electrain.results`, which imports this package: an import here would be circular.
Spectrum: TypeAlias = Any

_NAMES = {"cm^-1": "wavenumber", "THz": "frequency"}


def axis_label(kind: str | None, unit: str) -> str:
    """Return the label of an axis.

    :param kind: ``"energy"`` of electrons, relative to the Fermi level, or ``"frequency"`` of phonons.
    :param unit: unit of the axis.
    """
    if kind == "energy":
        return rf"$E - E_\mathrm{{F}}$ ({readable_unit(unit)})"
    return f"{_NAMES.get(unit, 'phonon energy')} ({readable_unit(unit)})"


def mark_fermi_level(panels: Sequence[Any], kind: str | None) -> None:
    """Draw a line at zero, where the Fermi level is, if the axis has energies of electrons."""
    if kind == "energy":
        for panel in panels:
            panel.axvline(0.0, color="0.3", linewidth=0.8, linestyle="--")


def readable_unit(unit: str) -> str:
    """Return a unit as matplotlib typesets it."""
    return unit.replace("^-1", "$^{-1}$")


def readable_formula(formula: str) -> str:
    """Return a chemical formula as matplotlib typesets it."""
    return "".join(f"$_{character}$" if character.isdigit() else character for character in formula)


def plot_spectra(
    spectra: Sequence[Spectrum],
    *,
    window: tuple[float, float] | None = None,
    names: Sequence[str] | None = None,
) -> "Figure":
    """Plot several structures in panels below each other, on the axis that they have in common.

    :param spectra: predictions of one model, at least one.
    :param window: part of the axis to show, in its unit; default: all of it.
    :param names: one per structure, shown before the formula.
    :raises ValueError: as for :func:`shown_part`.
    """
    from matplotlib.figure import Figure

    axis, count = spectra[0].axis, len(spectra)
    low, high = shown_part(axis, window)
    positions = axis.values().numpy()
    figure = Figure(figsize=(6.4, 3.4 if count == 1 else 0.6 + 1.7 * count), layout="constrained")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for index, (panel, spectrum) in enumerate(zip(panels, spectra, strict=True)):
        panel.fill_between(positions, spectrum.values, color=SHADE, alpha=0.6, linewidth=0)
        panel.plot(positions, spectrum.values, color=LINE, linewidth=1.2)
        panel.axhline(0.0, color="0.6", linewidth=0.6)
        shown = spectrum.values[(positions >= low) & (positions <= high)]
        top, bottom = max(float(shown.max(initial=0.0)), 1e-12), float(shown.min(initial=0.0))
        # Predictions can be slightly below zero; the axis starts at zero unless this is visible.
        panel.set_ylim(0.0 if bottom > -0.02 * top else 1.1 * bottom, 1.08 * top)
        name = "" if names is None else f"{names[index]}   "
        panel.set_title(f"{name}{readable_formula(spectrum.formula)}", loc="left", fontsize=10)
        panel.set_ylabel(f"DOS ({readable_unit(spectrum.unit)})" if spectrum.unit else "normalised DOS")
        panel.spines[["top", "right"]].set_visible(False)
    mark_fermi_level(list(panels), spectra[0].quantity.fixed_axis)
    panels[-1].set_xlabel(axis_label(spectra[0].quantity.fixed_axis, axis.unit))
    panels[0].set_xlim(low, high)
    figure.align_ylabels(panels)
    return figure


def shown_part(axis: Any, window: tuple[float, float] | None) -> tuple[float, float]:
    """Return the part of an axis that is in a window.

    :raises ValueError: if it is empty.
    """
    if window is None:
        return axis.start, axis.stop
    low, high = max(window[0], axis.start), min(window[1], axis.stop)
    if low >= high:
        raise ValueError(
            f"expected a window from a lower to a higher value, both inside {axis.start:g} to {axis.stop:g} "
            f"{axis.unit}, got {window[0]:g} to {window[1]:g} {axis.unit}"
        )
    return low, high
