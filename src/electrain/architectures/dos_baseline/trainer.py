"""The trainer of the baselines: that of all architectures."""

from electrain.training.trainer import SpectralTrainer

from .model import DOSBaseline


class Trainer(SpectralTrainer):
    """Trains a baseline.

    :param hypers: see :class:`~electrain.architectures.dos_baseline.documentation.TrainerHypers`.
    """

    model_class = DOSBaseline

    __checkpoint_version__ = 1
