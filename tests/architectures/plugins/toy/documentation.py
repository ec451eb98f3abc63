"""Hyperparameters of the toy architecture."""

# mypy: disable-error-code=misc

from typing import Annotated

from pydantic import AfterValidator
from typing_extensions import NotRequired

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.base.hypers import SpectralModelHypers
from electrain.training import hypers as training


class ModelHypers(SpectralModelHypers):
    """Hyperparameters of the model."""

    cutoff: float = 4.0
    """Cutoff radius, in Angstrom."""
    width: int = 16
    """Features of an atom."""


class FinetuneHypers(training.FinetuneHypers):
    """Fine-tuning."""

    read_from: Annotated[str, AfterValidator(checkpoint_of("toy"))]
    """Checkpoint of the trained model."""


class TrainerHypers(training.TrainerHypers):
    """Hyperparameters of the training."""

    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model instead of random weights."""
