"""A self-contained HTML file: tables, figures, and a viewer of structures and densities of states."""

import base64
import html
from collections.abc import Mapping, Sequence
from importlib import resources
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any

from electrain.files.replacing import replacing
from electrain.interface.quantities import quantity_of

from .baselines import BASELINES
from .figures import NamedFigure
from .summary import ALL, Summary
from .tables import calibration_row, metric_of, number
from .typesetting import as_html
from .uncertainties import Calibration
from .viewer import as_script, chemiscope_library

_FOLDER = "report_page"
_NO_VIEWER = (
    "<p>Install chemiscope before making the report to see structures and their densities of states here: "
    "<code>pip install 'electrain[report]'</code>.</p>"
)
_NOTHING_TO_VIEW = "<p>Structures are shown with their densities of states, which this model does not predict.</p>"


def write_html(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    tables: Mapping[str, Summary],
    calibrations: Mapping[str, Calibration],
    figures: Sequence[NamedFigure],
    viewer: Mapping[str, Any] | None,
) -> None:
    """Write the report, which needs no network connection.

    :param path: file to write.
    :param title: title of the page.
    :param facts: what was evaluated and how, shown as a list.
    :param tables: heading -> name of the column -> key of the metric -> value.
    :param calibrations: errors and uncertainties, by quantity; may be empty.
    :param figures: figures with captions.
    :param viewer: result of :func:`~electrain.evaluation.viewer.viewer_data`, or ``None`` without densities of states.
    """
    library = chemiscope_library()
    nothing = _NO_VIEWER if library is None else _NOTHING_TO_VIEW
    page = Template(_part("page.html")).substitute(
        title=html.escape(title),
        style=_part("style.css"),
        facts="".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in facts.items()),
        tables="".join(_table(heading, columns) for heading, columns in tables.items()) + _calibrations(calibrations),
        figures="".join(map(_figure, figures)),
        viewer=nothing if library is None or viewer is None else _viewer(library, viewer),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _part(name: str) -> str:
    return (resources.files(__package__) / _FOLDER / name).read_text(encoding="utf-8")


def _table(heading: str, columns: Summary) -> str:
    keys = list(next(iter(columns.values())))
    classes = {name: "all" if name == ALL else "baseline" if name in BASELINES else "" for name in columns}
    head = "".join(f"<th class='{classes[name]}'>{html.escape(name)}</th>" for name in columns)
    rows = "".join(
        f"<tr><th>{_label(key)}</th>"
        + "".join(f"<td class='{classes[name]}'>{number(key, row[key])}</td>" for name, row in columns.items())
        + "</tr>"
        for key in keys
    )
    return f"<h3>{html.escape(heading)}</h3><div class='wide'><table><tr><th></th>{head}</tr>{rows}</table></div>"


def _label(key: str) -> str:
    metric = metric_of(key)
    unit = f" <span class='unit'>({as_html(metric.unit)})</span>" if metric.unit else ""
    return html.escape(metric.label) + unit


def _calibrations(calibrations: Mapping[str, Calibration]) -> str:
    if not calibrations:
        return ""
    names = (
        "structures",
        "error / uncertainty, root mean square",
        "within 1 (0.68)",
        "within 2 (0.95)",
        "rank correlation",
    )
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = ""
    for name, values in calibrations.items():
        numbers = (f"{value:.2f}" if isinstance(value, float) else value for value in calibration_row(values).values())
        cells = "".join(f"<td>{number}</td>" for number in numbers)
        rows += f"<tr><th>{html.escape(quantity_of(name).label)}</th>{cells}</tr>"
    note = "<p>In parentheses: values for Gaussian errors with the predicted standard deviations, whose ratio is 1.</p>"
    table = f"<table><tr><th></th>{head}</tr>{rows}</table>"
    return f"<h3>Uncertainties</h3><div class='wide'>{table}</div>{note}"


def _figure(item: NamedFigure) -> str:
    buffer = BytesIO()
    item.figure.savefig(buffer, format="png", dpi=130)
    image = base64.b64encode(buffer.getvalue()).decode("ascii")
    caption = html.escape(item.caption)
    return (
        f"<figure id='{item.name}'><img alt='{caption}' src='data:image/png;base64,{image}'>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _viewer(library: str, data: Mapping[str, Any]) -> str:
    return Template(_part("viewer.html")).substitute(library=library, data=as_script(data), script=_part("viewer.js"))
