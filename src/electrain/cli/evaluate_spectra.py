"""``electrain evaluate`` for data sets of spectra on a fixed axis."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .common import fail

if TYPE_CHECKING:
    from electrain.evaluation.fixed.report import SpectraEvaluation

_OF_CALCULATIONS = ("network_baseline", "rotations", "training_sizes")


def refuse_options_of_calculations(context: typer.Context, what: str) -> None:
    """End with an error if an option was given that only data sets of calculations have.

    :param context: the command.
    :param what: what the data set has instead.
    """
    for name in _OF_CALCULATIONS:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            fail(f"--{name.replace('_', '-')} is an option of data sets of calculations, but {what}")


def evaluate_spectra_and_show(
    context: typer.Context, dataset: Path, part: str, output: Path, models: Sequence[str], **settings: Any
) -> None:
    """Evaluate models of spectra, show the tables, and write the report.

    :param context: the command, whose options for other data sets are refused.
    :param dataset: folder of the data set.
    :param part: part of it.
    :param output: folder of the report.
    :param models: files or names of the models.
    :param settings: see :func:`electrain.evaluation.fixed.report.evaluate_spectra`.
    """
    from electrain.data.fixed.reading import SpectraPart  # imports torch, which takes seconds
    from electrain.evaluation.fixed.report import evaluate_spectra, report_text, write_report

    def finish(evaluation: "SpectraEvaluation") -> None:
        typer.echo(report_text(evaluation))
        write_report(evaluation, output, typer.echo)

    refuse_options_of_calculations(context, f"{dataset} has spectra on a fixed axis")
    try:
        prepared = SpectraPart(dataset, part)
        if not models:
            fail(f"expected a model of {prepared.target} (-m model.pt); none comes with electrain")
        evaluate_spectra(models, prepared, output, finish=finish, **settings)
    except (ValueError, OSError) as error:
        fail(error)
