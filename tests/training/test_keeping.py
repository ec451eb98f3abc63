"""Structures that stay in memory: the same as those that are read again, and no more than there is room for."""

import pytest
import torch
from ase.build import bulk, molecule
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import NeighborListOptions, systems_to_torch
from metatrain.utils.data import Dataset

from electrain.training.keeping import KeptStructures

LISTS = [NeighborListOptions(cutoff=3.0, full_list=True, strict=True)]


class Counted:
    """Structures from a file, which are made anew each time."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return 3

    def __getitem__(self, number):
        self.read.append(number)
        systems = systems_to_torch([bulk("Si"), molecule("H2O"), bulk("Al")])
        block = TensorBlock(torch.ones(1, 1000), Labels.range("system", 1), [], Labels.range("value", 1000))
        values = [TensorMap(Labels.single(), [block])]
        return Dataset.from_dict({"system": [systems[number]], "mtt::x": values})[0]


def test_structures_are_read_once():
    source = Counted()
    kept = KeptStructures(source, LISTS, 2**20)
    first = [kept[number] for number in range(len(kept))]
    again = [kept[number] for number in range(len(kept))]
    assert source.read == [0, 1, 2]
    assert all(a is b for a, b in zip(first, again, strict=True))
    assert first[0].system.get_neighbor_list(LISTS[0]).values.shape[0] == 2 * 4


@pytest.mark.parametrize("room, num_kept", [(0, 0), (10_000, 2), (5_000, 1)])
def test_no_more_than_there_is_room_for(room, num_kept):
    source = Counted()
    kept = KeptStructures(source, LISTS, room)
    for _ in range(2):
        for number in range(3):
            assert kept[number].system.known_neighbor_lists() == LISTS
    assert len(source.read) == 3 + 3 - num_kept
