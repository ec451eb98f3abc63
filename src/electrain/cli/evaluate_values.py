"""``electrain evaluate`` for data sets of spectra on a fixed axis, and of bands."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from .common import fail

_OF_CALCULATIONS = ("network_baseline", "rotations", "training_sizes")


class _Kind(NamedTuple):
    """A kind of data sets, and how its models are evaluated."""

    what: str
    applies: Callable[[Path], bool]
    read: Callable[[Path, str], Any]
    evaluate: Callable[..., Any]
    report: Any  # the module, with `report_text` and `write_report`


def evaluate_values(
    context: typer.Context, dataset: Path, part: str, output: Path, models: Sequence[str], **settings: Any
) -> bool:
    """Evaluate models of spectra or bands, show the tables, and write the report.

    :param context: the command, whose options for other data sets are refused.
    :param dataset: folder of the data set.
    :param part: part of it.
    :param output: folder of the report.
    :param models: files or names of the models.
    :param settings: as for :func:`electrain.evaluation.fixed.report.evaluate_spectra`.
    :return: whether the data set is one of these; if not, nothing has been done.
    :raises ValueError: as for the same function.
    :raises OSError: if a file cannot be read or written.
    """
    kind = next((kind for kind in _kinds() if kind.applies(dataset)), None)
    if kind is None:
        return False
    for name in _OF_CALCULATIONS:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            fail(f"--{name.replace('_', '-')} is an option of data sets of calculations, but {dataset} has {kind.what}")
    prepared = kind.read(dataset, part)
    if not models:
        fail(f"expected a model of {prepared.target} (-m model.pt); none comes with electrain")

    def finish(evaluation: Any) -> None:
        typer.echo(kind.report.report_text(evaluation))
        kind.report.write_report(evaluation, output, typer.echo)

    kind.evaluate(models, prepared, output, finish=finish, **settings)
    return True


def _kinds() -> list[_Kind]:
    from electrain.data.bands.reading import BandsPart, has_bands  # imports torch, which takes seconds
    from electrain.data.fixed.reading import SpectraPart, has_fixed_axis
    from electrain.evaluation.bands import report as bands
    from electrain.evaluation.fixed import report as spectra

    return [
        _Kind("spectra on a fixed axis", has_fixed_axis, SpectraPart, spectra.evaluate_spectra, spectra),
        _Kind("bands along paths of k-points", has_bands, BandsPart, bands.evaluate_bands, bands),
    ]
