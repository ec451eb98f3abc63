"""A figure of the electrons of a trajectory: mean density of states, and its thermodynamics at several temperatures."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from electrain.plots.spectra import WINDOW
from electrain.plots.style import FREE_ENERGY, HEAT, LINE, PREDICTED, SHADE, STATISTICS, legend_above_curves
from electrain.spectra.fermi import BOLTZMANN

from .average import Estimate, Thermodynamics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Field of an estimate: label and color of its band
_BANDS = {"model_uncertainty": ("model", PREDICTED), "statistical_error": ("statistics", STATISTICS)}


def plot_thermodynamics(
    result: Thermodynamics, *, per_electron: bool = False, window: tuple[float, float] = WINDOW
) -> "Figure":
    """Plot mean density of states, heat capacity, energies and Fermi level.

    Bands show one standard deviation: of the mean over frames (orange), and among the model's ensemble (red). Legends
    give their maximum width, because some are narrower than the line.

    :param result: see :meth:`~electrain.thermodynamics.average.EnsembleAverage.thermodynamics`.
    :param per_electron: show values per electron instead of per atom.
    :param window: energies to show in the plot of the density of states, in eV from the Fermi level.
    """
    from matplotlib.figure import Figure

    number = result.num_electrons if per_electron else float(result.num_atoms)
    unit = "electron" if per_electron else "atom"
    figure = Figure(figsize=(9.0, 6.4), layout="constrained")
    spectrum, capacity, energy, level = figure.subplots(2, 2).ravel()
    _plot_spectrum(spectrum, result, number, unit, window)
    temperatures = result.temperatures
    _plot(capacity, temperatures, result.heat_capacity.per(BOLTZMANN * number), LINE, "analytic")
    differences = result.heat_capacity_by_differences / (BOLTZMANN * number)
    capacity.plot(temperatures, differences, "x", color="0.3", markersize=4, label="energies 1 K apart")
    capacity.set_ylabel(rf"heat capacity ($k_\mathrm{{B}}$/{unit})")
    heat = Estimate(temperatures * result.entropy.values, None, None)
    for estimate, color, label in (
        (result.electronic_energy, LINE, r"energy $U$"),
        (heat, HEAT, r"$T\,S$"),
        (result.free_energy, FREE_ENERGY, r"free energy $F = U - T\,S$"),
    ):
        _plot(energy, temperatures, Estimate(estimate.per(1e-3 * number).values, None, None), color, label)
    energy.axhline(0.0, color="0.6", linewidth=0.6)
    energy.set_ylabel(f"excitation energy (meV/{unit})")
    _plot(level, temperatures, result.fermi_level, LINE, None)
    level.set_ylabel(r"$\mu(T) - E_\mathrm{F}$ (eV)")
    for panel in (capacity, energy, level):
        panel.set_xlabel("electronic temperature (K)")
    for panel in (spectrum, capacity, energy, level):
        legend_above_curves(panel, num_columns=2)
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _plot_spectrum(ax: "Axes", result: Thermodynamics, number: float, unit: str, window: tuple[float, float]) -> None:
    low, high = max(window[0], result.energies[0]), min(window[1], result.energies[-1])
    shown = (result.energies >= low) & (result.energies <= high)
    energies = result.energies[shown]
    estimate = Estimate(
        *(None if part is None else part[shown] / number for part in result.density_of_states)  # type: ignore[arg-type]
    )
    below = energies <= 1e-9
    ax.fill_between(energies[below], estimate.values[below], color=SHADE, alpha=0.5, linewidth=0, label="occupied")
    _plot(ax, energies, estimate, LINE, None)
    ax.axvline(0.0, color="0.3", linewidth=0.8, linestyle="--")
    ax.set_xlim(low, high)
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(r"$E - E_\mathrm{F}$ (eV)")
    ax.set_ylabel(f"mean DOS (states/eV/{unit})")
    frames = "1 frame" if result.num_frames == 1 else f"{result.num_frames} frames"
    ax.set_title(f"{_readable(result.formula)}   mean of {frames}", loc="left", fontsize=10)


def _plot(ax: "Axes", x: NDArray[np.float64], estimate: Estimate, color: str, label: str | None) -> None:
    for field, (name, shade) in _BANDS.items():
        error = getattr(estimate, field)
        if error is not None:
            edges = estimate.values - error, estimate.values + error
            text = rf"{name} ($1\,\sigma \leq$ {error.max():.1g})"
            ax.fill_between(x, *edges, color=shade, alpha=0.5, linewidth=0, label=text)
    # A single temperature gives no line.
    ax.plot(x, estimate.values, color=color, linewidth=1.4, marker="o" if len(x) == 1 else None, label=label)


def _readable(formula: str) -> str:
    return "".join(f"$_{character}$" if character.isdigit() else character for character in formula)
