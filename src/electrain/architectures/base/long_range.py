"""Interactions of an atom with those beyond its neighborhood: metatrain's long-range features."""

from typing import Any

import torch
from metatomic.torch import NeighborListOptions, System
from metatrain.utils.long_range import LongRangeFeaturizer

from electrain.nn.batch import Batch
from electrain.nn.edges import edge_vectors


class LongRange(torch.nn.Module):
    """Features of atoms from Coulomb potentials of learned charges, which the network adds to its own.

    :param hypers: see :class:`~electrain.architectures.base.hypers.LongRangeHypers`.
    :param width: number of features of an atom.
    :param neighbor_list: neighbor list of the model; potentials are switched off within its cutoff.
    :raises ImportError: without the package torch-pme.
    """

    def __init__(self, hypers: Any, width: int, neighbor_list: NeighborListOptions) -> None:
        super().__init__()
        # Training with the mesh is unstable, so it uses Ewald summation, and predictions the mesh, as in metatrain's
        # `pet`.
        self.featurizer = LongRangeFeaturizer({**hypers, "use_ewald": True}, width, neighbor_list)

    def forward(self, systems: list[System], batch: Batch, nodes: torch.Tensor) -> torch.Tensor:
        """Compute long-range features (num_atoms, width) from the network's features of every atom, of the same shape.

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
                    + " direction(s), but long-range features are for molecules, or crystals that are periodic in "
                    + "all three; make a slab or a wire periodic in all three, with vacuum in between"
                )
        distances = torch.linalg.vector_norm(edge_vectors(batch), dim=1)
        return self.featurizer(systems, nodes, distances)
