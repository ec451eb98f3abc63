"""The whole evaluation: predict, summarise, draw, write."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from electrain import __version__
from electrain.data.reading import PreparedPart
from electrain.files.replacing import replacing
from electrain.pretrained import locate

from .baselines import (
    CONSTANT_PER_ELEMENT,
    check_network_baseline,
    describe_baselines,
    evaluate_baselines,
    evaluate_network_baseline,
    for_same_structures,
    training_part,
)
from .channel_errors import ChannelErrors, channel_errors
from .chunk_files import check_inputs, chosen_for_rotation, evaluate_part, open_folder, read_spectra
from .distribution_figures import error_distribution, errors_by_element
from .evaluated_ensemble import EvaluatedEnsemble, check_ensemble
from .evaluated_model import EvaluatedModel
from .figure_files import write_figures
from .figures import NamedFigure, calibration_figure, errors_by_energy, errors_by_subset, learning_curve
from .html_report import write_html
from .parity import energy_parity, fermi_level_parity, gap_parity
from .summary import ALL, ErrorTable, Summary, summarise
from .tables import (
    calibration_row,
    calibration_table,
    counted,
    metric_label,
    short_names,
    text_table,
    write_channels,
    write_json,
    write_structures,
    write_summary,
)
from .uncertainties import calibrations
from .viewer import chemiscope_library, viewer_data


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """Results of one model.

    :param source: its file or name, or those of all members of an ensemble.
    :param name: its name in tables and figures.
    :param files: files of its predictions.
    :param table: numbers of all structures.
    :param summary: errors of all subsets.
    :param channels: errors at each energy, ``None`` without densities of states.
    """

    source: str
    name: str
    files: list[Path]
    table: ErrorTable
    summary: Summary
    channels: ChannelErrors | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of all models on one part of a data set.

    :param part: the part.
    :param models: the report is about the first model; further ones are compared with it.
    :param training_sizes: numbers of training structures of the models, empty if unknown.
    :param baselines: numbers of trivial predictions for the structures that the first model can compute, by name; empty
        if the data set has no training part.
    :param num_training: number of structures that the baselines were fitted to.
    """

    part: PreparedPart
    models: list[ModelEvaluation]
    training_sizes: list[int]
    baselines: dict[str, ErrorTable]
    num_training: int

    def baseline_summaries(self) -> dict[str, Summary]:
        """Errors of the baselines, of the quantities that the first model predicts."""
        keys = self.models[0].summary[ALL]
        summaries = {name: summarise(table) for name, table in self.baselines.items()}
        return {
            name: {subset: {key: row.get(key, np.nan) for key in keys} for subset, row in summary.items()}
            for name, summary in summaries.items()
        }


def evaluate_models(
    models: Sequence[str | Path],
    part: PreparedPart,
    report: Path,
    *,
    num_rotated: int,
    ensemble: bool = False,
    network_baseline: bool = False,
    training_sizes: Sequence[int] = (),
    device: str | None = None,
    batch_size: int = 256,
    matmul_precision: str = "highest",
    extensions_directory: Path | None = None,
    overwrite: bool = False,
    finish: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """Predict a part of a data set with one or several models, and compare predictions and targets.

    Predictions are stored in ``report/predictions``, one file for every 64 structures, so that an interrupted
    evaluation can continue.

    :param models: exported ``.pt`` files, or names of models (:func:`electrain.pretrained.known_models`).
    :param part: part of a data set written by ``electrain prepare``.
    :param report: folder to write to; new or empty, or with an evaluation of the same data set.
    :param num_rotated: number of structures in each subset for which the rotational discrepancy is computed.
    :param ensemble: also evaluate the average of all models, as the first model of the report.
    :param network_baseline: also train a small network on the training set, as a baseline.
    :param training_sizes: number of training structures of each model, for learning curves, not for an ensemble.
    :param device: as for :class:`~electrain.calculators.ElectronicStructureModel`.
    :param batch_size: maximum number of atoms per batch.
    :param matmul_precision: as for the same class.
    :param extensions_directory: as for the same class.
    :param overwrite: replace the evaluation of another data set or with other settings.
    :param finish: called with the results while the folder is still locked, such as :func:`write_report`.
    :raises ValueError: if a model does not match the data set, or can compute none of the structures, if the report
        would replace the data set or a model, or if the network cannot be trained.
    :raises BlockingIOError: if another process is working in the folder.
    :raises FileExistsError: if the folder contains other files.
    """
    check_sizes(training_sizes, len(models))
    if ensemble:
        check_ensemble(models, training_sizes)
    located = [locate(model) for model in models]
    check_inputs([part.folder, *(model.path for model in located)], report)
    tested = [
        EvaluatedModel(
            model,
            part,
            device,
            batch_size=batch_size,
            matmul_precision=matmul_precision,
            extensions_directory=extensions_directory,
        )
        for model in located
    ]
    names = short_names([model.name for model in located])
    candidates = [([place], name, model) for place, name, model in zip(located, names, tested, strict=True)]
    if ensemble:
        candidates.insert(0, (located, f"ensemble of {len(models)}", EvaluatedEnsemble(tested)))
    rotate = chosen_for_rotation(part.entries, num_rotated)
    train, with_spectra = training_part(part), tested[0].electronic is not None
    if network_baseline:
        check_network_baseline(part, train, located[0].name, with_spectra=with_spectra)
    found = []
    with open_folder(report, part, num_rotated, overwrite=overwrite) as job:
        for members, name, model in candidates:
            files = evaluate_part(model, name, [member.path for member in members], part, job, rotate)
            table = ErrorTable.read(part.entries, files)
            source = ", ".join(member.name for member in members)
            if all(table.reasons):
                raise ValueError(f"{source} can compute none of the structures in {part.path}: {table.reasons[0]}")
            found.append(ModelEvaluation(source, name, files, table, summarise(table), channel_errors(files, part)))
        baselines = {}
        if train is not None:
            baselines = evaluate_baselines(part, train, job, with_spectra=with_spectra)
            if network_baseline:
                baselines |= evaluate_network_baseline(part, train, job)
        evaluation = Evaluation(
            part,
            found,
            list(training_sizes),
            {name: for_same_structures(table, found[0].table) for name, table in baselines.items()},
            0 if train is None else len(train),
        )
        if finish is not None:
            finish(evaluation)
    return evaluation


def check_sizes(training_sizes: Sequence[int], num_models: int) -> None:
    """Raise a ``ValueError`` unless there is a number of training structures for each model, or none at all."""
    if training_sizes and len(training_sizes) != num_models:
        raise ValueError(
            f"expected a number of training structures for {counted(num_models, 'model')}, got {len(training_sizes)}"
        )
    if any(size < 1 for size in training_sizes):
        raise ValueError(f"expected positive numbers of training structures, got {list(training_sizes)}")


def left_out(table: ErrorTable) -> dict[str, int]:
    """Count the structures that were left out for each reason."""
    return dict(Counter(reason for reason in table.reasons if reason).most_common())


def data_set_name(part: PreparedPart) -> str:
    """Name of a part of a data set for titles: that of the folder, and of the part."""
    return f"{part.folder.resolve().name} ({part.part} set)"


def report_tables(evaluation: Evaluation) -> dict[str, Summary]:
    """Return tables by heading: errors of subsets and, for several models, errors of all structures by model.

    The last columns are those of the baselines, for all structures.
    """
    first = evaluation.models[0]
    baselines = {name: summary[ALL] for name, summary in evaluation.baseline_summaries().items()}
    tables = {f"Errors of {first.name}": {**first.summary, **baselines}}
    if len(evaluation.models) > 1:
        keys = [key for key in first.summary[ALL] if all(key in model.summary[ALL] for model in evaluation.models)]
        columns = {model.name: model.summary[ALL] for model in evaluation.models} | baselines
        tables["All structures, by model"] = {
            name: {key: column[key] for key in keys} for name, column in columns.items()
        }
    return tables


def report_figures(evaluation: Evaluation) -> list[NamedFigure]:
    """Draw all figures for which there are data."""
    first = evaluation.models[0]
    energies = evaluation.part.axis.target_grid.energies().numpy()
    channels = {model.name: model.channels for model in evaluation.models if model.channels is not None}
    baselines = evaluation.baseline_summaries()
    figures = [
        errors_by_subset(first.summary, baselines),
        error_distribution(first.table, energies, lambda index: read_spectra(first.files, index)),
        gap_parity(first.table),
        fermi_level_parity(first.table),
        energy_parity(first.table, first.files, evaluation.baselines.get(CONSTANT_PER_ELEMENT)),
        errors_by_energy(channels) if channels else None,
        errors_by_element(first.table),
        calibration_figure(calibrations(first.table)),
    ]
    if len(evaluation.training_sizes) > 1:
        summaries = [model.summary for model in evaluation.models]
        figures.append(learning_curve(evaluation.training_sizes, summaries, baselines))
    return [figure for figure in figures if figure is not None]


def report_text(evaluation: Evaluation) -> str:
    """Return the text of ``summary.txt``."""
    facts = "\n".join(f"{name}: {value}" for name, value in _facts(evaluation).items())
    blocks = [facts, *(f"{heading}\n\n{text_table(rows)}" for heading, rows in report_tables(evaluation).items())]
    uncertain = calibrations(evaluation.models[0].table)
    if uncertain:
        blocks.append(calibration_table(uncertain))
    return "\n\n".join(blocks) + "\n"


def write_report(evaluation: Evaluation, folder: Path, say: Callable[[str], None]) -> None:
    """Write tables, figures and the HTML report.

    :param evaluation: results of one or several models.
    :param folder: folder that contains the predictions.
    :param say: function that shows a line to the user.
    """
    first = evaluation.models[0]
    uncertain = calibrations(first.table)
    with replacing(folder / "summary.txt") as temporary:
        temporary.write_text(report_text(evaluation), encoding="utf-8")
    write_summary(folder / "summary.csv", {first.name: first.summary, **evaluation.baseline_summaries()})
    write_json(folder / "summary.json", _json(evaluation))
    write_structures(folder / "structures.csv", first.table)
    if first.channels is not None:
        write_channels(folder / "error_by_energy.csv", first.channels)
    say(f"wrote {folder}/summary.txt, .csv, .json, structures.csv")
    figures = report_figures(evaluation)
    write_figures(folder, figures, say)
    has_viewer = chemiscope_library() is not None and np.isfinite(first.table.dos_errors()).any()
    write_html(
        folder / "report.html",
        title=f"{first.name} on {data_set_name(evaluation.part)}",
        facts=_facts(evaluation),
        tables=report_tables(evaluation),
        calibrations=uncertain,
        figures=figures,
        viewer=viewer_data(evaluation.part, first.table, first.files, data_set_name(evaluation.part))
        if has_viewer
        else None,
    )
    say(f"wrote {folder}/report.html")


def _facts(evaluation: Evaluation) -> dict[str, str]:
    part, first = evaluation.part, evaluation.models[0]
    facts = {
        "model": first.source,
        "data set": f"{part.folder}, part {part.part}, {counted(len(part), 'structure')}",
        "energy axis": f"{part.axis.grid}, relative to the Fermi level; smearing {part.axis.smearing:g} eV",
        "baselines": describe_baselines(list(evaluation.baselines), evaluation.num_training),
        "electrain": __version__,
    }
    for reason, count in left_out(first.table).items():
        facts[f"left out, {counted(count, 'structure')}"] = reason
    return facts


def _json(evaluation: Evaluation) -> dict[str, Any]:
    first = evaluation.models[0]
    names = first.summary[ALL]
    return {
        "electrain": __version__,
        "dataset": str(evaluation.part.folder),
        "part": evaluation.part.part,
        "baselines": evaluation.baseline_summaries(),
        "labels": {key: metric_label(key) for key in names},
        "models": [
            {
                "model": model.source,
                "training_structures": evaluation.training_sizes[index] if evaluation.training_sizes else None,
                "left_out": left_out(model.table),
                "subsets": model.summary,
                "uncertainties": {key: calibration_row(item) for key, item in calibrations(model.table).items()},
            }
            for index, model in enumerate(evaluation.models)
        ],
    }
