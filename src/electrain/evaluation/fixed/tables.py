"""Tables of the evaluation of spectra on a fixed axis: a row for each model."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from electrain.data.fixed.reading import SpectraPart

from ..summary import ALL, Summary
from ..tables import with_unit, write_csv
from .errors import ComparedSpectra, Metric, errors_of_structures

_IN_SUBSETS = ("rmse", "mae")


def text_table(summaries: Mapping[str, Summary], metrics: Sequence[Metric]) -> str:
    """Write the errors of all structures, with a row for each model.

    :param summaries: by name of the model or baseline.
    :param metrics: the columns.
    """
    heads = [with_unit(metric.label, metric.unit) for metric in metrics]
    rows = [summary[ALL] for summary in summaries.values()]
    columns = [_column([row[metric.key] for row in rows], metric) for metric in metrics]
    return _aligned([["", *summaries], *([head, *cells] for head, cells in zip(heads, columns, strict=True))])


def text_table_of_subsets(summaries: Mapping[str, Summary], metrics: Sequence[Metric]) -> str:
    """Write RMSE and MAE of each subset, with a row for each model.

    :param summaries: by name of the model or baseline; the numbers of structures are those of the first.
    :param metrics: metrics of the data set.
    """
    shown = [metric for metric in metrics if metric.key in _IN_SUBSETS]
    first = next(iter(summaries.values()))
    subsets = [name for name in first if name != ALL]
    groups = [f"{name} ({first[name]['structures']:.0f})" for name in subsets]
    columns = [["", "", *summaries]]
    for subset, group in zip(subsets, groups, strict=True):
        for metric in shown:
            cells = _column([summary[subset][metric.key] for summary in summaries.values()], metric)
            columns.append([group if metric is shown[-1] else "", metric.label, *cells])
    return _aligned(columns)


def _column(values: Sequence[float], metric: Metric) -> list[str]:
    """Write numbers with equal decimals: the largest with four digits or more, the smallest with three or more."""
    sizes = [math.floor(math.log10(abs(value))) for value in values if math.isfinite(value) and value != 0]
    decimals = {"structures": 0, "r2": 4}.get(metric.key)
    if decimals is None:
        decimals = max(0, 3 - max(sizes), 2 - min(sizes)) if sizes else 1
    return [f"{value:.{decimals}f}" if math.isfinite(value) else "-" for value in values]


def _aligned(columns: list[list[str]]) -> str:
    """Lines with the first column to the left, and the others to the right."""
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    lines = ("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def write_summary(path: Path, summaries: Mapping[str, Summary], metrics: Sequence[Metric]) -> None:
    """Write a table with a row for each subset of each model."""
    header = ["model", "subset", *(with_unit(metric.key, metric.unit) for metric in metrics)]
    write_csv(
        path,
        header,
        (
            [name, subset, *(row[metric.key] for metric in metrics)]
            for name, summary in summaries.items()
            for subset, row in summary.items()
        ),
    )


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
                row += [entry.fermi_energy, np.nan if levels is None else float(levels[index])]
            yield row
