"""The trainer of Bandformer: that of all architectures."""

from electrain.training.trainer import SpectralTrainer

from .model import Bandformer


class Trainer(SpectralTrainer):
    """Trains a Bandformer.

    :param hypers: see :class:`~electrain.architectures.bandformer.documentation.TrainerHypers`.
    """

    model_class = Bandformer

    __checkpoint_version__ = 1
