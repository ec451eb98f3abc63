"""The trainer of TinyNet: that of all architectures."""

from electrain.training.trainer import SpectralTrainer

from .model import TinyNet


class Trainer(SpectralTrainer):
    """Trains a TinyNet.

    :param hypers: see :class:`~electrain.architectures.tiny_net.documentation.TrainerHypers`.
    """

    model_class = TinyNet

    __checkpoint_version__ = 1
