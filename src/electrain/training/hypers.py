"""Hyperparameters that the trainers of all architectures have."""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Literal, Optional

from metatrain.composition.documentation import FixedCompositionWeights
from metatrain.scaler.documentation import FixedScalerWeights
from metatrain.utils.loss import LossSpecification
from typing_extensions import NotRequired, TypedDict


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

    read_from: str
    """Checkpoint of the trained model, of the same architecture."""
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
    best_model_metric: Literal["rmse_prod", "loss"] = "rmse_prod"
    """Which validation error selects the best model: a product over targets, or the loss."""
