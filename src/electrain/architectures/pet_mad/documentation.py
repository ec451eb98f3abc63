"""PET-MAD.

The Point Edge Transformer (PET) for energies (PET-MAD) and electronic densities of states (PET-MAD-DOS), with band
gap and Fermi level heads that read the predicted density of states. Defaults are those of the published models.

Targets: ``energy`` (eV; forces and stress are its derivatives) and variants such as ``energy/pbe``,
``non_conservative_force`` and ``non_conservative_stress`` (predicted directly), ``mtt::dos`` (one value per channel of
``energy_grid``, states/eV of the structure), ``mtt::bandgap`` and ``mtt::efermi`` (eV), and any scalar, vector or
tensor target that metatrain knows. Structures may lack some of them (NaN).
"""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Annotated, Literal, Optional

from metatrain.utils.hypers import init_with_defaults
from pydantic import AfterValidator
from typing_extensions import NotRequired

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.base.hypers import LongRangeHypers, SpectralModelHypers
from electrain.training import hypers as training


class ModelHypers(SpectralModelHypers):
    """Hyperparameters of the model."""

    cutoff: float = 4.5
    """Cutoff radius, in Angstrom."""
    cutoff_width: float = 0.2
    """Width of the smooth cutoff function, in Angstrom."""
    cutoff_function: Literal["cosine", "bump"] = "cosine"
    """Shape of the cutoff function."""
    num_neighbors_adaptive: Optional[float] = None
    """If set, every atom's cutoff shrinks until about this many neighbors are left."""
    cutoff_width_adaptive: float = 1.0
    """Width (Angstrom) of the smooth count of neighbors for the adaptive cutoff."""
    adaptive_cutoff_method: Literal["solver", "grid"] = "solver"
    """Root finding, or (older checkpoints) a weighted mean over a grid of radii."""
    featurizer: Literal["residual", "feedforward"] = "residual"
    """Read out every message-passing layer (residual) or the last one only (feedforward)."""
    num_message_passing_layers: int = 2
    """Number of transformers that exchange messages."""
    num_attention_layers: int = 2
    """Layers of each transformer."""
    edge_width: int = 256
    """Features of an edge (token)."""
    node_width: int = 256
    """Features of an atom."""
    feedforward_width: int = 512
    """Hidden features of the transformers' feed-forward networks."""
    head_width: int = 512
    """Hidden features of the heads."""
    num_heads: int = 8
    """Attention heads."""
    attention_temperature: float = 1.0
    """Divides the attention logits."""
    normalization: Literal["LayerNorm", "RMSNorm"] = "LayerNorm"
    """Normalization in the transformers."""
    activation: Literal["SiLU", "SwiGLU"] = "SiLU"
    """Activation of the transformers' feed-forward networks."""
    transformer_type: Literal["PostLN", "PreLN"] = "PostLN"
    """Normalize after or before attention and feed-forward network."""
    system_conditioning: bool = False
    """Read charge and spin multiplicity of each structure: ``extra_data`` of the training set, ``atoms.info`` in ASE;
    0 and 1 where they are not given."""
    max_charge: int = 10
    """With ``system_conditioning``: largest absolute charge, in elementary charges."""
    max_spin_multiplicity: int = 10
    """With ``system_conditioning``: largest spin multiplicity, 2S + 1."""
    long_range: LongRangeHypers = init_with_defaults(LongRangeHypers)
    """Features of atoms far away. Training sums them up as Ewald did, as in `pet`; predictions take a particle mesh."""


class FinetuneHypers(training.FinetuneHypers):
    """Fine-tuning: a trained model goes on with another dataset, which may have new targets."""

    read_from: Annotated[str, AfterValidator(checkpoint_of("pet_mad"))]
    """Checkpoint of the trained model; `electrain convert` makes one of metatrain's `pet` checkpoints."""


class TrainerHypers(training.TrainerHypers):
    """Hyperparameters of the training."""

    finetune: NotRequired[FinetuneHypers]
    """Begin from a trained model instead of random weights."""
    cuda_graphs: bool = False
    """On one GPU: record the network once for each size of batches, and replay it. For batches of small structures that
    a GPU computes faster than it is told what to do. Steps with forces or stresses by gradients stay as they are."""
