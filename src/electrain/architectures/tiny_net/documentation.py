"""TinyNet.

A small network for each element, which reads a vector of the bonds around an atom: the self-returning paths from bond
to bond, after the moments theorem, and the coordinates of neighbors (Shafir and Grinberg). Its size and the activation
are those of the paper.

Targets: as for ``pet_mad``, except for tensors. Cartesian vectors, such as direct forces, turn with the structure.
"""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Annotated, Literal, Optional

from annotated_types import Le, Len, Unit
from pydantic import AfterValidator, ValidationInfo
from typing_extensions import NotRequired

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.base.hypers import SpectralModelHypers
from electrain.interface.option_types import Count, NonNegative, Positive
from electrain.interface.options import MODEL_SECTION, TRAINING_SECTION, checked
from electrain.training import hypers as training


def for_all_hops(numbers: list[int], info: ValidationInfo) -> list[int]:
    """Return the numbers of entries for paths.

    :raises ValueError: if there are fewer of them than numbers of hops.
    """
    hops = info.data.get("num_hops", 0)  # not there if it is wrong itself
    if len(numbers) < hops - 1:
        raise ValueError(
            f"expected {hops - 1} numbers of paths with `num_hops: {hops}`, for 2 to {hops} hops, got {len(numbers)}"
        )
    return numbers


@checked(MODEL_SECTION)
class ModelHypers(SpectralModelHypers):
    """Hyperparameters of the model."""

    num_hops: Literal[0, 2, 4, 6, 8] = 4
    """n of the paper: paths of 2 to so many hops are entries of the vector. Their number, and with it time and memory,
    grows exponentially with it."""
    paths: Literal["all", "simple_cycles"] = "all"
    """Whether paths may visit atoms again (``all``) or not (``simple_cycles``, among which a bond forth and back
    counts). The latter are fewer where atoms have many bonds."""
    num_paths: Optional[Annotated[list[Count], AfterValidator(for_all_hops)]] = None
    """Numbers of entries for paths of 2, 3, ... hops; those with the largest values are kept. What is listed beyond
    ``num_hops`` is not used. ``null``: as many as any atom of the training and validation set has, and a quarter more,
    at least 4 and at most 4096 for each number of hops."""
    neighbor_order: Literal[0, 2, 4] = 2
    """N of the paper: neighbors up to so many bonds away have coordinates in the vector. With 0, it is continuous, see
    docs/tiny_net.md."""
    num_neighbors: Optional[Count] = None
    """Number of neighbors that can have coordinates in the vector; the nearest ones are kept. ``null``: as
    ``num_paths``."""
    too_many: Literal["error", "truncate"] = "error"
    """What happens to an atom with more paths or neighbors than the vector has entries: an error, or the smallest paths
    and the farthest neighbors are left out, with a warning."""
    bonds: Literal["covalent_radii", "cutoff"] = "covalent_radii"
    """Which atoms are bonded: those that are nearer than ``bond_factor`` times the sum of their covalent radii, or
    those that are nearer than ``cutoff``, whatever their elements."""
    bond_factor: Annotated[Positive, Le(3.0)] = 1.3
    """Longest bond in units of the sum of the covalent radii."""
    cutoff: Annotated[Positive, Le(30.0), Unit("Angstrom")] = 3.0
    """Longest bond for ``bonds: cutoff``."""
    bond_width: Annotated[NonNegative, Unit("Angstrom")] = 0.3
    """Width of the step in which the weight of a bond goes to zero before the bond breaks. With 0, as in the paper,
    predictions jump there."""
    widths: Annotated[list[Count], Len(2, 2)] = [16, 32]
    """Numbers of features of the two hidden layers."""


class FinetuneHypers(training.FinetuneHypers):
    """Fine-tuning: continue training a model on another dataset, which may have new targets."""

    read_from: Annotated[str, AfterValidator(checkpoint_of("tiny_net"))]
    """Checkpoint of the trained model."""


@checked(TRAINING_SECTION)
class TrainerHypers(training.TrainerHypers):
    """Hyperparameters of the training."""

    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model instead of random weights."""
    learning_rate: Positive = 1e-3
    """Learning rate of the Adam optimizer after warm-up."""
    rotational_augmentation: bool = False
    """Rotate and invert every training structure at random, which changes nothing for this network."""
