"""Bandformer.

A graph transformer for atoms, and a transformer in which the k-points of a path attend to each other and to the atoms
of a crystal (Gong et al. 2024).

Targets: ``mtt::bands``, for which structures need k-points (``mtt::k_points``), and all scalars and spectra of
``pet_mad``. No vectors and tensors.
"""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Annotated, Literal, Optional

from annotated_types import Ge, Le, Lt, Unit
from metatrain.utils.hypers import init_with_defaults
from pydantic import AfterValidator, ValidationInfo
from typing_extensions import NotRequired

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.base.hypers import SpectralModelHypers
from electrain.architectures.base.point_edge_transformer import PointEdgeTransformerHypers
from electrain.interface.option_types import Count, Positive, at_most, divisor_of
from electrain.interface.options import MODEL_SECTION, TRAINING_SECTION, checked
from electrain.training import hypers as training


def resolved_by_path(value: int, info: ValidationInfo) -> int:
    """Return the number of Fourier coefficients.

    :raises ValueError: for more than the k-points of a path have.
    """
    limit = info.data.get("num_k_points", 2 * value) // 2  # not there if it is wrong itself
    if info.data.get("bands_as") == "fourier" and value > limit:
        raise ValueError(f"expected at most half of `num_k_points`, which is {limit}, got {value}")
    return value


@checked(MODEL_SECTION)
class ModelHypers(SpectralModelHypers):
    """Hyperparameters of the model."""

    cutoff: Annotated[Positive, Le(30.0), Unit("Angstrom")] = 8.0
    """Largest cutoff radius of an atom, for the graph transformer and for hoppings."""
    cutoff_width: Annotated[Positive, Unit("Angstrom"), at_most("cutoff")] = 1.0
    """Width of the smooth cutoff function, and of the smooth count of neighbors; at most ``cutoff``."""
    num_neighbors: Optional[Positive] = 12.0
    """The cutoff of every atom shrinks until about this many neighbors are left; ``null``: it is ``cutoff``."""
    width: Count = 128
    """Number of features of an atom and of a k-point."""
    num_heads: Annotated[Count, divisor_of("width")] = 4
    """Number of attention heads, a divisor of ``width``."""
    feedforward_width: Count = 256
    """Number of hidden features of the feed-forward network after each attention."""
    encoder: Literal["graph_transformer", "point_edge_transformer"] = "graph_transformer"
    """What makes the features of atoms: the ``graph_transformer`` of the paper, or the ``point_edge_transformer`` of
    ``pet_mad``, which may begin with the weights of a trained model (``training.encoder_from``)."""
    num_encoder_layers: Count = 3
    """Of ``graph_transformer``: number of layers in which atoms attend to their neighbors."""
    element_properties: bool = False
    """Of ``graph_transformer``: embed elements by their properties, as ``pet_mad`` does with this option. For few
    data."""
    point_edge_transformer: PointEdgeTransformerHypers = init_with_defaults(PointEdgeTransformerHypers)
    """Of ``point_edge_transformer``: its sizes, with cutoffs of its own."""
    num_decoder_layers: Count = 3
    """Number of layers in which k-points attend to each other, and then to the atoms."""
    num_gaussians: Annotated[int, Ge(2)] = 50
    """Number of Gaussians in which distances are expanded, from 0 to ``cutoff``."""
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Share of the hidden features and attention weights that is left out in training."""
    num_bands: Count = 6
    """Number of bands of ``mtt::bands``."""
    num_k_points: Annotated[int, Ge(2)] = 256
    """Number of k-points of a path; the target has ``num_bands`` times so many values."""
    k_encoding: Literal["lattice", "paper"] = "lattice"
    """What the network knows of a k-point: ``lattice`` is the same for k, -k and k + G, with any reciprocal lattice
    vector G, as energies are; ``paper`` has the plane waves of the paper, equations 2 and 3, which are not."""
    num_cosines: Annotated[int, Ge(0), Le(500)] = 13
    """Of ``lattice``: number of cosines of 2 pi n.k, with the shortest integer vectors n; those of one length together
    are 3, 9, 13 or 16. With 0, it does not matter which primitive cell a crystal has."""
    num_hoppings: Annotated[int, Ge(0)] = 8
    """Of ``lattice``: number of learned functions of distance, the Bloch sums of which tell how neighbors of a crystal
    see a k-point."""
    bands_as: Literal["points", "fourier"] = "points"
    """Predict dispersions at each k-point, or their Fourier coefficients along the path, with the same result in eV."""
    num_fourier: Annotated[Count, AfterValidator(resolved_by_path)] = 32
    """Of ``fourier``: number of the lowest coefficients, without the constant; at most half of ``num_k_points``."""


class FinetuneHypers(training.FinetuneHypers):
    """Fine-tuning: continue training a model on another dataset, which may have new targets."""

    read_from: Annotated[str, AfterValidator(checkpoint_of("bandformer"))]
    """Checkpoint of the trained model."""


@checked(TRAINING_SECTION)
class TrainerHypers(training.TrainerHypers):
    """Hyperparameters of the training."""

    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model instead of random weights."""
    encoder_from: Optional[Annotated[str, AfterValidator(checkpoint_of("pet_mad"))]] = None
    """Begin with the encoder of this ``pet_mad``: its checkpoint, or the name of a model (`electrain models`). It needs
    ``encoder: point_edge_transformer`` with the same sizes; elements that it does not know begin at random. Not with
    ``finetune``."""
    learning_rate: Positive = 1e-3
    """Learning rate of the Adam optimizer after warm-up."""
    rotational_augmentation: bool = False
    """Rotate and invert every training structure at random, which changes nothing for the graph transformer, and which
    the ``point_edge_transformer`` needs."""
