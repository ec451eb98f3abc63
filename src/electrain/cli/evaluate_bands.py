"""``electrain evaluate`` for data sets of bands."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .common import fail
from .evaluate_spectra import refuse_options_of_calculations

if TYPE_CHECKING:
    from electrain.evaluation.bands.report import BandsEvaluation


def evaluate_bands_and_show(
    context: typer.Context, dataset: Path, part: str, output: Path, models: Sequence[str], **settings: Any
) -> None:
    """Evaluate models of bands, show the tables, and write the report.

    :param context: the command, whose options for other data sets are refused.
    :param dataset: folder of the data set.
    :param part: part of it.
    :param output: folder of the report.
    :param models: files or names of the models.
    :param settings: see :func:`electrain.evaluation.bands.report.evaluate_bands`.
    """
    from electrain.data.bands.reading import BandsPart  # imports torch, which takes seconds
    from electrain.evaluation.bands.report import evaluate_bands, report_text, write_report

    def finish(evaluation: "BandsEvaluation") -> None:
        typer.echo(report_text(evaluation))
        write_report(evaluation, output, typer.echo)

    refuse_options_of_calculations(context, f"{dataset} has bands along paths of k-points")
    try:
        prepared = BandsPart(dataset, part)
        if not models:
            fail("expected a model of bands (-m model.pt); none comes with electrain")
        evaluate_bands(models, prepared, output, finish=finish, **settings)
    except (ValueError, OSError) as error:
        fail(error)
