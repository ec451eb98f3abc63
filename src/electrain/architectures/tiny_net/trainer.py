"""The trainer of TinyNet: that of all architectures, after it has made room for what the data has."""

from typing import Any

from electrain.training.composition import Datasets
from electrain.training.trainer import SpectralTrainer

from .model import TinyNet
from .room import fit_room


class Trainer(SpectralTrainer):
    """Trains a TinyNet.

    :param hypers: see :class:`~electrain.architectures.tiny_net.documentation.TrainerHypers`.
    """

    model_class = TinyNet

    __checkpoint_version__ = 1

    def fit_size(self, model: Any, train_datasets: Datasets, val_datasets: Datasets) -> None:
        """See :meth:`SpectralTrainer.fit_size`: the vector of an atom has room for the paths and neighbors of all."""
        fit_room(model, {"training set": train_datasets, "validation set": val_datasets})
