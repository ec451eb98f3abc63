"""What a known model predicts, for which elements, and where it is: read from its file where there is one."""

from pathlib import Path
from typing import NamedTuple

from electrain.interface.quantities import QUANTITIES, uncertainty_name

from .names import KnownModel
from .published import Published


class Facts(NamedTuple):
    """Facts about a known model.

    :param predicts: labels of the quantities that it predicts.
    :param uncertain: labels of those that it predicts uncertainties of; ``None`` if that is not known yet.
    :param num_elements: number of elements that it knows.
    :param path: its exported model; ``None`` if it has to be downloaded first.
    """

    predicts: list[str]
    uncertain: list[str] | None
    num_elements: int
    path: Path | None


def facts_of(model: KnownModel) -> Facts:
    """Return the facts about a model.

    :raises ModelFileError: if its file is damaged.
    """
    path = model.exported()
    if path is None:
        assert isinstance(model, Published)
        return Facts(_labels(model.predicts), None, model.num_elements, None)
    from electrain.files.models import load_any_model  # imports torch, which takes seconds

    capabilities = load_any_model(path).capabilities()
    outputs = list(capabilities.outputs)
    uncertain = [name for name in QUANTITIES if uncertainty_name(name) in outputs]
    return Facts(_labels(outputs), _labels(uncertain), len(capabilities.atomic_types), path)


def _labels(names: list[str] | tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(quantity.label for name, quantity in QUANTITIES.items() if name in names))
