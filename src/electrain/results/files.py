"""Predictions as JSON and CSV files, with units in the names; no incomplete file is left behind."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TextIO, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from electrain import __version__
from electrain.files.replacing import replacing

from .dictionaries import (
    BAND_GAP_UNCERTAINTY,
    DOS_UNCERTAINTY,
    ELECTRONS,
    FERMI_LEVEL,
    FERMI_LEVEL_UNCERTAINTY,
    axis_name,
    to_dict,
)

# `ElectronicStructure`, which imports this module: an import here would be circular.
ElectronicStructure: TypeAlias = Any


@contextmanager
def open_writer(path: str | Path, *, with_ensemble: bool = False) -> Iterator["JsonWriter | CsvWriter"]:
    """Open a JSON or CSV file for results, which replaces ``path`` once all are written without an error.

    :param path: must end with ``.json`` or ``.csv``.
    :param with_ensemble: whether JSON files include ensembles, which are as large as hundreds of results.
    :raises ValueError: for another ending.
    :raises OSError: if the file cannot be written.
    """
    with writing(path, partial(JsonWriter, with_ensemble=with_ensemble), CsvWriter) as writer:
        yield writer


class _Writer(Protocol):
    def finish(self) -> None: ...


_Json = TypeVar("_Json", bound=_Writer)
_Csv = TypeVar("_Csv", bound=_Writer)


@contextmanager
def writing(
    path: str | Path, json_writer: Callable[[TextIO], _Json], csv_writer: Callable[[TextIO], _Csv]
) -> Iterator[_Json | _Csv]:
    """Open a JSON or CSV file, which replaces ``path`` once everything is written without an error.

    :param path: its ending chooses the writer.
    :param json_writer: file -> writer for ``.json``.
    :param csv_writer: file -> writer for ``.csv``.
    :raises ValueError: for another ending.
    :raises OSError: if the file cannot be written.
    """
    suffix = check_path(Path(path))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = json_writer(file) if suffix == ".json" else csv_writer(file)
        yield writer
        writer.finish()


def check_path(path: Path) -> str:
    """Return the suffix of a file in lower case.

    :raises ValueError: if :func:`open_writer` has no format for it.
    """
    suffix = path.suffix.lower()
    if suffix not in (".json", ".csv"):
        raise ValueError(f"expected an output file that ends with .json or .csv, got {path}")
    return suffix


class JsonWriter:
    """One object with the key ``structures``, a list of what :func:`~.dictionaries.to_dict` returns."""

    def __init__(self, file: TextIO, *, with_ensemble: bool = False) -> None:
        self._file, self._with_ensemble = file, with_ensemble
        self._file.write(f'{{"created_by": "electrain {__version__}", "structures": [')
        self._separator = "\n"

    def write(self, result: ElectronicStructure, name: str) -> None:
        """Append a result."""
        self.append(to_dict(result, name, with_ensemble=self._with_ensemble))

    def append(self, content: dict[str, Any]) -> None:
        """Append anything about a structure."""
        self._file.write(self._separator + json.dumps(content, allow_nan=False))
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
            columns = ["structure", "formula", "band_gap_eV", FERMI_LEVEL, ELECTRONS]
            columns += [] if uncertainty is None else [BAND_GAP_UNCERTAINTY, FERMI_LEVEL_UNCERTAINTY]
            columns += [] if local is None else ["atom", "element"]
            columns += [axis_name(result), "dos_states_per_eV"]
            self._rows.writerow(columns + ([] if uncertainty is None else [DOS_UNCERTAINTY]))
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


def read_contents(path: str | Path) -> list[dict[str, Any]]:
    """Read the results in a JSON file as :func:`~electrain.results.dictionaries.to_dict` returned them.

    :raises ValueError: for another file.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        structures: list[dict[str, Any]] = content["structures"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"expected results that electrain wrote as JSON in {path}, got another file") from None
    return structures


def _spectrum_column(values: NDArray[np.float64]) -> list[str]:
    return [f"{value:.8g}" for value in values]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
