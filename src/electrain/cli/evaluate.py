"""``electrain evaluate``: errors of models on a data set, with tables, figures and a report."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import (
    BatchSize,
    Device,
    Extensions,
    MatmulPrecision,
    check_device,
    checking_usage,
    chosen_models,
    fail,
    show_unread_inputs,
)
from .evaluate_values import evaluate_values


class Part(StrEnum):
    """Parts of a data set."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


def evaluate(
    context: typer.Context,
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder written by `electrain prepare`.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the report.")],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Exported model (.pt), or the name of a model, see `electrain models`; default: the model that comes "
            "with electrain. The report is about the first model; further ones are compared with it.",
            show_default=False,
        ),
    ] = None,
    ensemble: Annotated[
        bool,
        typer.Option("--ensemble", help="Also evaluate the average of all models; the report is then about it."),
    ] = False,
    network_baseline: Annotated[
        bool,
        typer.Option(
            "--network-baseline",
            help="Compare also with a small network, trained on the training part (a minute for 1,700 structures).",
        ),
    ] = False,
    part: Annotated[Part, typer.Option(help="Part of the data set.")] = Part.TEST,
    rotations: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Compute the rotational discrepancy of N structures per subset (38 predictions for each).",
        ),
    ] = 5,
    training_sizes: Annotated[
        str,
        typer.Option(metavar="N,N,...", help="Number of training structures of each model, for learning curves."),
    ] = "",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace an evaluation of another data set or with other settings in the folder."
        ),
    ] = False,
    device: Device = None,
    batch_size: BatchSize = 256,
    matmul_precision: MatmulPrecision = "highest",
    extensions: Extensions = None,
) -> None:
    """Evaluate a model on part of a data set: densities of states, gaps, Fermi levels, energies, forces, stresses.

    Writes tables (text, CSV, JSON), figures (PNG, PDF) and report.html, which needs no network connection. Predictions
    are stored, so an interrupted run can be continued and further models can be added.

    Of a data set made with `electrain prepare --spectra` or `--bands`, the spectra or bands are compared in one table
    with a row for each model; there is no report.html.

    Example:  electrain evaluate data -m model.pt -o report
    """
    from electrain.data.reading import PreparedPart  # imports torch, which takes seconds
    from electrain.evaluation.evaluated_ensemble import check_ensemble
    from electrain.evaluation.report import (
        Evaluation,
        check_sizes,
        evaluate_models,
        report_text,
        write_report,
    )

    def finish(evaluation: Evaluation) -> None:
        typer.echo(report_text(evaluation))
        write_report(evaluation, output, typer.echo)

    check_device(device, matmul_precision)
    with checking_usage():
        sizes = _read_sizes(training_sizes)
        check_sizes(sizes, len(models or [None]))
        if ensemble:
            check_ensemble(models or [], sizes)
    show_unread_inputs()
    settings: dict[str, Any] = {
        "ensemble": ensemble,
        "device": device,
        "batch_size": batch_size,
        "matmul_precision": matmul_precision,
        "extensions_directory": extensions,
        "overwrite": overwrite,
    }
    try:
        if evaluate_values(context, dataset, part.value, output, models or [], **settings):
            return
        evaluate_models(
            chosen_models(models),
            PreparedPart(dataset, part.value),
            output,
            num_rotated=rotations,
            network_baseline=network_baseline,
            training_sizes=sizes,
            finish=finish,
            **settings,
        )
    except (ValueError, OSError) as error:
        fail(error)


def _read_sizes(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")] if text else []
    except ValueError:
        raise ValueError(f"expected numbers of training structures such as 100,200,400, got {text!r}") from None
