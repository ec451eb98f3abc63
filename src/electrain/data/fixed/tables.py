"""Tables of structures and spectra, as CSV or JSON."""

import ast
import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms

from electrain.interface.option_types import did_you_mean
from electrain.spectra.fixed_axis import FixedAxis

from ..calculation import CalculationError, Rejected
from ..readers.common import reading
from ..readers.pymatgen_dos import structure_from_pymatgen
from .spectrum import FixedSpectrum

_LONGEST_CELL = 2**27  # characters
# Names of columns that are known.
_NAMES = {
    "structure": ("structure", "atoms", "cif"),
    "axis": ("phfreq", "frequencies", "frequency", "energies", "energy", "axis"),
    "spectrum": ("phdos", "dos", "densities", "density", "spectrum"),
}
_ID = ("id", "mp_id", "material_id", "name")
_GIVEN = ("split", "subset")
_FERMI_ENERGY = ("fermi_energy", "efermi", "e_fermi")  # eV


class Columns(NamedTuple):
    """Columns of a table: structures, channels of the axis, and values on them."""

    structure: str
    axis: str
    spectrum: str


def csv_rows(content: bytes) -> list[dict[str, Any]]:
    """Rows of a CSV file with a header.

    :raises ValueError: for a row with more cells than the header.
    """
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    finally:
        csv.field_size_limit(limit)
    for number, row in enumerate(rows):
        if None in row:  # where the reader puts further cells
            expected = len(row) - 1
            raise ValueError(
                f"expected {expected} cells as in the header, got {expected + len(row[None])} in row {number}; cells "
                "with commas need quotation marks"
            )
    return rows


def json_rows(content: Any, name: str) -> list[dict[str, Any]]:
    """Rows of a list of rows, or of a table of columns, which are lists or, as pandas writes them, tables by index.

    :raises CalculationError: for anything else.
    """
    with reading(name, "a table in JSON"):
        if isinstance(content, list):
            return [dict(row) for row in content]
        columns = {key: list(cells.values() if isinstance(cells, dict) else cells) for key, cells in content.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_table(
    rows: Sequence[Mapping[str, Any]], name: str, first_row: int, unit: str, columns: Columns | None
) -> Iterator[FixedSpectrum | Rejected]:
    """Read a table, one structure in each row.

    A structure is a dictionary with ``numbers``, ``positions``, ``cell`` and ``pbc`` as ASE makes it, one of pymatgen,
    or the text of a CIF file; axis and spectrum are lists. Cells of CSV files are in the notation of Python or JSON. A
    Fermi energy is a column, or in the ``info`` of ASE's dictionary.

    :param rows: the cells by column.
    :param name: name of the file for messages.
    :param first_row: number of its first row among those of all sources.
    :param unit: unit of the axis.
    :param columns: names of the columns; by default known names are looked for.
    :raises CalculationError: if the table has no rows, or lacks a column.
    """
    if not rows:
        raise CalculationError(name, "expected a table with rows, got none")
    columns = _found_columns(list(rows[0]), columns, name)
    for number, row in enumerate(rows):
        source = f"{name}, row {number}"
        try:
            with reading(source, "a structure, an axis and a spectrum"):
                yield _spectrum(row, columns, source, first_row + number, unit)
        except CalculationError as error:
            yield Rejected(source, error.reason)


def _found_columns(found: Sequence[str], columns: Columns | None, name: str) -> Columns:
    if columns is not None:
        for column in columns:
            if column not in found:
                hint = did_you_mean(column, found)
                raise CalculationError(name, f"expected a column {column!r}, got {', '.join(found)}{hint}")
        return columns
    known = {}
    for what, names in _NAMES.items():
        matching = [column for column in names if column in found]
        if not matching:
            raise CalculationError(
                name,
                f"expected a column for the {what}, {', '.join(names)}, or its name in --columns, got "
                f"{', '.join(found)}",
            )
        known[what] = matching[0]
    return Columns(**known)


def _spectrum(row: Mapping[str, Any], columns: Columns, source: str, number: int, unit: str) -> FixedSpectrum:
    missing = [column for column in columns if row.get(column) in (None, "")]
    if missing:
        raise CalculationError(source, f"expected a value in each column, got none for {', '.join(missing)}")
    structure = _parsed(row[columns.structure])
    atoms = _structure(structure, source)
    identifier = next((row[column] for column in _ID if row.get(column)), None)
    known = [("id", identifier), *((name, row.get(name)) for name in _GIVEN)]
    atoms.info = {key: str(text) for key, text in known if text}
    values = np.asarray(_parsed(row[columns.spectrum]), dtype=np.float64)
    try:
        axis = FixedAxis.through(_parsed(row[columns.axis]), unit)
    except ValueError as error:
        raise CalculationError(source, str(error)) from None
    return FixedSpectrum(atoms, axis, values, source, number, _fermi_energy(row, structure, source))


def _fermi_energy(row: Mapping[str, Any], structure: Any, source: str) -> float:
    """In eV; NaN if the row has none."""
    info = structure.get("info") if isinstance(structure, dict) else None
    for cells in (row, info or {}):
        for name in _FERMI_ENERGY:
            cell = cells.get(name)
            if cell is None or cell == "":
                continue
            try:
                value = float(cell)
            except (TypeError, ValueError):
                value = math.inf
            if math.isinf(value):
                raise CalculationError(source, f"expected a Fermi energy in eV as {name!r}, got {cell!r}")
            if not math.isnan(value):  # as pandas writes missing values
                return value
    return math.nan


def _parsed(cell: Any) -> Any:
    """Lists and dictionaries; texts that are neither JSON nor Python stay what they are."""
    if not isinstance(cell, str):
        return cell
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(cell)
        except (ValueError, SyntaxError):
            continue
    return cell


def _structure(content: Any, source: str) -> Atoms:
    if isinstance(content, str) and "_cell_length_a" in content:
        return ase.io.read(io.StringIO(content), format="cif")  # type: ignore[return-value]
    if isinstance(content, dict) and "lattice" in content and "sites" in content:
        return structure_from_pymatgen(content, source)
    if isinstance(content, dict) and "numbers" in content and "positions" in content:
        cell = content.get("cell")
        return Atoms(content["numbers"], content["positions"], cell=cell, pbc=content.get("pbc", cell is not None))
    raise CalculationError(
        source,
        "expected a structure: a dictionary of ASE (numbers, positions, cell, pbc) or pymatgen (lattice, sites), or "
        f"the text of a CIF file, got {str(content)[:60]!r}",
    )
