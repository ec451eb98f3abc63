"""The model and the trainer: those of all architectures, with a network of its own."""

from metatomic.torch import ModelMetadata

from electrain.architectures.base.model import SpectralModel
from electrain.training.trainer import SpectralTrainer

from .network import ToyNetwork


class Toy(SpectralModel):
    """The toy network with all outputs."""

    architecture = "toy"

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata()

    @staticmethod
    def make_network(hypers, atomic_types, axis):
        """The network with these hyperparameters."""
        return ToyNetwork(len(atomic_types), hypers["cutoff"], hypers["width"])


class Trainer(SpectralTrainer):
    """The trainer of all architectures."""

    model_class = Toy

    __checkpoint_version__ = 1
