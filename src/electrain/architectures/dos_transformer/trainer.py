"""The trainer of DOSTransformer: that of all architectures."""

from electrain.training.trainer import SpectralTrainer

from .model import DOSTransformer


class Trainer(SpectralTrainer):
    """Trains a DOSTransformer.

    :param hypers: see :class:`~electrain.architectures.dos_transformer.documentation.TrainerHypers`.
    """

    model_class = DOSTransformer

    __checkpoint_version__ = 1
