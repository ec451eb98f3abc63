"""Outputs of models: which can be exported, and which exist."""

from typing import Dict

from metatomic.torch import ModelCapabilities, ModelOutput
from metatrain.utils.data import TargetInfo


def unknown_output(name: str, known: Dict[str, ModelOutput]) -> str:
    """Say that a model does not have an output, and which it has; compiled."""
    return "the model has no output '" + name + "'; it has " + ", ".join(list(known.keys()))


def check_names_and_units(targets: dict[str, TargetInfo]) -> None:
    """Raise a ``ValueError`` for a target that cannot become an output of the exported model.

    metatomic must support its name and unit. It is better to find out before training than after it.
    """
    for name, info in targets.items():
        try:
            ModelCapabilities(outputs={name: ModelOutput(unit=info.unit)})
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"target {name!r} with unit {info.unit!r} cannot be an output of a model: {reason}"
            ) from None
