"""What an atom feels of those beyond its neighborhood: metatrain's long-range features."""

from typing import Any

import torch
from metatomic.torch import NeighborListOptions, System
from metatrain.utils.long_range import LongRangeFeaturizer

from electrain.architectures.pet_mad.network.network import Features
from electrain.nn.batch import Batch
from electrain.nn.edges import edge_vectors


class LongRange(torch.nn.Module):
    r"""Adds features from Coulomb potentials of learned charges to the features of atoms.

    For the features :math:`n_l` of L readout layers, with the features
    :math:`f = \mathrm{LR}(L^{-1/2} \sum_l n_l)` of metatrain's ``LongRangeFeaturizer``:
    :math:`n_l \leftarrow (n_l + f) / \sqrt 2`, as in ``metatrain.pet``.

    :param hypers: metatrain's ``LongRangeHypers``.
    :param width: features of an atom.
    :param neighbor_list: the model's; potentials fade out within its cutoff.
    :raises ImportError: without the package torch-pme.
    """

    def __init__(self, hypers: Any, width: int, neighbor_list: NeighborListOptions) -> None:
        super().__init__()
        # Training with the mesh is unstable: metatrain's `pet` takes Ewald's sum, too, whatever the options say.
        self.featurizer = LongRangeFeaturizer({**hypers, "use_ewald": True}, width, neighbor_list)

    def forward(self, systems: list[System], batch: Batch, features: Features) -> Features:
        """Features with the long-range ones.

        :raises ValueError: for a structure that is periodic in one or two directions.
        """
        for i, system in enumerate(systems):
            periodic = int(system.pbc.sum())
            if periodic != 0 and periodic != 3:
                raise ValueError(
                    "structure "
                    + str(i)
                    + " of the batch is periodic in "
                    + str(periodic)
                    + " direction(s): long-range features are those of molecules or of crystals that are periodic in "
                    + "all three; make a slab or a wire periodic in all of them, with vacuum in between"
                )
        nodes = features.nodes
        short_range = torch.stack(nodes).to(batch.positions.dtype).sum(dim=0) * len(nodes) ** -0.5
        distances = torch.linalg.vector_norm(edge_vectors(batch), dim=1)
        far = self.featurizer(systems, short_range, distances)
        return Features([(near + far) * 0.5**0.5 for near in nodes], features.edges, features.graph)
