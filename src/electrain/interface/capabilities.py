"""Outputs of models: which can be exported, and which exist."""

from typing import Dict, List

from metatomic.torch import ModelCapabilities, ModelOutput
from metatrain.utils.data import TargetInfo


# TorchScript: compiled with the models that call it
def check_outputs_exist(requested: Dict[str, ModelOutput], known: Dict[str, ModelOutput], tolerated: List[str]) -> None:
    """Raise a ``ValueError`` for an output that a model does not have, with those that it has.

    :param requested: the requested outputs.
    :param known: outputs of the model.
    :param tolerated: further names that may be requested, and have no effect.
    """
    for name in requested:
        if name not in known and name not in tolerated:
            raise ValueError("the model has no output '" + name + "'; it has " + ", ".join(list(known.keys())))


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
