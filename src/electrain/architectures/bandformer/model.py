"""Bandformer: the shared model around an encoder of atoms and k-points that attend to atoms."""

from typing import Any

from metatomic.torch import ModelMetadata

from electrain.architectures.base.model import SpectralModel
from electrain.architectures.base.point_edge_transformer import encoder_of
from electrain.nn.cutoff import Cutoff
from electrain.nn.element_embedding import ElementEmbedding
from electrain.nn.element_properties import element_properties
from electrain.spectra.axis import EnergyAxis

from .network import BandformerNetwork, BandsShape, GraphTransformer, PointEdgeFeatures, TransformerShape
from .upgrades import MODEL_UPGRADES


class Bandformer(SpectralModel):
    """The network of the Bandformer paper for bands along paths of k-points, and for other scalars and spectra.

    :param hypers: see :class:`~electrain.architectures.bandformer.documentation.ModelHypers`.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that are inconsistent with the hyperparameters, and for vectors and tensors.
    """

    architecture = "bandformer"
    tensors = "none"  # its heads read features that are the same, or nearly so, for a structure that is rotated

    upgrades = MODEL_UPGRADES
    __checkpoint_version__ = 2
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
        shape = TransformerShape(**{name: hypers[name] for name in TransformerShape._fields})
        return BandformerNetwork(
            cutoff,
            _encoder(hypers, atomic_types, cutoff, shape),
            shape,
            BandsShape(**{name: hypers[name] for name in BandsShape._fields}),
            num_gaussians=hypers["num_gaussians"],
        )


def _encoder(
    hypers: Any, atomic_types: list[int], cutoff: Cutoff, shape: TransformerShape
) -> GraphTransformer | PointEdgeFeatures:
    if hypers["encoder"] == "point_edge_transformer":
        return PointEdgeFeatures(encoder_of(hypers["point_edge_transformer"], atomic_types), shape.width)
    properties = element_properties(atomic_types) if hypers["element_properties"] else None
    return GraphTransformer(
        ElementEmbedding(len(atomic_types), shape.width, properties),
        cutoff.radius,
        width=shape.width,
        num_layers=hypers["num_encoder_layers"],
        num_gaussians=hypers["num_gaussians"],
        num_heads=shape.num_heads,
        feedforward_width=shape.feedforward_width,
        dropout=shape.dropout,
    )
