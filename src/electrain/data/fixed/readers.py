"""Readers of spectra: phonopy's total density of states, pymatgen's phonon densities of states, and tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from electrain.spectra.fixed_axis import FixedAxis
from electrain.structures.packed import is_packed, open_packed

from ..calculation import CalculationError, Rejected
from ..readers.common import reading
from ..readers.pymatgen_dos import structure_from_pymatgen
from ..readers.structure_beside import structure_beside
from .spectrum import FixedSpectrum
from .tables import Columns, csv_rows, json_rows, read_table

PHONOPY = "total_dos.dat"
OWN_UNIT = "THz"  # of phonopy and pymatgen
_LARGEST = 2**30  # bytes, all of which are kept in memory
# Files with the structure beside a density of states, the first one that exists.
_STRUCTURES = ("phonopy.yaml", "phonopy_disp.yaml", "PPOSCAR", "POSCAR", "POSCAR-unitcell", "structure.cif")


def is_spectrum(path: Path) -> bool:
    """Whether a file in a folder that is searched is a density of states of phonopy or pymatgen."""
    if path.name == PHONOPY:
        return True
    if not (path.with_suffix("") if is_packed(path) else path).name.endswith(".json"):
        return False
    with reading(str(path), "JSON"), open_packed(path, _LARGEST) as file:
        content = file.read()
    return all(f'"{name}"'.encode() in content for name in ("frequencies", "densities"))


def read_spectra(
    path: Path, name: str, first_row: int, *, unit: str | None, columns: Columns | None
) -> Iterator[FixedSpectrum | Rejected]:
    """Read all spectra of a file.

    :param path: the file.
    :param name: its name for messages.
    :param first_row: number of its first row among those of all sources.
    :param unit: unit of the axis in the file; phonopy and pymatgen have THz by default, a table must say it.
    :param columns: columns of a table; by default those with known names.
    :raises CalculationError: if the file as a whole cannot be read.
    """
    if path.name == PHONOPY:
        yield _read_phonopy(path, name, first_row, unit or OWN_UNIT)
        return
    with reading(name, "a table of spectra in CSV or JSON, or a phonon density of states"):
        with open_packed(path, _LARGEST) as file:
            content = file.read()
        parsed = json.loads(content) if content.lstrip()[:1] in (b"{", b"[") else None
        rows = csv_rows(content) if parsed is None else []
    if isinstance(parsed, dict) and columns is None and _is_list(parsed.get("frequencies")):
        yield _phonon_dos(parsed, path, name, first_row, unit or OWN_UNIT)
        return
    if unit is None:
        raise CalculationError(name, "expected the unit of the axis of a table, --source-unit, which files do not name")
    yield from read_table(rows if parsed is None else json_rows(parsed, name), name, first_row, unit, columns)


def _is_list(content: Any) -> bool:
    """Whether it is a list of numbers, not a column of them."""
    return isinstance(content, list) and not any(isinstance(entry, list) for entry in content)


def _phonon_dos(content: dict[str, Any], path: Path, name: str, row: int, unit: str) -> FixedSpectrum | Rejected:
    """Of pymatgen's ``CompletePhononDos``, or its ``PhononDos`` with a structure beside it."""
    try:
        with reading(name, "a phonon density of states of pymatgen"):
            structure = content.get("structure")
            atoms = (
                structure_beside(path, _STRUCTURES) if structure is None else structure_from_pymatgen(structure, name)
            )
            axis = FixedAxis.through(content["frequencies"], unit)
            return FixedSpectrum(atoms, axis, np.asarray(content["densities"], dtype=np.float64), name, row)
    except CalculationError as error:
        return Rejected(name, error.reason)


def _read_phonopy(path: Path, name: str, row: int, unit: str) -> FixedSpectrum | Rejected:
    """Columns of frequency and density; comments begin with ``#``."""
    try:
        with reading(name, "two columns, frequency and density of states"):
            frequencies, densities = np.loadtxt(path, ndmin=2).T[:2]
            return FixedSpectrum(
                structure_beside(path, _STRUCTURES), FixedAxis.through(frequencies, unit), densities, name, row
            )
    except CalculationError as error:
        return Rejected(name, error.reason)
