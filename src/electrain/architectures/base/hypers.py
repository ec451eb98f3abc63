"""Hyperparameters shared by the models of all architectures."""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Literal, Optional

from typing_extensions import NotRequired, TypedDict


class EnergyAxisHypers(TypedDict):
    """The energy axis of ``mtt::dos``; `electrain prepare` writes it with the dataset."""

    start: float
    """Energy of the first channel, in eV."""
    step: float
    """Spacing of the channels, in eV."""
    size: int
    """Number of channels."""
    max_shift: int
    """Largest shift of a prediction relative to its target, in channels (at the lower end of the axis)."""
    smearing: NotRequired[Optional[float]]
    """Standard deviation of the Gaussian broadening of the targets, in eV; omit if unknown."""
    reference: NotRequired[str]
    """What energy 0 means in the targets, e.g. "Fermi level"."""
    valence_electrons: NotRequired[Optional[dict[str, float]]]
    """Number of valence electrons of each element in the calculations, by chemical symbol. Not used in training, but
    stored for thermodynamics and for models with hot electrons."""


class SpectralModelHypers(TypedDict):
    """Hyperparameters of the model around the network."""

    energy_grid: Optional[EnergyAxisHypers] = None
    """Energy axis of the density of states; needed if ``mtt::dos`` is a target."""
    band_gap_from: Literal["density_of_states", "atoms"] = "density_of_states"
    """Source of the band gap: ``density_of_states`` uses the convolutional network of the PET-MAD-DOS paper, ``atoms``
    a head like that of any other target, which reads features of the atoms averaged over the structure and also trains
    the network. See docs/training.md for when the latter is worth trying."""
    zbl: bool = False
    """Add the Ziegler-Biersack-Littmark repulsion between nuclei at short distances to all energies."""


class LongRangeHypers(TypedDict):
    """metatrain's long-range features, which are potentials of learned charges. They need the package torch-pme."""

    enable: bool = False
    """Whether to use them."""
    smearing: float = 1.4
    """Standard deviation of the Gaussian charges, in Angstrom."""
    kspace_resolution: float = 1.33
    """Resolution of the sum in reciprocal space, in Angstrom."""
    interpolation_nodes: int = 5
    """Number of interpolation points of the particle mesh, 3 to 7."""
