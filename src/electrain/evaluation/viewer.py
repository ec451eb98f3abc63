"""Structures and their densities of states for the chemiscope viewer in the HTML report."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.data.reading import PreparedPart
from electrain.plots.style import PREDICTED, REFERENCE

from .chunk_files import read_spectra
from .distribution_figures import WINDOW
from .summary import ErrorTable

# A browser keeps all of them in memory.
MAX_SHOWN = 300
_DIGITS = 4
# The viewer takes texts for categories, of which it accepts no more than this.
_MAX_CATEGORIES = 20

_DOS_ERROR = "DOS error (1/√eV)"
_TRUE_GAP, _PREDICTED_GAP = "band gap, DFT (eV)", "band gap, model (eV)"


def chemiscope_library() -> str | None:
    """Return the JavaScript of the viewer, or ``None`` if the package is not installed."""
    try:
        return (resources.files("chemiscope") / "sphinx" / "static" / "chemiscope.min.js").read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        return None


def chosen_structures(table: ErrorTable) -> list[int]:
    """Choose the structures to show, by index: all with a known error, or some from the best to the worst."""
    errors = table.dos_errors()
    order = np.argsort(errors, kind="stable")[: int(np.isfinite(errors).sum())]
    if len(order) > MAX_SHOWN:
        order = order[np.linspace(0, len(order) - 1, MAX_SHOWN).round().astype(int)]
    return sorted(order.tolist())


def viewer_data(part: PreparedPart, table: ErrorTable, files: list[Path], name: str) -> dict[str, Any]:
    """Collect everything that the page's script needs, ready for JSON.

    :param part: the evaluated part of the data set.
    :param table: numbers of its structures.
    :param files: files of the predictions.
    :param name: name of the part, for the title.
    :return: the ``dataset`` for chemiscope, and ``energies`` (eV), ``spectra`` (pairs of true and predicted values,
        states/eV, ``None`` where unknown), ``formulas``, ``titles`` and ``colors`` (of true and predicted values) for
        the plot below it.
    """
    import chemiscope

    chosen = chosen_structures(table)
    wanted = set(chosen)
    frames = [item.atoms for index, item in enumerate(part.structures()) if index in wanted]
    energies = part.axis.target_grid.energies().numpy()
    margin = 1e-6  # eV, for ends that are channels up to round-off
    shown = (energies >= WINDOW[0] - margin) & (energies <= WINDOW[1] + margin)
    spectra, formulas = [], table.formulas()
    for index in chosen:
        predicted, target = read_spectra(files, index)
        spectra.append([_numbers(target[shown]), _numbers(predicted[shown])])
    return {
        "dataset": chemiscope.create_input(
            structures=[_plain(atoms) for atoms in frames],
            properties=viewer_properties(table, chosen),
            metadata={"name": name},
            settings=viewer_settings(table, chosen),
        ),
        "energies": _numbers(energies[shown]),
        "spectra": spectra,
        "formulas": [formulas[index] for index in chosen],
        "titles": [f"{table.entries[index].name} ({table.entries[index].subset})" for index in chosen],
        "colors": [REFERENCE, PREDICTED],
    }


def as_script(data: Any) -> str:
    """Write JSON for use between script tags, which names from a data set must not be able to close."""
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\!--")


def _plain(atoms: Atoms) -> Atoms:
    """Remove the cell if the structure is not a crystal, because the viewer draws any cell it finds."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell if atoms.pbc.all() else None, pbc=atoms.pbc)


def viewer_properties(table: ErrorTable, chosen: list[int]) -> dict[str, Any]:
    """Return what the map can show of some structures: numbers that all have, and texts with few different values."""
    rows = np.array(chosen)
    gap, true_gap = table.column("predicted_gap"), table.column("true_gap")
    numbers = {
        _DOS_ERROR: table.dos_errors(),
        _TRUE_GAP: true_gap,
        _PREDICTED_GAP: gap,
        "band gap, error (eV)": gap - true_gap,
        "Fermi level, error (eV)": table.column("predicted_level") - table.column("true_level"),
        "energy, error (eV/atom)": (table.column("predicted_energy") - table.column("true_energy"))
        / table.column("num_atoms"),
        "forces, RMSE (eV/Å)": np.sqrt(_ratio(table.column("forces_squared"), table.column("num_forces"))),
        "atoms": table.column("num_atoms"),
    }
    # The viewer accepts no missing values, so quantities that some structures lack are not shown.
    known = {name: values[rows].round(6) for name, values in numbers.items() if np.isfinite(values[rows]).all()}
    formulas = table.formulas()
    every_label = {
        "formula": [formulas[index] for index in chosen],
        "id": [table.entries[index].name for index in chosen],
        "subset": [table.entries[index].subset for index in chosen],
    }
    labels = {name: values for name, values in every_label.items() if len(set(values)) <= _MAX_CATEGORIES}
    return {
        **{name: {"target": "structure", "values": values.tolist()} for name, values in known.items()},
        **{name: {"target": "structure", "values": values} for name, values in labels.items()},
    }


def viewer_settings(table: ErrorTable, chosen: list[int]) -> dict[str, Any]:
    """Return what the viewer shows at first."""
    import chemiscope

    known = viewer_properties(table, chosen)
    has_gaps = _TRUE_GAP in known and _PREDICTED_GAP in known
    x, y = (_TRUE_GAP, _PREDICTED_GAP) if has_gaps else ("atoms", _DOS_ERROR)
    return chemiscope.quick_settings(
        x=x,
        y=y,
        map_color=_DOS_ERROR,
        structure_settings={"unitCell": True, "bonds": True, "spaceFilling": False},
    )


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [round(float(value), _DIGITS) if np.isfinite(value) else None for value in values]


def _ratio(numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotients; NaN where there is nothing to divide by."""
    known = denominators > 0
    return np.divide(numerators, denominators, out=np.full_like(numerators, np.nan), where=known)
