"""Baselines.

Small networks for spectra and numbers, to compare others with: an MLP and a graph network, as in the DOSTransformer
paper (Lee et al. 2023), with and without embeddings of energies, and two layers on fixed radial descriptors.

Targets: as for ``pet_mad``, except for vectors and tensors, because the networks only read distances.
"""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt, Unit
from pydantic import AfterValidator
from typing_extensions import NotRequired

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.base.hypers import SpectralModelHypers
from electrain.interface.option_types import Count, Positive, at_most, only_with
from electrain.interface.options import MODEL_SECTION, TRAINING_SECTION, checked
from electrain.training import hypers as training


@checked(MODEL_SECTION)
class ModelHypers(SpectralModelHypers):
    """Hyperparameters of the model."""

    network: Literal["mlp", "graph", "two_layer"] = "graph"
    """Where features of atoms come from: from their element alone (``mlp``), from message passing (``graph``), or from
    fixed radial descriptors and two layers (``two_layer``)."""
    energy_embeddings: bool = True
    """Predict each channel of a spectrum from a learned embedding of its energy, instead of all of them at once."""
    cutoff: Annotated[float, Ge(2.4), Le(30.0), Unit("Angstrom")] = 5.0
    """Cutoff radius of the graph network or the descriptors; the MLP sees no neighbors."""
    cutoff_width: Annotated[Positive, Unit("Angstrom"), at_most("cutoff")] = 1.0
    """Of ``graph``: width of the smooth cutoff function; at most ``cutoff``."""
    atom_features: Literal["embedding", "one_hot", "mass_weighted_one_hot"] = "embedding"
    """Of ``mlp`` and ``graph``: what the network knows of an element: a learned row (``embedding``), 1 in a column of
    its own (``one_hot``), or its mass in u there (``mass_weighted_one_hot``)."""
    num_gaussians: Annotated[int, Ge(2)] = 50
    """Of ``graph``: number of Gaussians in which distances are expanded, from 0 to ``cutoff``."""
    width: Count = 256
    """Number of features of an atom, an edge, an energy, and of all hidden layers."""
    num_message_passing_layers: Count = 3
    """Of ``graph``: number of steps of message passing."""
    neighbor_masses: Annotated[bool, only_with("network", "two_layer")] = False
    """Of ``two_layer``: descriptors also count neighbors with their masses as weights, ten more numbers for each atom.
    For phonons."""
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Share of the hidden features that is left out in training."""
    pooling: Literal["mean", "sum"] = "mean"
    """For spectra of whole structures, which are not sums over atoms: how the features of atoms are pooled. With
    ``sum``, as published, a supercell has another spectrum than its unit cell."""


class FinetuneHypers(training.FinetuneHypers):
    """Fine-tuning: continue training a model on another dataset, which may have new targets."""

    read_from: Annotated[str, AfterValidator(checkpoint_of("dos_baseline"))]
    """Checkpoint of the trained model."""


@checked(TRAINING_SECTION)
class TrainerHypers(training.TrainerHypers):
    """Hyperparameters of the training."""

    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model instead of random weights."""
    learning_rate: Positive = 1e-3
    """Learning rate of the Adam optimizer after warm-up."""
    rotational_augmentation: bool = False
    """Rotate and invert every training structure at random, which changes nothing for these networks."""
