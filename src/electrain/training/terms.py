"""Terms of the loss: their input and their results."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from metatensor.torch import TensorMap
from metatomic.torch import System

from .processes import Process

Maps = Mapping[str, TensorMap]


class Evaluated(NamedTuple):
    """Result of a term for a batch, or for the share of a process in it."""

    means: torch.Tensor  # (num_means,) parts of the loss, which is their sum
    # (num_means,) how many structures or numbers each is the mean of; 0 for a sum, or if there are none
    counts: torch.Tensor
    errors: tuple[Any, ...]  # arguments of ``add`` of the term's errors
    # zero of the targets on the axes of predicted spectra, by target: (num_structures,) eV, NaN if unknown
    zeros: dict[str, torch.Tensor]


class Errors(Protocol):
    """Accumulates the errors of one term of the loss."""

    def add(self, *batch: Any) -> None:
        """Add the errors of a batch."""

    def finalize(self) -> dict[str, float]:
        """Return all errors by name, summed over all processes, without targets that have no value."""


class LossTerm(Protocol):
    """Part of the loss, for one or several targets."""

    targets: tuple[str, ...]
    num_means: int  # number of its parts, each a mean over structures or numbers of its own

    def __call__(self, predictions: Maps, targets: Maps, systems: list[System], /) -> Evaluated:
        """Compare predictions and targets of a batch, which has at least one target of this term."""

    def new_errors(self, process: Process) -> Errors:
        """Return an object that accumulates the errors over all batches of an epoch."""
