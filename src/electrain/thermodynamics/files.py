"""Electronic thermodynamics as text, CSV and JSON, with units in the names."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain import __version__
from electrain.files.replacing import replacing
from electrain.spectra.fermi import BOLTZMANN

from .average import Estimate, Thermodynamics

_EXTENSIVE = {
    "electronic_energy": "eV",
    "entropy": "eV_per_K",
    "free_energy": "eV",
    "heat_capacity": "eV_per_K",
    "heat_capacity_by_differences": "eV_per_K",
}
_ERRORS = ("statistical_error", "model_uncertainty")


def table(result: Thermodynamics, *, per_electron: bool = False) -> str:
    """Write a table for reading: energies in meV, entropies in kB, per atom or per electron.

    :param result: see :meth:`~electrain.thermodynamics.average.EnsembleAverage.thermodynamics`.
    :param per_electron: write values per electron instead of per atom.
    """
    number = result.num_electrons if per_electron else result.num_atoms
    unit = "electron" if per_electron else "atom"
    columns = {
        "Fermi level (eV)": (result.fermi_level, 4),
        f"energy (meV/{unit})": (result.electronic_energy.per(1e-3 * number), 3),
        f"entropy (kB/{unit})": (result.entropy.per(BOLTZMANN * number), 4),
        f"free energy (meV/{unit})": (result.free_energy.per(1e-3 * number), 3),
        f"heat capacity (kB/{unit})": (result.heat_capacity.per(BOLTZMANN * number), 4),
        "by differences": (Estimate(result.heat_capacity_by_differences / (BOLTZMANN * number), None, None), 4),
    }
    cells = [["T (K)", *columns]]
    for row, temperature in enumerate(result.temperatures):
        texts = (_with_errors(estimate, row, digits) for estimate, digits in columns.values())
        cells.append([f"{temperature:g}", *texts])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells)


def write(result: Thermodynamics, path: str | Path) -> list[Path]:
    """Write a JSON file with everything, or two CSV files: one for the temperatures, one for the density of states.

    :param result: see :meth:`~electrain.thermodynamics.average.EnsembleAverage.thermodynamics`.
    :param path: must end with ``.json`` or ``.csv``; with CSV, the density of states is written to ``NAME_dos.csv``.
    :return: the files written.
    :raises ValueError: for another ending.
    :raises OSError: if a file cannot be written.
    """
    path = Path(path)
    files = files_of(path)
    if len(files) == 1:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(to_dict(result), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return files
    for file, columns in zip(files, (_temperature_columns(result), _spectrum_columns(result)), strict=True):
        with replacing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(columns)
            rows.writerows([f"{value:.10g}" for value in row] for row in zip(*columns.values(), strict=True))
    return files


def files_of(path: Path) -> list[Path]:
    """Return the files that :func:`write` writes.

    :raises ValueError: for a suffix for which it has no format.
    """
    if path.suffix.lower() not in (".json", ".csv"):
        raise ValueError(f"expected an output file that ends with .json or .csv, got {path}")
    return [path] if path.suffix.lower() == ".json" else [path, path.with_name(f"{path.stem}_dos{path.suffix}")]


def to_dict(result: Thermodynamics) -> dict[str, Any]:
    """Convert a result to plain Python types, for JSON."""
    blocks = result.blocks
    return {
        "created_by": f"electrain {__version__}",
        "formula": result.formula,
        "atoms": result.num_atoms,
        "electrons": result.num_electrons,
        "frames": result.num_frames,
        "blocks": {
            "number": len(blocks.means),
            "frames_in_each": blocks.length,
            "are_independent": blocks.are_independent,
        },
        "temperatures": {name: values.tolist() for name, values in _temperature_columns(result).items()},
        "spectrum": {name: values.tolist() for name, values in _spectrum_columns(result).items()},
    }


def _temperature_columns(result: Thermodynamics) -> dict[str, NDArray[np.float64]]:
    columns = {"temperature_K": result.temperatures}
    columns |= _columns("fermi_level", result.fermi_level, "eV")
    for unit, number in (("atom", result.num_atoms), ("electron", result.num_electrons)):
        for name, energy in _EXTENSIVE.items():
            value = getattr(result, name)
            estimate = value if isinstance(value, Estimate) else Estimate(value, None, None)
            columns |= _columns(name, estimate.per(number), f"{energy}_per_{unit}")
    return columns


def _spectrum_columns(result: Thermodynamics) -> dict[str, NDArray[np.float64]]:
    spectrum = result.density_of_states.per(result.num_atoms)
    return {"energy_minus_fermi_eV": result.energies} | _columns("dos", spectrum, "states_per_eV_per_atom")


def _columns(name: str, estimate: Estimate, unit: str) -> dict[str, NDArray[np.float64]]:
    columns = {f"{name}_{unit}": estimate.values}
    for kind, error in zip(_ERRORS, estimate[1:], strict=True):
        if error is not None:
            columns[f"{name}_{kind}_{unit}"] = error
    return columns


def _with_errors(estimate: Estimate, row: int, digits: int) -> str:
    errors = [f" ± {_error(error[row], digits)}" for error in estimate[1:] if error is not None]
    return f"{estimate.values[row]:.{digits}f}" + "".join(errors)


def _error(error: float, digits: int) -> str:
    """Format an error with the digits of the value; one below the last digit is not shown as zero."""
    smallest = 10.0**-digits
    return f"<{smallest:.{digits}f}" if 0.0 < error < 0.5 * smallest else f"{error:.{digits}f}"
