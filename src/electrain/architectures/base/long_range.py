"""What an atom feels of those beyond its neighborhood: metatrain's long-range features."""

from typing import Any

import torch
from metatomic.torch import NeighborListOptions, System
from metatrain.utils.long_range import LongRangeFeaturizer

from electrain.nn.batch import Batch
from electrain.nn.edges import edge_vectors


class LongRange(torch.nn.Module):
    """Features of atoms from Coulomb potentials of learned charges; the network adds them to its own.

    :param hypers: see :class:`~electrain.architectures.base.hypers.LongRangeHypers`.
    :param width: features of an atom.
    :param neighbor_list: the model's; potentials fade out within its cutoff.
    :raises ImportError: without the package torch-pme.
    """

    def __init__(self, hypers: Any, width: int, neighbor_list: NeighborListOptions) -> None:
        super().__init__()
        # Training with the mesh is unstable: it takes Ewald's sum, predictions the mesh, as with metatrain's `pet`.
        self.featurizer = LongRangeFeaturizer({**hypers, "use_ewald": True}, width, neighbor_list)

    def forward(self, systems: list[System], batch: Batch, nodes: torch.Tensor) -> torch.Tensor:
        """Long-range features (num_atoms, width) from those that the network has of every atom, of the same shape.

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
        distances = torch.linalg.vector_norm(edge_vectors(batch), dim=1)
        return self.featurizer(systems, nodes, distances)
