"""The whole evaluation of spectra on a fixed axis: predict, compare, draw, write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain import __version__
from electrain.data.fixed.reading import SpectraPart
from electrain.files.replacing import replacing
from electrain.interface.quantities import quantity_of
from electrain.jobs.folder import JobFolder

from ..figure_files import write_figures
from ..figures import NamedFigure
from ..side_by_side.facts import as_json, facts_of_left_out
from ..side_by_side.parts import other_part
from ..side_by_side.predictions import Predictions, in_all, predict_with_all
from ..side_by_side.tables import Metric, text_table, text_table_of_subsets, write_summary
from ..summary import ALL, Summary
from ..tables import counted, with_unit, write_json
from .baselines import baseline_spectra
from .errors import TRUE_FERMI_ENERGY, ComparedSpectra, compare, metrics_of, summarise
from .fermi_energy import FermiEnergyNetwork, knows_fermi_energies, trained_network
from .figures import quartile_examples, rmse_distribution
from .models import open_spectrum_model
from .tables import write_structures

_IN_SUBSETS = ("rmse", "mae")


@dataclass(frozen=True, eq=False)
class SpectraEvaluation:
    """Results of all models on one part of a data set.

    :param part: the part.
    :param sources: name of each model in tables and figures -> its file or name, or those of all members of an
        ensemble.
    :param models: results by name of the model; examples are chosen by the errors of the first one.
    :param baselines: the same of trivial predictions; empty if the data set has no training part.
    :param num_training: number of structures that the baselines were fitted to.
    :param counted: which structures are compared, those that all models can compute.
    :param metrics: columns of the tables.
    :param summaries: errors over these structures by name of the model or baseline; a baseline may predict fewer.
    """

    part: SpectraPart
    sources: dict[str, str]
    models: dict[str, ComparedSpectra]
    baselines: dict[str, ComparedSpectra]
    num_training: int
    counted: NDArray[np.bool_]
    metrics: list[Metric]
    summaries: dict[str, Summary]


def evaluate_spectra(
    models: Sequence[str | Path],
    part: SpectraPart,
    report: Path,
    *,
    ensemble: bool = False,
    device: str | None = None,
    batch_size: int = 256,
    matmul_precision: str = "highest",
    extensions_directory: Path | None = None,
    overwrite: bool = False,
    finish: Callable[[SpectraEvaluation], None] | None = None,
) -> SpectraEvaluation:
    """Predict a part of a data set of spectra with one or several models, and compare predictions and targets.

    Predictions are stored in ``report/predictions``, so that an interrupted evaluation can continue.

    :param models: exported ``.pt`` files, or names of models (:func:`electrain.pretrained.known_models`).
    :param part: part of a data set written by ``electrain prepare --spectra``.
    :param report: folder to write to; new or empty, or with an evaluation of the same data set.
    :param ensemble: also evaluate the mean of all models, as the first model of the report.
    :param device: as for :class:`~electrain.calculators.SpectrumModel`.
    :param batch_size: maximum number of atoms per batch.
    :param matmul_precision: as for the same class.
    :param extensions_directory: as for the same class.
    :param overwrite: replace the evaluation of another data set.
    :param finish: called with the results while the folder is still locked, such as :func:`write_report`.
    :raises ValueError: if a model does not match the data set, if no structure can be computed by all models, or if the
        report would replace the data set or a model.
    :raises BlockingIOError: if another process is working in the folder.
    :raises FileExistsError: if the folder contains other files.
    """
    open_model = partial(
        open_spectrum_model,
        part=part,
        device=device,
        batch_size=batch_size,
        matmul_precision=matmul_precision,
        extensions_directory=extensions_directory,
    )
    train, validation = other_part(part, "train"), other_part(part, "validation")
    with predict_with_all(
        models,
        part,
        part.structures,
        report,
        what="spectra",
        open_model=open_model,
        ensemble=ensemble,
        overwrite=overwrite,
    ) as predictions:
        network = None if train is None else _network(train, validation or train, part, predictions.job)
        evaluation = _evaluation(part, predictions.sources, predictions.found, train, network)
        if finish is not None:
            finish(evaluation)
    return evaluation


def _network(
    train: SpectraPart, validation: SpectraPart, part: SpectraPart, job: JobFolder
) -> FermiEnergyNetwork | None:
    """The network for Fermi energies, if all of the parts have some."""
    if not all(map(knows_fermi_energies, (train, validation, part))):
        return None
    return trained_network(train, validation, job)


def _evaluation(
    part: SpectraPart,
    sources: dict[str, str],
    found: Mapping[str, Predictions],
    train: SpectraPart | None,
    network: FermiEnergyNetwork | None,
) -> SpectraEvaluation:
    def compared(predictions: Any) -> ComparedSpectra:
        levels = None if network is None else network.predict(part, predictions.predicted)
        return compare(part, predictions.predicted, predictions.reasons, levels)

    models = {name: compared(predictions) for name, predictions in found.items()}
    common = in_all(models, sources, part.path)
    baselines = {} if train is None else {name: compared(b) for name, b in baseline_spectra(train, part).items()}
    true_levels = None if network is None else network.predict(part, part.spectra)
    return SpectraEvaluation(
        part,
        sources,
        models,
        baselines,
        0 if train is None else len(train),
        common,
        metrics_of(part, with_fermi_energies=network is not None),
        {name: summarise(part, item, common, true_levels) for name, item in {**models, **baselines}.items()},
    )


def report_text(evaluation: SpectraEvaluation) -> str:
    """Return the text of ``summary.txt``."""
    facts = "\n".join(f"{name}: {value}" for name, value in _facts(evaluation).items())
    blocks = [facts, f"All structures\n\n{text_table(evaluation.summaries, evaluation.metrics)}"]
    if len(next(iter(evaluation.summaries.values()))) > 1:
        unit = next(metric.unit for metric in evaluation.metrics if metric.key == "rmse")
        subsets = [name for name in next(iter(evaluation.summaries.values())) if name != ALL]
        shown = [metric for metric in evaluation.metrics if metric.key in _IN_SUBSETS]
        table = text_table_of_subsets(evaluation.summaries, subsets, shown)
        blocks.append(f"{with_unit('Subsets, with their numbers of structures', unit)}\n\n{table}")
    return "\n\n".join(blocks) + "\n"


def write_report(evaluation: SpectraEvaluation, folder: Path, say: Callable[[str], None]) -> None:
    """Write tables and figures.

    :param evaluation: results of one or several models.
    :param folder: folder that contains the predictions.
    :param say: function that shows a line to the user.
    """
    with replacing(folder / "summary.txt") as temporary:
        temporary.write_text(report_text(evaluation), encoding="utf-8")
    write_summary(folder / "summary.csv", evaluation.summaries, evaluation.metrics)
    write_json(folder / "summary.json", _json(evaluation))
    write_structures(folder / "structures.csv", evaluation.part, {**evaluation.models, **evaluation.baselines})
    say(f"wrote {folder}/summary.txt, .csv, .json, structures.csv")
    figures = report_figures(evaluation)
    write_figures(folder, figures, say)


def report_figures(evaluation: SpectraEvaluation) -> list[NamedFigure]:
    """Draw all figures for which there are data."""
    figures = [
        rmse_distribution(evaluation.part, evaluation.models, evaluation.baselines, evaluation.counted),
        quartile_examples(evaluation.part, evaluation.models, evaluation.counted),
    ]
    return [figure for figure in figures if figure is not None]


def _facts(evaluation: SpectraEvaluation) -> dict[str, str]:
    part = evaluation.part
    quantity = quantity_of(part.target)
    of_what = "normalised spectra" if quantity.intensive else "spectra per atom"
    relative = "" if quantity.fixed_axis == "frequency" else ", relative to the Fermi level"
    structures = counted(evaluation.num_training, "training structure")
    facts = {
        "data set": f"{part.folder}, part {part.part}, {counted(len(part), 'structure')}",
        "spectra": f"{part.target}, {part.axis}{relative}",
        "errors": f"means over structures of those of each, of {of_what}; WD is the Wasserstein distance",
        "baselines": f"fitted to the {structures}"
        if evaluation.baselines
        else "none, because there is no training part",
    }
    if any(metric.key == TRUE_FERMI_ENERGY for metric in evaluation.metrics):
        facts["Fermi energies"] = (
            f"root mean square errors of a network of four layers, trained on true spectra ({structures}), from "
            "predicted and from true spectra"
        )
    facts["electrain"] = __version__
    return facts | facts_of_left_out(evaluation.models)


def _json(evaluation: SpectraEvaluation) -> dict[str, Any]:
    part = evaluation.part
    return {
        "electrain": __version__,
        "dataset": str(part.folder),
        "part": part.part,
        "target": part.target,
        "axis": part.axis.to_dict(),
        **as_json(
            evaluation.sources,
            evaluation.models,
            list(evaluation.baselines),
            evaluation.summaries,
            evaluation.metrics,
        ),
    }
