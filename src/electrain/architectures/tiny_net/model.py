"""TinyNet: the shared model around a small network for each element."""

from typing import Any

import torch
from ase.data import covalent_radii
from metatomic.torch import ModelMetadata

from electrain.architectures.base.model import SpectralModel
from electrain.spectra.axis import EnergyAxis

from .network import BondingVector, NeighborRule, PathRule, TinyNetwork

# Entries of the vector where the options leave them to the data, until a training has seen it.
_NUM_PATHS = (32, 64, 256, 512, 1024, 2048, 4096)  # for 2, 3, ... hops
_NUM_NEIGHBORS = 128


class TinyNet(SpectralModel):
    """Small networks on vectors of bonds for spectra, numbers and Cartesian vectors.

    :param hypers: see :class:`~electrain.architectures.tiny_net.documentation.ModelHypers`.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that are inconsistent with the hyperparameters, and for tensors.
    """

    architecture = "tiny_net"
    tensors = "vectors"  # they turn with the frame of the neighbors
    from_data = ("num_paths", "num_neighbors")

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata(
        references={
            "architecture": ["Shafir and Grinberg, Bonding-aware materials representation (Bar-Ilan University)"]
        }
    )

    @staticmethod
    def make_network(hypers: Any, atomic_types: list[int], axis: EnergyAxis | None) -> TinyNetwork:
        """Make the network with these hyperparameters."""
        first, second = hypers["widths"]
        return TinyNetwork(make_vector(hypers, atomic_types), len(atomic_types), (first, second))


def make_vector(hypers: Any, atomic_types: list[int]) -> BondingVector:
    """Make the vector of an atom with these hyperparameters."""
    hops, num_paths, num_neighbors = (hypers[name] for name in ("num_hops", "num_paths", "num_neighbors"))
    num_paths = _NUM_PATHS if num_paths is None else num_paths
    return BondingVector(
        longest_bonds(hypers, atomic_types),
        float(hypers["bond_width"]),
        PathRule(hops, hypers["paths"] == "simple_cycles", list(num_paths[: max(0, hops - 1)])),
        NeighborRule(hypers["neighbor_order"], _NUM_NEIGHBORS if num_neighbors is None else num_neighbors),
        truncate=hypers["too_many"] == "truncate",
    )


def longest_bonds(hypers: Any, atomic_types: list[int]) -> torch.Tensor:
    """Return the length in Angstrom up to which two elements are bonded, (num_elements, num_elements) float64."""
    if hypers["bonds"] == "cutoff":
        return torch.full((len(atomic_types),) * 2, float(hypers["cutoff"]), dtype=torch.float64)
    radii = torch.from_numpy(covalent_radii[atomic_types])
    return hypers["bond_factor"] * (radii.unsqueeze(0) + radii.unsqueeze(1))
