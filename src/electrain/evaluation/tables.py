"""Tables of an evaluation as text, CSV and JSON."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from electrain.files.replacing import replacing
from electrain.interface.quantities import quantity_of

from .channel_errors import ChannelErrors
from .structure_errors import UNITS, StructureErrors
from .summary import METRICS, ErrorTable, Metric, Summary
from .uncertainties import Calibration


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 structure``, ``2 structures``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short_names(names: Sequence[str]) -> list[str]:
    """Names of models and files, with the folders of files if names are the same."""
    short = [Path(name).name for name in names]
    return short if len(set(short)) == len(short) else list(names)


def metric_of(key: str) -> Metric:
    """Find a metric by its key."""
    return next(metric for metric in METRICS if metric.key == key)


def metric_label(key: str) -> str:
    """Name and unit of a metric for readers."""
    metric = metric_of(key)
    return with_unit(metric.label, metric.unit)


def number(key: str, value: float) -> str:
    """Format a value of a metric for readers: three digits, or an integer for numbers of structures."""
    if not math.isfinite(value):
        return "-"
    if not metric_of(key).unit or value >= 100:
        return f"{value:.0f}"
    return f"{value:.1e}" if 0 < value < 1e-3 else f"{value:.3g}"


def text_table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Write a table with metrics as rows, and subsets (or models) as columns.

    :param columns: name of the column -> key of the metric -> value; all columns have the same metrics.
    """
    keys = list(next(iter(columns.values())))
    labels = {key: metric_label(key) for key in keys}
    left = max(map(len, labels.values()))
    widths = {name: max(len(name), 8) for name in columns}
    lines = [" " * left + "".join(f"  {name:>{widths[name]}}" for name in columns)]
    for key in keys:
        cells = (f"  {number(key, columns[name][key]):>{widths[name]}}" for name in columns)
        lines.append(f"{labels[key]:{left}}{''.join(cells)}")
    return "\n".join(lines)


def calibration_table(calibrations: Mapping[str, Calibration]) -> str:
    """Write a table that compares errors and predicted uncertainties, with a row for each quantity."""
    heads = ("structures", "ratio", "within 1", "within 2", "rank corr.")
    lines = [f"{'uncertainty of':40}" + "".join(f"  {head:>10}" for head in heads)]
    for name, values in calibrations.items():
        count, *numbers = calibration_row(values).values()
        lines.append(f"{quantity_of(name).label:40}  {count:10d}" + "".join(f"  {value:10.3g}" for value in numbers))
    return "\n".join(lines)


def calibration_row(values: Calibration) -> dict[str, Any]:
    """Numbers that tell whether uncertainties are calibrated; see :class:`Calibration`."""
    return {
        "structures": len(values.errors),
        "ratio": values.ratio,
        "within_1": values.within(1),
        "within_2": values.within(2),
        "rank_correlation": values.correlation,
    }


def write_summary(path: Path, summaries: Mapping[str, Summary]) -> None:
    """Write a table with a row for each subset of each summary, such as those of a model and of baselines.

    :param path: file to write.
    :param summaries: name -> summary; the metrics are those of the first.
    """
    keys = list(next(iter(next(iter(summaries.values())).values())))
    units = {metric.key: metric.unit for metric in METRICS}
    header = ["model", "subset", *(with_unit(key, units[key]) for key in keys)]
    rows = (
        [name, subset, *(row[key] for key in keys)]
        for name, summary in summaries.items()
        for subset, row in summary.items()
    )
    write_csv(path, header, rows)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, with ``null`` for unknown values."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_without_nan(content), indent=2) + "\n", encoding="utf-8")


def write_structures(path: Path, table: ErrorTable) -> None:
    """Write a table with a row for each structure; columns are those of :class:`StructureErrors`, with units."""
    numbers = (with_unit(name, UNITS.get(name, "")) for name in StructureErrors._fields)
    header = ("number", "id", "formula", "subset", "left out", "DOS error (eV^-1/2)", *numbers)
    rows = zip(table.entries, table.formulas(), table.reasons, table.dos_errors(), table.values.tolist(), strict=True)
    write_csv(
        path,
        header,
        (
            (index, entry.name, formula, entry.subset, reason, float(error), *values)
            for index, (entry, formula, reason, error, values) in enumerate(rows)
        ),
    )


def write_channels(path: Path, errors: ChannelErrors) -> None:
    """Write errors at each energy."""
    header = (
        *("energy from the Fermi level (eV)", "structures", "RMSE (states/eV)", "RMSE per atom (states/eV/atom)"),
        "true DOS per atom, root mean square (states/eV/atom)",
    )
    columns = (errors.energies, errors.num_structures, errors.rmse, errors.rmse_per_atom, errors.target_per_atom)
    write_csv(path, header, zip(*(column.tolist() for column in columns), strict=True))


def with_unit(name: str, unit: str) -> str:
    """Write a name with its unit, if it has one: ``MAE (eV)``."""
    return f"{name} ({unit})" if unit else name


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV, with empty cells for unknown values."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.8g}" if math.isfinite(value) else ""
    return value


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
