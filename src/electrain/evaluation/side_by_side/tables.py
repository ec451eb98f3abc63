"""Tables with a row for each model."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..summary import ALL, Summary
from ..tables import with_unit, write_csv


class Metric(NamedTuple):
    """A column of the tables: the name of its key in files, its name for readers, its unit, and decimals if fixed."""

    key: str
    label: str
    unit: str
    decimals: int | None = None


STRUCTURES = Metric("structures", "structures", "", 0)


class _HasSubset(Protocol):
    @property
    def subset(self) -> str: ...


def subsets_of(entries: Sequence[_HasSubset]) -> dict[str, NDArray[np.bool_]]:
    """Find the members of each subset, largest first, and of all structures if there is more than one subset."""
    names = np.array([entry.subset for entry in entries])
    sizes = Counter(names.tolist())
    found = {name: names == name for name in sorted(sizes, key=lambda name: (-sizes[name], name))}
    return {**(found if len(found) > 1 else {}), ALL: np.ones(len(entries), dtype=bool)}


def mean_of_known(values: NDArray[np.float64]) -> float:
    """Average the values that are not NaN; NaN if there are none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def text_table(summaries: Mapping[str, Summary], metrics: Sequence[Metric]) -> str:
    """Write the errors of all structures, with a row for each model.

    :param summaries: by name of the model or baseline.
    :param metrics: the columns.
    """
    heads = [with_unit(metric.label, metric.unit) for metric in metrics]
    rows = [summary[ALL] for summary in summaries.values()]
    columns = [_column([row[metric.key] for row in rows], metric) for metric in metrics]
    return _aligned([["", *summaries], *([head, *cells] for head, cells in zip(heads, columns, strict=True))])


def text_table_of_subsets(summaries: Mapping[str, Summary], subsets: Sequence[str], metrics: Sequence[Metric]) -> str:
    """Write some errors of each subset, with a row for each model.

    :param summaries: by name of the model or baseline; the numbers of structures are those of the first.
    :param subsets: names of the subsets.
    :param metrics: what is shown of each.
    """
    first = next(iter(summaries.values()))
    groups = [f"{name} ({first[name][STRUCTURES.key]:.0f})" for name in subsets]
    columns = [["", "", *summaries]]
    for subset, group in zip(subsets, groups, strict=True):
        for metric in metrics:
            cells = _column([summary[subset][metric.key] for summary in summaries.values()], metric)
            columns.append([group if metric is metrics[-1] else "", metric.label, *cells])
    return _aligned(columns)


def _column(values: Sequence[float], metric: Metric) -> list[str]:
    """Write numbers with equal decimals: the largest with four digits or more, the smallest with three or more."""
    sizes = [math.floor(math.log10(abs(value))) for value in values if math.isfinite(value) and value != 0]
    decimals = metric.decimals
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
