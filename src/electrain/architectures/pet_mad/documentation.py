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

from metatrain.composition.documentation import FixedCompositionWeights
from metatrain.scaler.documentation import FixedScalerWeights
from metatrain.utils.hypers import init_with_defaults
from metatrain.utils.long_range import LongRangeHypers
from metatrain.utils.loss import LossSpecification
from pydantic import AfterValidator
from typing_extensions import NotRequired, TypedDict

from electrain.architectures.base.checkpoints import checked_origin


class EnergyGridHypers(TypedDict):
    """The energy axis of ``mtt::dos``; `electrain prepare` writes it with the dataset."""

    start: float
    """Energy of the first channel, in eV."""
    step: float
    """Distance between channels, in eV."""
    size: int
    """Number of channels."""
    max_shift: int
    """How many channels (at the lower end of the axis) a prediction may be shifted against a target."""
    smearing: NotRequired[Optional[float]]
    """Standard deviation of the Gaussian in the targets, in eV; leave out if unknown."""
    reference: NotRequired[str]
    """What energy 0 means in the targets, e.g. "Fermi level"."""
    valence_electrons: NotRequired[Optional[dict[str, float]]]
    """Electrons of each element in the calculations, by chemical symbol: not used in training, but stored for
    thermodynamics and for models with hot electrons."""


class ModelHypers(TypedDict):
    """Hyperparameters of the network."""

    energy_grid: Optional[EnergyGridHypers] = None
    """Energy axis of the density of states; needed if ``mtt::dos`` is a target."""
    band_gap_from: Literal["density_of_states", "atoms"] = "density_of_states"
    """What the band gap is read from: the density of states, by the convolutional network of the PET-MAD-DOS paper, or
    the features of the atoms, averaged over the structure, by a head like that of any other target, which trains the
    network, too. See docs/training.md for when the latter is worth a try."""
    cutoff: float = 4.5
    """Cutoff radius, in Angstrom."""
    cutoff_width: float = 0.2
    """Width of the smooth cutoff function, in Angstrom."""
    cutoff_function: Literal["cosine", "bump", "Cosine", "Bump"] = "cosine"
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
    zbl: bool = False
    """Add the Ziegler-Biersack-Littmark repulsion between nuclei at short distances to all energies."""
    system_conditioning: bool = False
    """Read charge and spin multiplicity of each structure: ``extra_data`` of the training set, ``atoms.info`` in ASE;
    0 and 1 where they are not given."""
    max_charge: int = 10
    """With ``system_conditioning``: largest absolute charge, in elementary charges."""
    max_spin_multiplicity: int = 10
    """With ``system_conditioning``: largest spin multiplicity, 2S + 1."""
    long_range: LongRangeHypers = init_with_defaults(LongRangeHypers)
    """Features of atoms far away: metatrain's, potentials of learned charges. They need the package torch-pme. Training
    sums them up as Ewald did whatever ``use_ewald`` says, as in `pet`; predictions take a particle mesh."""


class LowRankHypers(TypedDict):
    """Low-rank updates ``W + (alpha / rank) B A`` of the linear layers in attention blocks (LoRA)."""

    rank: NotRequired[int]
    """Columns of B and rows of A; 8 by default."""
    alpha: NotRequired[float]
    """Strength of the update; 4.0 by default: with rank 8 a factor of 0.5, as for the PET-MAD paper."""
    target_modules: NotRequired[list[Literal["input_linear", "output_linear"]]]
    """Which layers: those that make queries, keys and values, and those behind attention; both by default."""


class FinetuneHypers(TypedDict):
    """Fine-tuning: a trained model goes on with another dataset, which may have new targets."""

    read_from: Annotated[str, AfterValidator(checked_origin)]
    """Checkpoint of the trained model; `electrain convert` makes one of metatrain's `pet` checkpoints."""
    method: NotRequired[Literal["full", "lora", "heads"]]
    """Train all parameters (``full``, the default), low-rank updates of attention (``lora``) or heads only. Heads of
    new targets are always trained. ``full`` and ``lora`` drop targets that the new dataset lacks; ``heads`` leaves them
    as they are."""
    config: NotRequired[LowRankHypers]
    """Options of ``lora``."""
    inherit_heads: NotRequired[dict[str, str]]
    """New targets whose heads start as copies: ``{new target: known target}``."""


class TrainerHypers(TypedDict):
    """Hyperparameters of the training."""

    distributed: NotRequired[bool]
    """Train on several GPUs; by default whenever SLURM starts more than one task."""
    distributed_port: int = 39591
    """Port for the communication between processes."""
    finetune: NotRequired[FinetuneHypers]
    """Begin from a trained model instead of random weights."""
    batch_size: int = 16
    """Structures in a batch."""
    max_atoms_per_batch: Optional[int] = None
    """If set, fill batches up to this number of atoms instead of a number of structures."""
    min_atoms_per_batch: int = 0
    """With ``max_atoms_per_batch``: drop batches of fewer atoms."""
    num_epochs: int = 760
    """Number of epochs."""
    learning_rate: float = 1e-4
    """Learning rate of the Adam optimizer after warm-up."""
    warmup_epochs: float = 100.0
    """Epochs over which the learning rate grows linearly from 0."""
    learning_rate_schedule: Literal["step_halving", "cosine"] = "step_halving"
    """After warm-up: halve the learning rate at regular intervals, or let it fall to 0 along a cosine until the last
    epoch."""
    halving_epochs: float = 250.0
    """With ``step_halving``: the interval, in epochs."""
    grad_clip_norm: float = 1.0
    """Gradients are scaled down to this norm if they are larger: of the network, and of each network that reads the
    density of states."""
    loss: str | dict[str, LossSpecification | str] = "mse"
    """Loss of each target and of its gradients (``forces``, ``stress`` or ``virial``): ``mse``, ``mae`` or ``huber``
    (with its ``delta``), and a ``weight``; PET-MAD weighs energies with 0.1 and forces with 1. ``mtt::dos`` always uses
    the self-aligning loss; its entry may set ``gradient_weight`` (alpha), ``cumulative_weight`` (beta) and
    ``weight``."""
    atomic_baseline: FixedCompositionWeights | str = {}
    """Energies of isolated atoms, or any other baseline per element; fitted by default."""
    scale_targets: bool = True
    """Scale targets (not the density of states and what is read from it) to unit standard deviation."""
    fixed_scaling_weights: FixedScalerWeights | str = {}
    """Scales to use instead of fitted ones."""
    per_structure_targets: list[str] = []
    """Targets whose errors are counted per structure instead of per atom; always so for band gap, Fermi level and
    ``non_conservative_stress``."""
    rotational_augmentation: bool = True
    """Rotate and invert every training structure at random."""
    num_workers: Optional[int] = None
    """Processes that load data; chosen automatically by default."""
    log_interval: int = 1
    """Log every so many epochs."""
    checkpoint_interval: int = 100
    """Save a checkpoint every so many epochs."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """How to compute in float32: as it says, with TensorFloat-32 products on GPUs (``high``), or with tokens and
    products in bfloat16 (``medium``), twice as fast where the device has it; see docs/speed.md for what it changes."""
    cuda_graphs: bool = False
    """On one GPU: record the network once for each size of batches, and replay it. For batches of small structures that
    a GPU computes faster than it is told what to do. Steps with forces or stresses by gradients stay as they are."""
    best_model_metric: Literal["rmse_prod", "loss"] = "rmse_prod"
    """Which validation error selects the best model: a product over targets, or the loss."""
