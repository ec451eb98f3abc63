"""Structures with neighbor lists that stay in memory, so that every epoch after the first has them at once."""

from collections.abc import Sequence
from typing import Any

import torch
from metatensor.torch import TensorBlock
from metatomic.torch import NeighborListOptions
from metatrain.utils.data import Dataset
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from torch.utils.data import Subset

ROOM = 2**30  # bytes


class KeptStructures(torch.utils.data.Dataset):
    """A data set whose structures have neighbor lists; the first ones that fit into memory are read once.

    Reading a structure of ten atoms and finding its neighbors takes about 2 ms, as long as a small network needs to
    learn from it.

    :param dataset: the data set.
    :param neighbor_lists: neighbor lists that structures shall have.
    :param room: size of what is kept, in bytes.
    """

    def __init__(self, dataset: Dataset | Subset, neighbor_lists: Sequence[NeighborListOptions], room: int) -> None:
        self.dataset = dataset
        self._neighbor_lists, self._room = list(neighbor_lists), room
        self._kept: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        sample = self._kept.get(number)
        if sample is None:
            sample = self.dataset[number]
            get_system_with_neighbor_lists(sample.system, self._neighbor_lists)
            size = sum(map(_bytes, sample))
            if size <= self._room:
                self._room -= size
                self._kept[number] = sample
        return sample


def _bytes(part: Any) -> int:
    """Size of a system with its neighbor lists, or of a tensor map."""
    if hasattr(part, "known_neighbor_lists"):
        lists = [part.get_neighbor_list(options) for options in part.known_neighbor_lists()]
        return int(part.positions.nbytes) + sum(map(_bytes_of_block, lists))
    return sum(map(_bytes_of_block, part.blocks())) if hasattr(part, "blocks") else 0


def _bytes_of_block(block: TensorBlock) -> int:
    gradients = [gradient for _, gradient in block.gradients()]
    return block.values.nbytes + block.samples.values.nbytes + sum(map(_bytes_of_block, gradients))
