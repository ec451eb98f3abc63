"""Networks and settings of trainings that fit the number of structures, for the options of a data set."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_MANY = 10_000
_FEW = 1_000

# For few structures: see docs/training.md for what each of them gains.
_SMALL_NETWORK: Mapping[str, Any] = {
    "cutoff_width": 0.5,
    "edge_width": 64,
    "node_width": 64,
    "feedforward_width": 128,
    "head_width": 64,
    "element_properties": True,
    "spectrum_head": "shifted_parts",
    "radial_descriptors": 6.0,
    "dropout": 0.1,
    "band_gap_from": "atoms",
}


class Recipe(NamedTuple):
    """How to train on a data set.

    :param network: options of the network; empty for the defaults.
    :param batch_size: number of structures in a batch.
    :param learning_rate: after warm-up.
    :param num_epochs: number of passes through the training set.
    :param warmup_epochs: passes in which the learning rate increases from zero.
    :param halving_epochs: passes after which the learning rate is halved, again and again; ``None`` for a decrease
        along a cosine.
    :param weight_decay: relative to the learning rate.
    :param checkpoint_interval: passes between two checkpoints.
    """

    network: Mapping[str, Any]
    batch_size: int
    learning_rate: float
    num_epochs: int
    warmup_epochs: int
    halving_epochs: int | None
    weight_decay: float
    checkpoint_interval: int

    @property
    def for_few(self) -> bool:
        """Whether it is for few structures, whose loss is per electron."""
        return bool(self.network)


def recipe_for(num_structures: int) -> Recipe:
    """Return a recipe for a training set of this size.

    From ten thousand structures on, it is that of PET-MAD-DOS (arXiv:2508.17418). Fewer structures are learned better
    by a narrow network that begins with spectra of the elements, with a higher learning rate, and need more passes;
    docs/training.md has measured errors.
    """
    if num_structures >= _MANY:
        return Recipe({}, 16, 1e-4, 760, 100, 250, 0.0, 20)
    return short_recipe(num_structures)


def short_recipe(num_structures: int) -> Recipe:
    """Return a recipe with a high learning rate, the fewer passes the more structures there are."""
    num_epochs = _between(40, 60_000 // num_structures, 200)
    return Recipe(
        network=_SMALL_NETWORK,
        batch_size=min(8 if num_structures < _FEW else 16, num_structures),  # metatrain accepts no larger ones
        learning_rate=1e-3,
        num_epochs=num_epochs,
        warmup_epochs=max(1, num_epochs // 20),
        halving_epochs=None,
        weight_decay=0.01,
        checkpoint_interval=max(1, num_epochs // 20),
    )


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
