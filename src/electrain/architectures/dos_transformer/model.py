"""DOSTransformer: the shared model around a graph network and energies that attend to atoms."""

from typing import Any

import torch
from ase.data import atomic_masses
from metatomic.torch import ModelMetadata

from electrain.architectures.base.model import SpectralModel
from electrain.nn.atom_inputs import AtomInputs
from electrain.nn.cutoff import Cutoff
from electrain.spectra.axis import EnergyAxis

from .network import DOSTransformerNetwork, EnergyTransformerShape
from .upgrades import MODEL_UPGRADES


class DOSTransformer(SpectralModel):
    """The network of the DOSTransformer paper for spectra and numbers.

    :param hypers: see :class:`~electrain.architectures.dos_transformer.documentation.ModelHypers`.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that are inconsistent with the hyperparameters, and for vectors and tensors.
    """

    architecture = "dos_transformer"
    tensors = "none"  # the network reads distances, which do not turn with a structure

    upgrades = MODEL_UPGRADES
    __checkpoint_version__ = 2
    __default_metadata__ = ModelMetadata(references={"architecture": ["https://arxiv.org/abs/2303.07000"]})

    @staticmethod
    def make_network(hypers: Any, atomic_types: list[int], axis: EnergyAxis | None) -> DOSTransformerNetwork:
        """Make the network with these hyperparameters."""
        masses = torch.from_numpy(atomic_masses[atomic_types])
        return DOSTransformerNetwork(
            Cutoff(radius=float(hypers["cutoff"]), width=float(hypers["cutoff_width"])),
            AtomInputs(hypers["atom_features"], masses, hypers["width"]),
            width=hypers["width"],
            num_layers=hypers["num_message_passing_layers"],
            num_gaussians=hypers["num_gaussians"],
            shape=EnergyTransformerShape(**{name: hypers[name] for name in EnergyTransformerShape._fields}),
            pooling=hypers["pooling"],
        )
