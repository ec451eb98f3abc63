"""TinyNet: the shared model around a small network for each element."""

from typing import Any

import torch
from ase.data import covalent_radii
from metatomic.torch import ModelMetadata

from electrain.architectures.base.model import SpectralModel
from electrain.spectra.axis import EnergyAxis

from .network import BondingVector, NeighborRule, PathRule, TinyNetwork


class TinyNet(SpectralModel):
    """Small networks on vectors of bonds for spectra, numbers and Cartesian vectors.

    :param hypers: see :class:`~electrain.architectures.tiny_net.documentation.ModelHypers`.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that are inconsistent with the hyperparameters, and for tensors.
    """

    architecture = "tiny_net"
    tensors = "vectors"  # they turn with the frame of the neighbors

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata(
        references={
            "architecture": ["Shafir and Grinberg, Bonding-aware materials representation (Bar-Ilan University)"]
        }
    )

    @staticmethod
    def make_network(hypers: Any, atomic_types: list[int], axis: EnergyAxis | None) -> TinyNetwork:
        """Make the network with these hyperparameters."""
        hops = hypers["num_hops"]
        vector = BondingVector(
            longest_bonds(hypers, atomic_types),
            float(hypers["bond_width"]),
            PathRule(hops, hypers["paths"] == "simple_cycles", list(hypers["num_paths"][: max(0, hops - 1)])),
            NeighborRule(hypers["neighbor_order"], hypers["num_neighbors"]),
            truncate=hypers["too_many"] == "truncate",
        )
        first, second = hypers["widths"]
        return TinyNetwork(vector, len(atomic_types), (first, second))


def longest_bonds(hypers: Any, atomic_types: list[int]) -> torch.Tensor:
    """Return the length in Angstrom up to which two elements are bonded, (num_elements, num_elements) float64."""
    if hypers["bonds"] == "cutoff":
        return torch.full((len(atomic_types),) * 2, float(hypers["cutoff"]), dtype=torch.float64)
    radii = torch.from_numpy(covalent_radii[atomic_types])
    return hypers["bond_factor"] * (radii.unsqueeze(0) + radii.unsqueeze(1))
