"""PET-MAD and PET-MAD-DOS: the shared model around the Point Edge Transformer."""

from typing import Any

from metatomic.torch import ModelMetadata

from electrain.architectures.base.model import SpectralModel
from electrain.architectures.base.point_edge_transformer import cutoff_of, shape_of
from electrain.nn.conditioning import StateRange
from electrain.nn.element_properties import element_properties, neighbor_weights
from electrain.nn.point_edge_transformer import FewData, PointEdgeTransformer
from electrain.spectra.axis import EnergyAxis

from .upgrades import MODEL_UPGRADES


class PETMAD(SpectralModel):
    """The Point Edge Transformer with heads for energies, densities of states, band gap and Fermi level.

    :param hypers: see :class:`~electrain.architectures.pet_mad.documentation.ModelHypers`.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that are inconsistent with the hyperparameters.
    """

    architecture = "pet_mad"
    upgrades = MODEL_UPGRADES

    __checkpoint_version__ = 7
    __default_metadata__ = ModelMetadata(
        references={
            "architecture": [f"https://arxiv.org/abs/{key}" for key in ("2305.19302", "2503.14118", "2508.17418")]
        }
    )

    @staticmethod
    def make_network(hypers: Any, atomic_types: list[int], axis: EnergyAxis | None) -> PointEdgeTransformer:
        """Make the network with these hyperparameters."""
        return PointEdgeTransformer(
            len(atomic_types),
            cutoff_of(hypers),
            shape_of(hypers),
            featurizer=hypers["featurizer"],
            num_message_passing_layers=hypers["num_message_passing_layers"],
            head_width=hypers["head_width"],
            states=(
                StateRange(hypers["max_charge"], hypers["max_spin_multiplicity"])
                if hypers["system_conditioning"]
                else None
            ),
            few_data=_few_data(hypers, atomic_types),
        )


def _few_data(hypers: Any, atomic_types: list[int]) -> FewData:
    radius = hypers["radial_descriptors"]
    return FewData(
        properties=element_properties(atomic_types) if hypers["element_properties"] else None,
        neighbor_weights=None if radius is None else neighbor_weights(atomic_types),
        descriptor_radius=0.0 if radius is None else float(radius),
        shifted_parts=hypers["spectrum_head"] == "shifted_parts",
        dropout=float(hypers["dropout"]),
    )
