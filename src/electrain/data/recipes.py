"""Sizes of networks and settings of trainings that fit the number of structures, for the options of a data set."""

from collections.abc import Mapping
from typing import NamedTuple

_MANY = 10_000
_FEW = 1_000


class Recipe(NamedTuple):
    """How to train on a data set.

    :param network: widths of the network, by the names of their options; empty for the defaults.
    :param batch_size: number of structures in a batch.
    :param learning_rate: after warm-up.
    :param num_epochs: number of passes through the training set.
    :param warmup_epochs: passes in which the learning rate increases from zero.
    :param halving_epochs: passes after which the learning rate is halved, again and again.
    :param checkpoint_interval: passes between two checkpoints.
    """

    network: Mapping[str, int]
    batch_size: int
    learning_rate: float
    num_epochs: int
    warmup_epochs: int
    halving_epochs: int
    checkpoint_interval: int


def recipe_for(num_structures: int) -> Recipe:
    """Return a recipe for a training set of this size.

    From ten thousand structures on, it is that of PET-MAD-DOS (arXiv:2508.17418). Fewer structures are learned better
    by a narrower network with a higher learning rate and smaller batches, and need more passes; docs/training.md has
    measured errors.
    """
    if num_structures >= _MANY:
        return Recipe({}, 16, 1e-4, 760, 100, 250, 20)
    is_few = num_structures < _FEW
    width = 64 if is_few else 128
    num_epochs = _between(50, 60_000 // num_structures if is_few else 300_000 // num_structures, 200)
    return Recipe(
        network={"edge_width": width, "node_width": width, "feedforward_width": 2 * width, "head_width": 2 * width},
        batch_size=min(4 if is_few else 8, num_structures),  # metatrain accepts no larger ones
        learning_rate=1e-3 if is_few else 5e-4,
        num_epochs=num_epochs,
        warmup_epochs=max(1, num_epochs // 20),
        halving_epochs=num_epochs // 4,
        checkpoint_interval=max(1, num_epochs // 20),
    )


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
