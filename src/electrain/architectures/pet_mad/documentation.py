"""PET-MAD.

The Point Edge Transformer (PET) for energies (PET-MAD) and electronic densities of states (PET-MAD-DOS), with band
gap and Fermi level heads that read the predicted density of states. The defaults are those of the published models.

Targets: ``energy`` (eV; forces and stress are its derivatives) and variants such as ``energy/pbe``,
``non_conservative_force`` and ``non_conservative_stress`` (predicted directly), ``mtt::dos`` (one value per channel of
``energy_grid``, in states/eV for the whole structure), ``mtt::bandgap`` and ``mtt::efermi`` (eV), and any scalar,
vector or tensor target that metatrain supports. Structures may lack some of the targets (NaN).
"""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Annotated, Literal, Optional

from annotated_types import Ge, Le, Lt, Unit
from metatrain.utils.hypers import init_with_defaults
from pydantic import AfterValidator
from typing_extensions import NotRequired

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.base.hypers import LongRangeHypers, SpectralModelHypers
from electrain.architectures.base.point_edge_transformer import PointEdgeTransformerHypers
from electrain.interface.option_types import Count, only_with
from electrain.interface.options import MODEL_SECTION, TRAINING_SECTION, checked
from electrain.training import hypers as training


@checked(MODEL_SECTION)
class ModelHypers(SpectralModelHypers, PointEdgeTransformerHypers):
    """Hyperparameters of the model."""

    head_width: Count = 512
    """Number of hidden features in the heads."""
    system_conditioning: bool = False
    """Read the charge and spin multiplicity of each structure, from ``extra_data`` of the training set or
    ``atoms.info`` in ASE; the defaults are 0 and 1."""
    max_charge: Annotated[int, Ge(0), Unit("elementary charges")] = 10
    """With ``system_conditioning``: largest absolute charge."""
    max_spin_multiplicity: Count = 10
    """With ``system_conditioning``: largest spin multiplicity, 2S + 1."""
    spectrum_head: Literal["linear", "shifted_parts"] = "linear"
    """How the density of states comes from the features: as a linear map of them, as published, or as squares that
    begin with spectra of the elements, in four parts that move along the energy axis. The latter is for few data; its
    local densities of states cannot be negative."""
    radial_descriptors: Annotated[
        Optional[Annotated[float, Ge(2.4), Le(30.0), Unit("Angstrom")]], only_with("spectrum_head", "shifted_parts")
    ] = None
    """With ``spectrum_head: shifted_parts``: if set, its head also reads fixed radial descriptors of the neighborhood
    up to this distance, which may be larger than ``cutoff``."""
    dropout: Annotated[float, Ge(0.0), Lt(1.0), only_with("spectrum_head", "shifted_parts")] = 0.0
    """With ``spectrum_head: shifted_parts``: share of the hidden features in its head that is left out in training."""
    long_range: LongRangeHypers = init_with_defaults(LongRangeHypers)
    """metatrain's long-range features, which are potentials of learned charges; they need the package torch-pme. As in
    `pet`, training uses Ewald summation and predictions a particle mesh."""


class FinetuneHypers(training.FinetuneHypers):
    """Fine-tuning: continue training a model on another dataset, which may have new targets."""

    read_from: Annotated[str, AfterValidator(checkpoint_of("pet_mad"))]
    """Checkpoint of the trained model, or the name of a model, see `electrain models`; `electrain convert` makes a
    checkpoint from one of metatrain's `pet`."""


@checked(TRAINING_SECTION)
class TrainerHypers(training.TrainerHypers):
    """Hyperparameters of the training."""

    finetune: NotRequired[FinetuneHypers]
    """Start from a trained model instead of random weights."""
    cuda_graphs: bool = False
    """On one GPU: record the network once for each batch size, and replay it. This is for batches of small structures,
    which a GPU computes faster than its kernels can be launched. Steps with forces or stresses as gradients are not
    recorded."""
