"""How results look in a terminal and in a notebook."""

import base64
import html
import io
from typing import Any, TypeAlias

# `ElectronicStructure`, which imports this module: an import here would be circular.
ElectronicStructure: TypeAlias = Any


def rows(result: ElectronicStructure) -> list[tuple[str, str]]:
    """Describe a result in a few words: names and values with units."""
    uncertainty = result.uncertainty
    zero = "from the Fermi level" if result.relative_to_fermi_level else "on an axis with an arbitrary zero"
    found = [("atoms", f"{len(result.atoms)}")]
    if result.band_gap is not None:
        found.append(("band gap", _with_error(result.band_gap, uncertainty and uncertainty.band_gap, 3)))
    if result.fermi_level is not None:
        level = _with_error(result.fermi_level, uncertainty and uncertainty.fermi_level, 3)
        found += [("Fermi level", f"{level} on the model's own axis"), ("electrons", f"{result.num_electrons:.2f}")]
    energies = result.energies
    found.append(("energies", f"{energies[0]:.2f} to {energies[-1]:.2f} eV {zero}, {len(energies)} channels"))
    parts = {
        "of each atom": result.local_density_of_states,
        "uncertainty": uncertainty,
        "ensemble": result.ensemble,
    }
    given = ["density of states", *(name for name, value in parts.items() if value is not None)]
    return [*found, ("arrays", ", ".join(given))]


def as_line(result: ElectronicStructure) -> str:
    """Everything in one line, for lists of results."""
    values = {name: value.removesuffix(" on the model's own axis") for name, value in rows(result)}
    known = [f"{name} {values[name]}" for name in ("band gap", "Fermi level") if name in values]
    parts = [
        f"{values['atoms']} atom{'' if len(result.atoms) == 1 else 's'}",
        *known,
        f"energies {values['energies']}",
        values["arrays"],
    ]
    return f"<ElectronicStructure of {result.formula}: {'; '.join(parts)}>"


def as_text(result: ElectronicStructure) -> str:
    """One line per property."""
    lines = [f"Electronic structure of {result.formula}", *(f"{name:<12} {value}" for name, value in rows(result))]
    return "\n".join(lines)


def as_html(result: ElectronicStructure) -> str:
    """A table, and the density of states as a figure."""
    from matplotlib.figure import Figure

    from electrain.plots.spectra import plot_density_of_states

    # Not of pyplot, so that notebooks do not show it twice.
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    plot_density_of_states(result, figure.subplots())
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=96)
    encoded = base64.b64encode(image.getvalue()).decode()
    cells = "".join(
        f'<tr><th style="text-align: left">{html.escape(name)}</th>'
        f'<td style="text-align: left">{html.escape(value)}</td></tr>'
        for name, value in rows(result)
    )
    formula = html.escape(result.formula)
    return (
        f"<table><caption>Electronic structure of {formula}</caption>{cells}</table>"
        f'<img alt="density of states of {formula}" src="data:image/png;base64,{encoded}">'
    )


def _with_error(value: float, error: float | None, digits: int) -> str:
    return f"{value:.{digits}f} eV" if error is None else f"{value:.{digits}f} ± {error:.{digits}f} eV"
