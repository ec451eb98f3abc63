"""Thermodynamics of phonons as text, CSV and JSON, with units in the names."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain import __version__
from electrain.files.replacing import replacing

from .files import files_of
from .phonons import JOULE_PER_MOLE, PhononThermodynamics

Named = tuple[str, PhononThermodynamics]

# Name of a quantity, its unit in eV, and its molar unit with the number of J in it
_QUANTITIES = {
    "internal_energy": ("eV", "kJ_per_mol", 1e3),
    "entropy": ("eV_per_K", "J_per_K_per_mol", 1.0),
    "free_energy": ("eV", "kJ_per_mol", 1e3),
    "heat_capacity": ("eV_per_K", "J_per_K_per_mol", 1.0),
}


def table(result: PhononThermodynamics) -> str:
    """Write a table for reading, per mole of atoms.

    :param result: see :meth:`~electrain.thermodynamics.phonons.PhononIntegrals.thermodynamics`.
    """
    molar = JOULE_PER_MOLE / result.num_atoms
    found = result.quantities
    columns = {
        "T (K)": [f"{kelvin:g}" for kelvin in result.temperatures],
        "heat capacity (J/(mol K))": [f"{value:.3f}" for value in found.heat_capacity * molar],
        "entropy (J/(mol K))": [f"{value:.3f}" for value in found.entropy * molar],
        "energy U (kJ/mol)": [f"{value:.4f}" for value in found.internal_energy * molar / 1e3],
        "free energy F (kJ/mol)": [f"{value:.4f}" for value in found.free_energy * molar / 1e3],
    }
    widths = {name: max(len(text) for text in [name, *cells]) for name, cells in columns.items()}
    lines = [columns.keys(), *zip(*columns.values(), strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths.values(), strict=True)) for line in lines
    )


def write(results: Sequence[Named], path: str | Path, *, model: str) -> list[Path]:
    """Write a JSON file with everything, or two CSV files: thermodynamics, and densities of states.

    Values are for the whole structure and per atom in eV, and per mole of structures, which are moles of cells, in kJ.

    :param results: names of structures, and their results.
    :param path: must end with ``.json`` or ``.csv``; with CSV, densities of states are written to ``NAME_dos.csv``.
    :param model: name of the model.
    :return: the files written.
    :raises ValueError: for another ending.
    :raises OSError: if a file cannot be written.
    """
    files = files_of(Path(path))
    if len(files) == 1:
        content = {"created_by": f"electrain {__version__}", "model": model, "structures": list(map(_to_dict, results))}
        with replacing(files[0]) as temporary:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return files
    for file, columns_of in zip(files, (_temperature_columns, _spectrum_columns), strict=True):
        with replacing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows(_rows(results, columns_of))
    return files


def _rows(results: Sequence[Named], columns_of: Any) -> Iterator[list[str]]:
    for index, (name, result) in enumerate(results):
        columns = columns_of(result)
        if index == 0:
            yield ["structure", "formula", *columns]
        for row in zip(*columns.values(), strict=True):
            yield [name, result.spectrum.formula, *(f"{value:.10g}" for value in row)]


def _to_dict(named: Named) -> dict[str, Any]:
    name, result = named
    return {
        "structure": name,
        "formula": result.spectrum.formula,
        "atoms": result.num_atoms,
        "target": result.spectrum.target,
        "modes": result.num_modes,
        "predicted_modes": result.predicted_modes,
        "imaginary_modes": result.imaginary_modes,
        "negative_share": result.negative_share,
        "notes": result.notes,
        "zero_point_energy_eV": result.zero_point_energy,
        "temperatures": {key: values.tolist() for key, values in _temperature_columns(result).items()},
        "spectrum": {key: values.tolist() for key, values in _spectrum_columns(result).items()},
    }


def _temperature_columns(result: PhononThermodynamics) -> dict[str, NDArray[np.float64]]:
    columns = {"temperature_K": result.temperatures}
    for name, (unit, molar_unit, joule) in _QUANTITIES.items():
        values = getattr(result.quantities, name)
        columns[f"{name}_{unit}"] = values
        columns[f"{name}_{unit}_per_atom"] = values / result.num_atoms
        columns[f"{name}_{molar_unit}"] = values * JOULE_PER_MOLE / joule
    return columns


def _spectrum_columns(result: PhononThermodynamics) -> dict[str, NDArray[np.float64]]:
    spectrum = result.spectrum
    return {
        spectrum.axis_column: spectrum.axis.values().numpy(),
        spectrum.density_column: result.density_of_states,
    }
