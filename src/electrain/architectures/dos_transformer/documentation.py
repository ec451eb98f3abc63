"""DOSTransformer.

A graph network for atoms, and a transformer in which embeddings of energies attend to the atoms of a structure (Lee et
al. 2023). The defaults are those of the paper, where it has them.

Targets: as for ``pet_mad``, except for vectors and tensors, because the network only reads distances.
"""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt, Unit
from pydantic import AfterValidator
from typing_extensions import NotRequired

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.base.hypers import SpectralModelHypers
from electrain.interface.option_types import Count, Positive, at_most, divisor_of
from electrain.interface.options import MODEL_SECTION, TRAINING_SECTION, checked
from electrain.training import hypers as training


@checked(MODEL_SECTION)
class ModelHypers(SpectralModelHypers):
    """Hyperparameters of the model."""

    cutoff: Annotated[Positive, Le(30.0), Unit("Angstrom")] = 5.0
    """Cutoff radius of the graph network. The number of edges, and with it time and memory, grows with its third
    power."""
    cutoff_width: Annotated[Positive, Unit("Angstrom"), at_most("cutoff")] = 1.0
    """Width of the smooth cutoff function; at most ``cutoff``."""
    atom_features: Literal["embedding", "one_hot", "mass_weighted_one_hot"] = "embedding"
    """What the network knows of an element: a learned row (``embedding``), 1 in a column of its own (``one_hot``), or
    its mass in u there, as in the published code (``mass_weighted_one_hot``)."""
    num_gaussians: Annotated[int, Ge(2)] = 50
    """Number of Gaussians in which distances are expanded, from 0 to ``cutoff``."""
    width: Count = 256
    """Number of features of an atom, of an edge, and of the hidden layers of the graph network."""
    num_message_passing_layers: Count = 3
    """Number of steps of message passing."""
    energy_width: Count = 256
    """Number of features of an energy (a channel of a spectrum). Time and memory for spectra with thousands of channels
    are mostly spent on these."""
    num_attention_layers: Count = 2
    """Number of layers in which energies attend to atoms."""
    num_heads: Annotated[Count, divisor_of("energy_width")] = 1
    """Number of attention heads, a divisor of ``energy_width``."""
    feedforward_width: Annotated[int, Ge(0)] = 0
    """Number of hidden features of a feed-forward network after each attention, as in other transformers; 0, as in the
    equations of the paper, for none."""
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Share of the hidden features and attention weights that is left out in training."""
    pooling: Literal["mean", "sum"] = "mean"
    """For spectra of whole structures, which are not sums over atoms: how the features of atoms are pooled. With
    ``sum``, as published, a supercell has another spectrum than its unit cell."""
    crystal_system_prompt: bool = False
    """Read the crystal system of each structure, from ``extra_data`` of the training set or ``mtt::crystal_system`` of
    the systems: it changes how the energies of all spectra attend to atoms. It may be unknown."""


class FinetuneHypers(training.FinetuneHypers):
    """Fine-tuning: continue training a model on another dataset, which may have new targets."""

    read_from: Annotated[str, AfterValidator(checkpoint_of("dos_transformer"))]
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
