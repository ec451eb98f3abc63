"""Bandformer: the shared model around a graph transformer and k-points that attend to atoms."""

from typing import Any

from metatomic.torch import ModelMetadata

from electrain.architectures.base.model import SpectralModel
from electrain.nn.cutoff import Cutoff
from electrain.spectra.axis import EnergyAxis

from .network import BandformerNetwork, BandsShape, TransformerShape


class Bandformer(SpectralModel):
    """The network of the Bandformer paper for bands along paths of k-points, and for other scalars and spectra.

    :param hypers: see :class:`~electrain.architectures.bandformer.documentation.ModelHypers`.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that are inconsistent with the hyperparameters, and for vectors and tensors.
    """

    architecture = "bandformer"
    tensors = "none"  # the network reads distances, which do not turn with a structure

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata(references={"architecture": ["https://arxiv.org/abs/2411.16483"]})

    @staticmethod
    def make_network(hypers: Any, atomic_types: list[int], axis: EnergyAxis | None) -> BandformerNetwork:
        """Make the network with these hyperparameters."""
        cutoff = Cutoff(
            radius=float(hypers["cutoff"]),
            width=float(hypers["cutoff_width"]),
            num_neighbors=hypers["num_neighbors"],
            count_width=float(hypers["cutoff_width"]),
        )
        return BandformerNetwork(
            cutoff,
            len(atomic_types),
            TransformerShape(**{name: hypers[name] for name in TransformerShape._fields}),
            BandsShape(**{name: hypers[name] for name in BandsShape._fields}),
            num_layers=hypers["num_encoder_layers"],
            num_gaussians=hypers["num_gaussians"],
        )
