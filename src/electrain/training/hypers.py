"""Hyperparameters shared by the trainers of all architectures."""

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
    """Number of columns of B and rows of A; default: 8."""
    alpha: NotRequired[float]
    """Strength of the update; default: 4.0, which gives a factor of 0.5 with rank 8, as in the PET-MAD paper."""
    target_modules: NotRequired[list[str]]
    """Layers to update, by their names in the network: of attention, ``input_linear`` makes queries, keys and values,
    ``output_linear`` comes after it; default: all that can be updated."""


class FinetuneHypers(TypedDict):
    """Fine-tuning: continue training a model on another dataset, which may have new targets."""

    read_from: str
    """Checkpoint of the trained model, of the same architecture."""
    method: NotRequired[Literal["full", "lora", "heads"]]
    """Train all parameters (``full``, the default), low-rank updates of attention (``lora``), or only the ``heads``.
    Heads of new targets are always trained. ``full`` and ``lora`` drop targets that the new dataset lacks; ``heads``
    leaves them as they are."""
    config: NotRequired[LowRankHypers]
    """Options of ``lora``."""
    inherit_heads: NotRequired[dict[str, str]]
    """New targets whose heads start as copies: ``{new target: known target}``."""


class TrainerHypers(TypedDict):
    """Hyperparameters of the training."""

    distributed: NotRequired[bool]
    """Train on several GPUs; default: if SLURM starts more than one task."""
    distributed_port: int = 39591
    """Port for the communication between processes."""
    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model instead of random weights."""
    batch_size: int = 16
    """Number of structures in a batch."""
    max_atoms_per_batch: Optional[int] = None
    """If set, fill batches up to this number of atoms instead of a number of structures."""
    min_atoms_per_batch: int = 0
    """With ``max_atoms_per_batch``: drop batches with fewer atoms."""
    num_epochs: int = 760
    """Number of epochs."""
    learning_rate: float = 1e-4
    """Learning rate of the Adam optimizer after warm-up."""
    warmup_epochs: float = 100.0
    """Epochs over which the learning rate increases linearly from 0."""
    learning_rate_schedule: Literal["step_halving", "cosine"] = "step_halving"
    """After warm-up: halve the learning rate at regular intervals, or decrease it to 0 along a cosine until the last
    epoch."""
    halving_epochs: float = 250.0
    """With ``step_halving``: the interval, in epochs."""
    grad_clip_norm: float = 1.0
    """Gradients with a larger norm are scaled down to this norm, separately for the network and for each head that
    reads the density of states."""
    loss: str | dict[str, LossSpecification | str] = "mse"
    """Loss of each target and of its gradients (``forces``, ``stress`` or ``virial``): ``mse``, ``mae`` or ``huber``
    (with its ``delta``), and a ``weight``; PET-MAD uses weights of 0.1 for energies and 1 for forces. ``mtt::dos``
    always uses the self-aligning loss; its entry may set ``gradient_weight`` (alpha), ``cumulative_weight`` (beta) and
    ``weight``."""
    atomic_baseline: FixedCompositionWeights | str = {}
    """Energies of isolated atoms, or any other per-element baseline; default: fitted."""
    scale_targets: bool = True
    """Scale targets to unit standard deviation, except the density of states and quantities read from it."""
    fixed_scaling_weights: FixedScalerWeights | str = {}
    """Scales to use instead of fitted ones."""
    per_structure_targets: list[str] = []
    """Targets whose errors are per structure instead of per atom, as they always are for band gap, Fermi level and
    ``non_conservative_stress``."""
    rotational_augmentation: bool = True
    """Rotate and invert every training structure at random."""
    num_workers: Optional[int] = None
    """Number of processes that load data; default: chosen automatically."""
    log_interval: int = 1
    """Interval of log entries, in epochs."""
    checkpoint_interval: int = 100
    """Interval of checkpoints, in epochs."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """Precision of float32 computations: true float32 (``highest``), TensorFloat-32 products on GPUs (``high``), or
    tokens and products in bfloat16 (``medium``), which is twice as fast if the device supports it; see docs/speed.md
    for the effect on predictions."""
    best_model_metric: Literal["rmse_prod", "loss"] = "rmse_prod"
    """Validation error that selects the best model: the product over targets (``rmse_prod``), or the loss."""
