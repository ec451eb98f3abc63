"""Terms of the loss: what they are given, and what they say."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from metatensor.torch import TensorMap
from metatomic.torch import System

from .processes import Process

Maps = Mapping[str, TensorMap]


class Evaluated(NamedTuple):
    """What a term says of a batch."""

    loss: torch.Tensor  # a scalar
    errors: tuple[Any, ...]  # what the term's errors add up
    # where the zero of targets lies on the axes of predicted spectra, by target: (num_structures,) eV, NaN if unknown
    zeros: dict[str, torch.Tensor]


class Errors(Protocol):
    """Adds up the errors of one term of the loss."""

    def add(self, *batch: Any) -> None:
        """Add what the term says of a batch."""

    def finalize(self) -> dict[str, float]:
        """All errors by name, summed over all processes; targets without a single value are left out."""


class LossTerm(Protocol):
    """Part of the loss, for one or several targets."""

    targets: tuple[str, ...]

    def __call__(self, predictions: Maps, targets: Maps, systems: list[System], /) -> Evaluated:
        """Compare predictions of a batch with its targets, of which there is at least one of this term."""

    def new_errors(self, process: Process) -> Errors:
        """What adds up the errors of all batches of an epoch."""
