"""Predictions as JSON and CSV files, with units in the names; no incomplete file is left behind."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain import __version__
from electrain.files.replacing import replacing

from .electronic_structure import ElectronicStructure, Uncertainty

_AXIS_FROM_FERMI = "energy_minus_fermi_eV"
_AXIS_OWN_ZERO = "energy_model_zero_eV"
_FERMI_LEVEL = "fermi_level_on_model_axis_eV"
_ELECTRONS = "electrons_below_fermi_level"
_FERMI_LEVEL_UNCERTAINTY = "fermi_level_uncertainty_eV"
_BAND_GAP_UNCERTAINTY = "band_gap_uncertainty_eV"
_DOS_UNCERTAINTY = "dos_uncertainty_states_per_eV"


@contextmanager
def open_writer(path: str | Path) -> Iterator["JsonWriter | CsvWriter"]:
    """Open a JSON or CSV file for results, which replaces ``path`` once all are written without an error.

    :param path: must end with ``.json`` or ``.csv``.
    :raises ValueError: for another ending.
    :raises OSError: if the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".json", ".csv"):
        raise ValueError(f"expected an output file that ends with .json or .csv, got {path}")
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = JsonWriter(file) if suffix == ".json" else CsvWriter(file)
        yield writer
        writer.finish()


class JsonWriter:
    """One object with the key ``structures``, a list of what :func:`to_dict` returns."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._file.write(f'{{"created_by": "electrain {__version__}", "structures": [')
        self._separator = "\n"

    def write(self, result: ElectronicStructure, name: str) -> None:
        """Append a result."""
        self._file.write(self._separator + json.dumps(to_dict(result, name), allow_nan=False))
        self._separator = ",\n"

    def finish(self) -> None:
        """Close the list."""
        self._file.write("\n]}\n")


class CsvWriter:
    """One row per structure and energy, and, with a local density of states, per atom.

    Columns: ``structure``, ``formula``, ``band_gap_eV``, ``fermi_level_on_model_axis_eV``,
    ``electrons_below_fermi_level`` of the structure, then, with a local density of states, ``atom`` (its index from 0,
    or ``all``) and ``element``, then ``energy_minus_fermi_eV`` and ``dos_states_per_eV``. Empty cells were not
    predicted. With uncertainties (standard deviations), those of band gap and Fermi level follow after the electrons,
    and that of the density of states comes last; it is empty in the rows of an atom.
    """

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._is_empty = True

    def write(self, result: ElectronicStructure, name: str) -> None:
        """Append the rows of a result; all results must be of one kind (per atom, with Fermi level)."""
        local, uncertainty = result.local_density_of_states, result.uncertainty
        if self._is_empty:
            columns = ["structure", "formula", "band_gap_eV", _FERMI_LEVEL, _ELECTRONS]
            columns += [] if uncertainty is None else [_BAND_GAP_UNCERTAINTY, _FERMI_LEVEL_UNCERTAINTY]
            columns += [] if local is None else ["atom", "element"]
            columns += [_axis_name(result), "dos_states_per_eV"]
            self._rows.writerow(columns + ([] if uncertainty is None else [_DOS_UNCERTAINTY]))
            self._is_empty = False
        numbers = [_cell(result.band_gap), _cell(result.fermi_level), _cell(result.num_electrons)]
        total = [_spectrum_column(result.density_of_states)]
        of_atom: list[list[str]] = []
        if uncertainty is not None:
            numbers += [_cell(uncertainty.band_gap), _cell(uncertainty.fermi_level)]
            total.append(_spectrum_column(uncertainty.density_of_states))
            of_atom.append([""] * len(result.energies))
        head = [name, result.formula, *numbers]
        if local is None:
            self._write_spectrum(head, result.energies, total)
            return
        self._write_spectrum([*head, "all", ""], result.energies, total)
        for index, symbol in enumerate(result.atoms.get_chemical_symbols()):
            spectra = [_spectrum_column(local[index]), *of_atom]
            self._write_spectrum([*head, str(index), symbol], result.energies, spectra)

    def _write_spectrum(self, head: list[str], energies: NDArray[np.float64], columns: list[list[str]]) -> None:
        self._rows.writerows(
            [*head, f"{energy:.6f}", *cells] for energy, *cells in zip(energies, *columns, strict=True)
        )

    def finish(self) -> None:
        """Do nothing, because nothing follows the last row."""


def to_dict(result: ElectronicStructure, name: str = "") -> dict[str, Any]:
    """Convert a result without its ensemble to plain Python types, for JSON; :func:`from_dict` is the inverse."""
    atoms = result.atoms
    content: dict[str, Any] = {
        "structure": name,
        "formula": result.formula,
        "band_gap_eV": result.band_gap,
        _FERMI_LEVEL: result.fermi_level,
        _ELECTRONS: result.num_electrons,
        "smearing_eV": result.smearing,
        "elements": atoms.get_chemical_symbols(),
        "positions_angstrom": atoms.positions.tolist(),
        "cell_vectors_angstrom": atoms.cell[:].tolist(),
        "periodic": atoms.pbc.tolist(),
        _axis_name(result): np.round(result.energies, 6).tolist(),
        "dos_states_per_eV": _rounded(result.density_of_states),
    }
    if result.local_density_of_states is not None:
        content["local_dos_states_per_eV"] = [_rounded(values) for values in result.local_density_of_states]
    if result.uncertainty is not None:
        content[_BAND_GAP_UNCERTAINTY] = result.uncertainty.band_gap
        content[_FERMI_LEVEL_UNCERTAINTY] = result.uncertainty.fermi_level
        content[_DOS_UNCERTAINTY] = _rounded(result.uncertainty.density_of_states)
    return content


def from_dict(content: dict[str, Any]) -> ElectronicStructure:
    """Restore a result from :func:`to_dict`: energies to 1e-6 eV, densities of states to eight digits.

    :raises KeyError: if something is missing.
    """
    atoms = Atoms(
        content["elements"],
        positions=content["positions_angstrom"],
        cell=content["cell_vectors_angstrom"],
        pbc=content["periodic"],
    )
    axis = _AXIS_FROM_FERMI if content[_FERMI_LEVEL] is not None else _AXIS_OWN_ZERO
    local = content.get("local_dos_states_per_eV")
    return ElectronicStructure(
        atoms=atoms,
        energies=np.array(content[axis]),
        density_of_states=np.array(content["dos_states_per_eV"]),
        band_gap=content["band_gap_eV"],
        fermi_level=content[_FERMI_LEVEL],
        smearing=content["smearing_eV"],
        local_density_of_states=None if local is None else np.array(local),
        uncertainty=_read_uncertainty(content),
    )


def _read_uncertainty(content: dict[str, Any]) -> Uncertainty | None:
    if _DOS_UNCERTAINTY not in content:
        return None
    spectrum = np.array(content[_DOS_UNCERTAINTY])
    return Uncertainty(spectrum, content[_BAND_GAP_UNCERTAINTY], content[_FERMI_LEVEL_UNCERTAINTY])


def read_json(path: str | Path) -> list[tuple[str, ElectronicStructure]]:
    """Read a JSON file written by ``electrain dos``: the name of each structure and its predictions."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return [(structure["structure"], from_dict(structure)) for structure in content["structures"]]


def _axis_name(result: ElectronicStructure) -> str:
    return _AXIS_FROM_FERMI if result.relative_to_fermi_level else _AXIS_OWN_ZERO


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.8g}") for value in values]


def _spectrum_column(values: NDArray[np.float64]) -> list[str]:
    return [f"{value:.8g}" for value in values]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
