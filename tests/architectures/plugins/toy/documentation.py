"""Hyperparameters of the toy architecture."""

# mypy: disable-error-code=misc

from typing import Annotated

from annotated_types import Unit
from pydantic import AfterValidator
from typing_extensions import NotRequired

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.base.hypers import SpectralModelHypers
from electrain.interface.option_types import Count, Positive
from electrain.interface.options import MODEL_SECTION, TRAINING_SECTION, checked
from electrain.training import hypers as training


@checked(MODEL_SECTION)
class ModelHypers(SpectralModelHypers):
    """Hyperparameters of the model."""

    cutoff: Annotated[Positive, Unit("Angstrom")] = 4.0
    """Cutoff radius."""
    width: Count = 16
    """Features of an atom."""


class FinetuneHypers(training.FinetuneHypers):
    """Fine-tuning."""

    read_from: Annotated[str, AfterValidator(checkpoint_of("toy"))]
    """Checkpoint of the trained model."""


@checked(TRAINING_SECTION)
class TrainerHypers(training.TrainerHypers):
    """Hyperparameters of the training."""

    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model instead of random weights."""
