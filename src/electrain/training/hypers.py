"""Hyperparameters shared by the trainers of all architectures: types, defaults, units and ranges."""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Annotated, Literal, Optional

from annotated_types import Ge, Gt, Interval, Unit
from pydantic import AfterValidator, ValidationInfo
from typing_extensions import NotRequired, TypedDict

from electrain.interface.option_types import AtomicNumber, Count, Finite, NonNegative, Positive, at_most
from electrain.nn.low_rank import LowRank
from electrain.spectra.losses import CUMULATIVE_WEIGHT, GRADIENT_WEIGHT


class LowRankHypers(TypedDict):
    """Low-rank updates ``W + (alpha / rank) B A`` of the linear layers in attention blocks (LoRA)."""

    rank: NotRequired[Count] = LowRank().rank
    """Number of columns of B and rows of A."""
    alpha: NotRequired[Positive] = LowRank().alpha
    """Strength of the update; the defaults give a factor of 0.5, as in the PET-MAD paper."""
    target_modules: NotRequired[list[str]]
    """Layers to update, by their names in the network: of attention, ``input_linear`` makes queries, keys and values,
    ``output_linear`` comes after it; default: all that can be updated."""


class FinetuneHypers(TypedDict):
    """Fine-tuning: continue training a model on another dataset, which may have new targets."""

    read_from: str
    """Checkpoint of the trained model, of the same architecture."""
    method: NotRequired[Literal["full", "lora", "heads"]] = "full"
    """Train all parameters (``full``), low-rank updates of attention (``lora``), or only the ``heads``.
    Heads of new targets are always trained. ``full`` and ``lora`` drop targets that the new dataset lacks; ``heads``
    leaves them as they are."""
    config: NotRequired[LowRankHypers]
    """Options of ``lora``."""
    inherit_heads: NotRequired[dict[str, str]]
    """New targets whose heads start as copies: ``{new target: known target}``."""


LossName = Literal["mse", "mae", "huber"]
TargetLossName = Literal["mse", "mae", "huber", "rmse", "wasserstein"]


class GradientLossHypers(TypedDict):
    """Loss of forces, stress or virial, the gradients of an energy."""

    type: NotRequired[LossName] = "mse"
    """Mean squared error, mean absolute error, or Huber loss."""
    weight: NotRequired[NonNegative] = 1.0
    """Weight in the total loss."""
    reduction: NotRequired[Literal["mean", "sum"]] = "mean"
    """Average or sum over the values in a batch."""
    delta: NotRequired[Positive] = 1.0
    """Of ``huber``: the error, in units of the scale of the target, above which the loss is linear."""


class LossHypers(GradientLossHypers):
    """Loss of a target."""

    type: NotRequired[Literal["mse", "mae", "huber", "rmse", "wasserstein", "self_aligning", "bands"]] = "mse"
    """Mean squared error, mean absolute error, or Huber loss. Spectra on a fixed axis have no ``huber``, but ``rmse``
    (mean over structures of the root of the mean squared error of each) and ``wasserstein`` (distance of cumulative
    spectra). ``mtt::dos`` always has the loss ``self_aligning``, and ``mtt::bands`` the loss ``bands``: the mean
    absolute error of the centers of bands, and that of their dispersions."""
    forces: NotRequired[GradientLossHypers | LossName]
    """Loss of the forces that are gradients of this energy."""
    stress: NotRequired[GradientLossHypers | LossName]
    """Loss of the stress that is a gradient of this energy."""
    virial: NotRequired[GradientLossHypers | LossName]
    """Loss of the virial that is a gradient of this energy."""
    gradients: NotRequired[dict[Literal["positions", "strain"], GradientLossHypers | LossName]]
    """The same by variable: ``positions`` for forces, ``strain`` for stress or virial."""
    gradient_weight: NotRequired[Annotated[NonNegative, Unit("eV^2")]] = GRADIENT_WEIGHT
    """Of ``mtt::dos``: alpha, see docs/training.md."""
    cumulative_weight: NotRequired[Annotated[NonNegative, Unit("eV^-2")]] = CUMULATIVE_WEIGHT
    """Of ``mtt::dos``: beta, see docs/training.md."""
    per: NotRequired[Literal["atom", "electron"]] = "atom"
    """Of ``mtt::dos``: divide the loss of a structure by its number of atoms, as published, or by the electrons in its
    target, as the reported error does, so that heavy elements do not outweigh the others."""
    dispersion_weight: NotRequired[NonNegative] = 1.0
    """Of ``mtt::bands``: weight of the dispersions relative to the centers. With 1, the loss is at least the mean
    absolute error of the energies."""


def with_packing(min_atoms: int, info: ValidationInfo) -> int:
    """Return ``min_atoms_per_batch``.

    :raises ValueError: if batches are not packed by their number of atoms.
    """
    if min_atoms > 0 and info.data.get("max_atoms_per_batch", min_atoms) is None:
        raise ValueError(f"expected 0 without `max_atoms_per_batch`, which packs batches by atoms, got {min_atoms}")
    return min_atoms


class TrainerHypers(TypedDict):
    """Hyperparameters of the training."""

    distributed: NotRequired[bool]
    """Train in several processes, one per GPU (or on CPUs); default: if torchrun or SLURM starts more than one. See
    docs/training.md."""
    distributed_port: Annotated[int, Interval(ge=1, le=65535)] = 39591
    """Port for the communication between the processes of a SLURM job; two jobs on one computer need different ones."""
    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model instead of random weights."""
    batch_size: Count = 16
    """Number of structures in a batch; several processes share it."""
    max_atoms_per_batch: Optional[Count] = None
    """If set, fill batches up to this number of atoms instead of a number of structures; several processes share it."""
    min_atoms_per_batch: Annotated[int, Ge(0), at_most("max_atoms_per_batch"), AfterValidator(with_packing)] = 0
    """With ``max_atoms_per_batch``: drop batches with fewer atoms."""
    num_epochs: Annotated[Count, Unit("epochs")] = 760
    """Length of the training, including the epochs before a restart; at least one, because an untrained model must not
    be exported."""
    learning_rate: Positive = 1e-4
    """Learning rate of the Adam optimizer after warm-up."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay (AdamW), relative to the learning rate; the spectra of elements are exempt."""
    warmup_epochs: Annotated[NonNegative, Unit("epochs")] = 100.0
    """Duration of the warm-up, in which the learning rate increases linearly from 0."""
    learning_rate_schedule: Literal["step_halving", "cosine"] = "step_halving"
    """After warm-up: halve the learning rate at regular intervals, or decrease it to 0 along a cosine until the last
    epoch."""
    halving_epochs: Annotated[Positive, Unit("epochs")] = 250.0
    """With ``step_halving``: the interval."""
    grad_clip_norm: Annotated[float, Gt(0)] = 1.0
    """Gradients with a larger norm are scaled down to this norm, separately for the network and for each head that
    reads the density of states; ``.inf`` for no limit."""
    loss: TargetLossName | dict[str, LossHypers | TargetLossName] = "mse"
    """Loss of all targets, or of each target, by its name; PET-MAD uses weights of 0.1 for energies and 1 for forces.
    ``mtt::dos`` always uses the self-aligning loss, and ``mtt::bands`` that of bands."""
    atomic_baseline: dict[str, Finite | dict[AtomicNumber, Finite]] | str = {}
    """Energies of isolated atoms, or any other per-element baseline, in units of the target, for some targets: one
    number, or one per atomic number. Or the file of a composition model of metatrain. Default: fitted."""
    scale_targets: bool = True
    """Scale targets to unit standard deviation, except the density of states and quantities read from it."""
    fixed_scaling_weights: dict[str, Positive | dict[AtomicNumber, Positive]] | str = {}
    """Scales to use instead of fitted ones, in units of the target, for some targets: one number, or one per atomic
    number. Or the file of a scaler of metatrain."""
    per_structure_targets: list[str] = []
    """Targets whose errors are per structure instead of per atom, as they always are for band gap, Fermi level and
    ``non_conservative_stress``."""
    rotational_augmentation: bool = True
    """Rotate and invert every training structure at random."""
    num_workers: Optional[Annotated[int, Ge(0)]] = None
    """Number of processes that load data; default: chosen automatically."""
    log_interval: Annotated[Count, Unit("epochs")] = 1
    """Interval of log entries."""
    checkpoint_interval: Annotated[Count, Unit("epochs")] = 100
    """Interval of checkpoints."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """Precision of float32 computations: true float32 (``highest``), TensorFloat-32 products on GPUs (``high``), or
    tokens and products in bfloat16 (``medium``), which is twice as fast if the device supports it; see docs/speed.md
    for the effect on predictions."""
    best_model_metric: Literal["rmse_prod", "loss"] = "rmse_prod"
    """Validation error that selects the best model: the product over targets (``rmse_prod``), or the loss."""
