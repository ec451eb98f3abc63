"""What a report says of its models and baselines beside their errors."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..summary import Summary
from ..tables import counted, with_unit
from .tables import Metric


class _HasReasons(Protocol):
    @property
    def reasons(self) -> Sequence[str]: ...


def facts_of_left_out(models: Mapping[str, _HasReasons]) -> dict[str, str]:
    """Say how many structures each model leaves out, and why; of several reasons, with the number of structures."""
    facts = {}
    for name, model in models.items():
        reasons = _left_out(model)
        if reasons:
            total = counted(sum(reasons.values()), "structure")
            texts = [f"{reason} ({count})" for reason, count in reasons.items()] if len(reasons) > 1 else list(reasons)
            facts[f"{name} leaves out {total}, which no model is compared on"] = "; ".join(texts)
    return facts


def as_json(
    sources: Mapping[str, str],
    models: Mapping[str, _HasReasons],
    baselines: Sequence[str],
    summaries: Mapping[str, Summary],
    metrics: Sequence[Metric],
) -> dict[str, Any]:
    """Return the entries of ``summary.json`` about models and baselines.

    :param sources: file or name of each model, by its name in the report.
    :param models: results by name.
    :param baselines: names of the baselines.
    :param summaries: errors by name of the model or baseline.
    :param metrics: what these are.
    """
    return {
        "labels": {metric.key: with_unit(metric.label, metric.unit) for metric in metrics},
        "models": [
            {"model": sources[name], "name": name, "left_out": _left_out(model), "subsets": summaries[name]}
            for name, model in models.items()
        ],
        "baselines": {name: summaries[name] for name in baselines},
    }


def _left_out(model: _HasReasons) -> dict[str, int]:
    return dict(Counter(reason for reason in model.reasons if reason).most_common())
