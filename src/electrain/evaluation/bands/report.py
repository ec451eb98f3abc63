"""The whole evaluation of bands: predict, compare, draw, write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain import __version__
from electrain.data.bands.reading import BandsPart
from electrain.files.replacing import replacing
from electrain.interface.manifests import bands_to_manifest

from ..figure_files import write_figures
from ..figures import NamedFigure
from ..side_by_side.facts import as_json, facts_of_left_out
from ..side_by_side.parts import other_part
from ..side_by_side.predictions import Predictions, in_all, predict_with_all
from ..side_by_side.tables import Metric, text_table, text_table_of_subsets, write_summary
from ..summary import ALL, Summary
from ..tables import counted, write_json
from .baselines import NEAREST_COMPOUND, baseline_bands
from .errors import ERRORS, METALS, METRICS, NON_METALS, ComparedBands, compare, gaps_of, summarise
from .figures import band_parity, energy_distribution, error_violins, quintile_examples
from .models import open_band_model, paths_of
from .prototypes import Nearest
from .tables import write_structures

_OF_KINDS = ("center", "dispersion", "energy")
_OF_SUBSETS = ("energy", "gap")  # gaps if there are any


@dataclass(frozen=True, eq=False)
class BandsEvaluation:
    """Results of all models on one part of a data set.

    :param part: the part.
    :param true_gaps: of its bands, in eV, 0 for a metal, NaN if unknown, shape ``(num_structures,)``.
    :param sources: name of each model in tables and figures -> its file or name, or those of all members of an
        ensemble.
    :param models: results by name of the model; examples are chosen by the errors of the first one.
    :param baselines: the same of bands taken from the training set; empty if the data set has no training part.
    :param nearest: the nearest training compound of each structure; ``None`` without training part.
    :param train: the training part.
    :param counted: which structures are compared, those that all models can compute.
    :param summaries: errors over these structures by name of the model or baseline.
    """

    part: BandsPart
    true_gaps: NDArray[np.float64]
    sources: dict[str, str]
    models: dict[str, ComparedBands]
    baselines: dict[str, ComparedBands]
    nearest: Nearest | None
    train: BandsPart | None
    counted: NDArray[np.bool_]
    summaries: dict[str, Summary]


def evaluate_bands(
    models: Sequence[str | Path],
    part: BandsPart,
    report: Path,
    *,
    ensemble: bool = False,
    device: str | None = None,
    batch_size: int = 256,
    matmul_precision: str = "highest",
    extensions_directory: Path | None = None,
    overwrite: bool = False,
    finish: Callable[[BandsEvaluation], None] | None = None,
) -> BandsEvaluation:
    """Predict a part of a data set of bands with one or several models, and compare predictions and targets.

    Predictions are stored in ``report/predictions``, so that an interrupted evaluation can continue.

    :param models: exported ``.pt`` files, or names of models (:func:`electrain.pretrained.known_models`).
    :param part: part of a data set written by ``electrain prepare --bands``.
    :param report: folder to write to; new or empty, or with an evaluation of the same data set.
    :param ensemble: also evaluate the mean of all models, as the first model of the report.
    :param device: as for :class:`~electrain.calculators.BandModel`.
    :param batch_size: maximum number of atoms per batch.
    :param matmul_precision: as for the same class.
    :param extensions_directory: as for the same class.
    :param overwrite: replace the evaluation of another data set.
    :param finish: called with the results while the folder is still locked, such as :func:`write_report`.
    :raises ModelFileError: for a model without bands.
    :raises ValueError: if a model does not match the data set, if no structure can be computed by all models, or if the
        report would replace the data set or a model.
    :raises BlockingIOError: if another process is working in the folder.
    :raises FileExistsError: if the folder contains other files.
    """
    open_model = partial(
        open_band_model,
        part=part,
        device=device,
        batch_size=batch_size,
        matmul_precision=matmul_precision,
        extensions_directory=extensions_directory,
    )
    with predict_with_all(
        models,
        part,
        paths_of(part),
        report,
        what="bands",
        open_model=open_model,
        ensemble=ensemble,
        overwrite=overwrite,
    ) as predictions:
        evaluation = _evaluation(part, predictions.sources, predictions.found)
        if finish is not None:
            finish(evaluation)
    return evaluation


def _evaluation(part: BandsPart, sources: dict[str, str], found: dict[str, Predictions]) -> BandsEvaluation:
    common = in_all(found, sources, part.path)
    true_gaps = gaps_of(part, part.energies)
    models = {name: compare(part, true_gaps, own.predicted, own.reasons.tolist()) for name, own in found.items()}
    train = other_part(part, "train")
    baselines, nearest = {}, None
    if train is not None:
        predicted, nearest = baseline_bands(train, part)
        baselines = {name: compare(part, true_gaps, own, [""] * len(part)) for name, own in predicted.items()}
    summaries = {name: summarise(part, true_gaps, item, common) for name, item in {**models, **baselines}.items()}
    return BandsEvaluation(part, true_gaps, sources, models, baselines, nearest, train, common, summaries)


def report_text(evaluation: BandsEvaluation) -> str:
    """Return the text of ``summary.txt``."""
    summaries = evaluation.summaries
    facts = "\n".join(f"{name}: {value}" for name, value in _facts(evaluation).items())
    blocks = [facts, f"All structures\n\n{text_table(summaries, _columns(evaluation))}"]
    first = next(iter(summaries.values()))
    kinds = [name for name in (NON_METALS, METALS) if first[name]["structures"]]
    if kinds:
        blocks.append(f"Non-metals and metals (eV)\n\n{text_table_of_subsets(summaries, kinds, _short(_OF_KINDS))}")
    subsets = [name for name in first if name not in (NON_METALS, METALS, ALL)]
    if subsets:
        shown = _OF_SUBSETS if first[ALL]["non_metals"] else _OF_SUBSETS[:1]
        table = text_table_of_subsets(summaries, subsets, _short(shown))
        blocks.append(f"Subsets, with their numbers of structures (eV)\n\n{table}")
    return "\n\n".join(blocks) + "\n"


def _columns(evaluation: BandsEvaluation) -> list[Metric]:
    """Columns of the table of all structures, with the number of metals and non-metals above those told right."""
    numbers = next(iter(evaluation.summaries.values()))[ALL]
    columns = []
    for metric in METRICS:
        whole = metric.key.removesuffix("_right")
        if whole != metric.key:
            columns.append(metric._replace(label=f"{metric.label} of {numbers[whole]:.0f}"))
        elif metric.key not in ("metals", "non_metals"):
            columns.append(metric)
    return columns


def _short(keys: Sequence[str]) -> list[Metric]:
    return [metric._replace(label=metric.key) for metric in ERRORS if metric.key in keys]


def write_report(evaluation: BandsEvaluation, folder: Path, say: Callable[[str], None]) -> None:
    """Write tables and figures.

    :param evaluation: results of one or several models.
    :param folder: folder that contains the predictions.
    :param say: function that shows a line to the user.
    """
    with replacing(folder / "summary.txt") as temporary:
        temporary.write_text(report_text(evaluation), encoding="utf-8")
    write_summary(folder / "summary.csv", evaluation.summaries, METRICS)
    write_json(folder / "summary.json", _json(evaluation))
    results = {**evaluation.models, **evaluation.baselines}
    write_structures(folder / "structures.csv", evaluation.part, evaluation.true_gaps, results, _taken_from(evaluation))
    say(f"wrote {folder}/summary.txt, .csv, .json, structures.csv")
    write_figures(folder, report_figures(evaluation), say)


def report_figures(evaluation: BandsEvaluation) -> list[NamedFigure]:
    """Draw all figures for which there are data."""
    part, models, chosen = evaluation.part, evaluation.models, evaluation.counted
    figures = [
        band_parity(part, evaluation.true_gaps, models, chosen),
        error_violins(part, evaluation.true_gaps, models, chosen),
        energy_distribution(models, evaluation.baselines, chosen),
        quintile_examples(part, models, chosen),
    ]
    return [figure for figure in figures if figure is not None]


def _taken_from(evaluation: BandsEvaluation) -> dict[str, list[str]]:
    if evaluation.train is None or evaluation.nearest is None:
        return {}
    entries = evaluation.train.entries
    return {NEAREST_COMPOUND: [entries[i].name if i >= 0 else "" for i in evaluation.nearest.indices]}


def _facts(evaluation: BandsEvaluation) -> dict[str, str]:
    part = evaluation.part
    facts = {
        "data set": f"{part.folder}, part {part.part}, {counted(len(part), 'structure')}",
        "bands": f"{part.shape.num_bands} bands at {part.shape.num_k_points} k-points",
        "errors": "mean absolute errors: means over structures of those of each; of gaps along the path",
    }
    if evaluation.train is None or evaluation.nearest is None:
        facts["baselines"] = "none, because there is no training part"
    else:
        alike = int(evaluation.nearest.same_prototype[evaluation.counted].sum())
        facts["baselines"] = (
            f"taken from {counted(len(evaluation.train), 'training structure')}; {alike} of "
            f"{counted(int(evaluation.counted.sum()), 'structure')} have the prototype of one of them"
        )
    facts["electrain"] = __version__
    return facts | facts_of_left_out(evaluation.models)


def _json(evaluation: BandsEvaluation) -> dict[str, Any]:
    part = evaluation.part
    return {
        "electrain": __version__,
        "dataset": str(part.folder),
        "part": part.part,
        "bands": bands_to_manifest(part.shape),
        **as_json(evaluation.sources, evaluation.models, list(evaluation.baselines), evaluation.summaries, METRICS),
    }
