"""The table of structures of an evaluation of bands."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain.data.bands.reading import BandsPart

from ..tables import with_unit, write_csv
from .errors import ERRORS, ComparedBands


def write_structures(
    path: Path,
    part: BandsPart,
    true_gaps: NDArray[np.float64],
    results: Mapping[str, ComparedBands],
    taken_from: Mapping[str, Sequence[str]],
) -> None:
    """Write a table with a row for each structure and model.

    :param true_gaps: in eV, 0 for a metal, NaN if unknown.
    :param results: by name of the model or baseline.
    :param taken_from: by name of a baseline, the training structure that the bands of each structure are taken from.
    """
    header = ["number", "id", "formula", "subset", "atoms", "model", "left out"]
    header += [*(with_unit(metric.key, metric.unit) for metric in ERRORS)]
    header += ["true gap (eV)", "predicted gap (eV)", "taken from"]

    def rows() -> Iterator[list[Any]]:
        for index, entry in enumerate(part.entries):
            for name, compared in results.items():
                row: list[Any] = [index, entry.name, entry.formula, entry.subset, entry.num_atoms, name]
                row += [compared.reasons[index], *(float(compared.errors[metric.key][index]) for metric in ERRORS)]
                row += [float(true_gaps[index]), float(compared.gaps[index])]
                yield [*row, taken_from[name][index] if name in taken_from else ""]

    write_csv(path, header, rows())
