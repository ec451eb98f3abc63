"""A figure of the phonons of structures: densities of states, heat capacity, entropy and free energy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from electrain.plots.fixed_spectra import axis_label, readable_formula, readable_unit
from electrain.plots.style import LINE, legend_above_curves

from .phonons import DULONG_PETIT, JOULE_PER_MOLE, PhononThermodynamics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_STRUCTURES = 10  # as many colors can be told apart


def plot_phonons(results: Sequence[tuple[str, PhononThermodynamics]]) -> "Figure":
    """Plot densities of states per atom, and heat capacity, entropy and free energy per mole of atoms.

    :param results: names of structures, and their results, on one axis; the first ten are shown.
    """
    from matplotlib.figure import Figure

    shown = results[:MAX_STRUCTURES]
    axis = shown[0][1].spectrum.axis
    figure = Figure(figsize=(9.0, 6.4), layout="constrained")
    spectrum, capacity, entropy, energy = figure.subplots(2, 2).ravel()
    for index, (name, result) in enumerate(shown):
        color = LINE if len(shown) == 1 else f"C{index}"
        kelvin, found, molar = result.temperatures, result.quantities, JOULE_PER_MOLE / result.num_atoms
        style = {"color": color, "linewidth": 1.4}
        curve = {**style, "marker": "o" if len(kelvin) == 1 else None}  # a single temperature gives no line
        label = f"{name}: {readable_formula(result.spectrum.formula)}"
        spectrum.plot(axis.values().numpy(), result.density_of_states / result.num_atoms, label=label, **style)
        capacity.plot(kelvin, found.heat_capacity * molar, **curve)
        entropy.plot(kelvin, found.entropy * molar, **curve)
        energy.plot(kelvin, found.free_energy * molar / 1e3, **curve)
    capacity.axhline(DULONG_PETIT, color="0.3", linewidth=0.8, linestyle="--", label=r"Dulong and Petit, $3R$")
    energy.axhline(0.0, color="0.6", linewidth=0.6)
    spectrum.set_xlim(max(axis.start, 0.0), axis.stop)
    spectrum.set_xlabel(axis_label("frequency", axis.unit))
    spectrum.set_ylabel(f"phonon DOS ({readable_unit(axis.density_unit)}/atom)")
    capacity.set_ylabel(r"heat capacity $C_V$ (J/(mol K))")
    entropy.set_ylabel(r"entropy $S$ (J/(mol K))")
    energy.set_ylabel(r"free energy $F$ (kJ/mol)")
    for panel in (spectrum, capacity, entropy):
        panel.set_ylim(bottom=0.0)
    for panel in (capacity, entropy, energy):
        panel.set_xlabel("temperature (K)")
    for panel in (spectrum, capacity):
        legend_above_curves(panel, num_columns=1 if len(shown) < 4 else 2)
    for panel in (spectrum, capacity, entropy, energy):
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle("harmonic phonons, per mole of atoms", fontsize=10)
    return figure
