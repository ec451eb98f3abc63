"""The baselines: the shared model around small networks."""

from typing import Any

import torch
from ase.data import atomic_masses
from metatomic.torch import ModelMetadata

from electrain.architectures.base.model import SpectralModel
from electrain.nn.atom_inputs import AtomInputs
from electrain.nn.cutoff import Cutoff
from electrain.nn.element_properties import neighbor_weights
from electrain.spectra.axis import EnergyAxis

from .network import BaselineNetwork, DescriptorBaseline, ElementNetwork, GraphBaseline, HeadShape
from .upgrades import MODEL_UPGRADES

# Masses in the descriptors of neighbors are of the order of the other weights in these units.
_MASS_UNIT = 100.0  # u


class DOSBaseline(SpectralModel):
    """Small networks for spectra and numbers, to compare others with.

    :param hypers: see :class:`~electrain.architectures.dos_baseline.documentation.ModelHypers`.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that are inconsistent with the hyperparameters, and for vectors and tensors.
    """

    architecture = "dos_baseline"
    upgrades = MODEL_UPGRADES
    tensors = "none"  # the networks read distances, which do not turn with a structure

    __checkpoint_version__ = 2
    __default_metadata__ = ModelMetadata(references={"architecture": ["https://arxiv.org/abs/2303.07000"]})

    @staticmethod
    def make_network(hypers: Any, atomic_types: list[int], axis: EnergyAxis | None) -> BaselineNetwork:
        """Make the network with these hyperparameters."""
        cutoff = Cutoff(radius=float(hypers["cutoff"]), width=float(hypers["cutoff_width"]))
        heads = HeadShape(**{name: hypers[name] for name in HeadShape._fields})
        masses = torch.from_numpy(atomic_masses[atomic_types])
        if hypers["network"] == "two_layer":
            return _descriptor_baseline(hypers, cutoff, heads, atomic_types, masses)
        inputs = AtomInputs(hypers["atom_features"], masses, hypers["width"])
        if hypers["network"] == "mlp":
            return ElementNetwork(cutoff, heads, inputs)
        return GraphBaseline(
            cutoff,
            heads,
            inputs,
            num_layers=hypers["num_message_passing_layers"],
            num_gaussians=hypers["num_gaussians"],
        )


def _descriptor_baseline(
    hypers: Any,
    cutoff: Cutoff,
    heads: HeadShape,
    atomic_types: list[int],
    masses: torch.Tensor,
) -> DescriptorBaseline:
    weights = neighbor_weights(atomic_types)
    if hypers["neighbor_masses"]:
        weights = torch.cat([weights, masses.unsqueeze(1) / _MASS_UNIT], dim=1)
    return DescriptorBaseline(cutoff, heads, numbers=atomic_types, neighbor_weights=weights)
