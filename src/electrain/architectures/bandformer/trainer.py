"""The trainer of Bandformer: that of all architectures, which may begin with an encoder of ``pet_mad``."""

import logging
from typing import Any

from electrain.training.processes import Process
from electrain.training.trainer import SpectralTrainer

from .model import Bandformer
from .trained_encoder import check_encoder, start_encoder


class Trainer(SpectralTrainer):
    """Trains a Bandformer.

    :param hypers: see :class:`~electrain.architectures.bandformer.documentation.TrainerHypers`.
    """

    model_class = Bandformer

    __checkpoint_version__ = 1

    def check(self, model: Any, process: Process) -> None:
        """Also refuse an encoder that does not fit, and warn of one that cannot learn to ignore orientations."""
        super().check(model, process)
        if model.hypers["encoder"] == "point_edge_transformer" and not self.hypers["rotational_augmentation"]:
            logging.warning(
                "`encoder: point_edge_transformer` reads directions; without `rotational_augmentation: true` in "
                "`architecture.training`, predictions may change much when a structure is rotated"
            )
        if self.encoder_from is None:
            return
        if self.hypers.get("finetune") is not None:
            raise ValueError(
                "expected `encoder_from` or `finetune` in `architecture.training`, got both: a fine-tuned model has "
                "a trained encoder already"
            )
        if self.epoch is None:  # a restart no longer needs the file
            check_encoder(model, self.encoder_from)

    def start(self, model: Any) -> None:
        """Begin with a trained encoder."""
        if self.encoder_from is not None:
            start_encoder(model, self.encoder_from)

    @property
    def encoder_from(self) -> str | None:
        """Checkpoint or name in the options."""
        return self.hypers["encoder_from"]  # type: ignore[typeddict-item]
