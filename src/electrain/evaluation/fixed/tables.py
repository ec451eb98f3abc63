"""The table of structures of an evaluation of spectra on a fixed axis."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from electrain.data.fixed.reading import SpectraPart

from ..tables import with_unit, write_csv
from .errors import ComparedSpectra, errors_of_structures


def write_structures(path: Path, part: SpectraPart, results: Mapping[str, ComparedSpectra]) -> None:
    """Write a table with a row for each structure and model."""
    metrics = errors_of_structures(part)
    has_levels = any(compared.fermi_energies is not None for compared in results.values())
    levels = ["Fermi energy (eV)", "predicted Fermi energy (eV)"] if has_levels else []
    header = ["number", "id", "formula", "subset", "atoms", "model", "left out"]
    header += [*(with_unit(metric.key, metric.unit) for metric in metrics), *levels]
    write_csv(path, header, _rows_of_structures(part, results, has_levels=has_levels))


def _rows_of_structures(
    part: SpectraPart, results: Mapping[str, ComparedSpectra], *, has_levels: bool
) -> Iterator[list[Any]]:
    for index, entry in enumerate(part.entries):
        for name, compared in results.items():
            row: list[Any] = [index, entry.name, entry.formula, entry.subset, entry.num_atoms, name]
            row += [compared.reasons[index], *(float(values[index]) for values in compared.errors.values())]
            if has_levels:
                levels = compared.fermi_energies
                row += [float(part.fermi_energies[index]), np.nan if levels is None else float(levels[index])]
            yield row
