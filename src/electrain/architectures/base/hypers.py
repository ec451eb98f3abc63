"""Hyperparameters that the models of all architectures have."""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from typing import Literal, Optional

from typing_extensions import NotRequired, TypedDict


class EnergyAxisHypers(TypedDict):
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


class SpectralModelHypers(TypedDict):
    """Hyperparameters of what is around the network."""

    energy_grid: Optional[EnergyAxisHypers] = None
    """Energy axis of the density of states; needed if ``mtt::dos`` is a target."""
    band_gap_from: Literal["density_of_states", "atoms"] = "density_of_states"
    """What the band gap is read from: the density of states, by the convolutional network of the PET-MAD-DOS paper, or
    the features of the atoms, averaged over the structure, by a head like that of any other target, which trains the
    network, too. See docs/training.md for when the latter is worth a try."""
    zbl: bool = False
    """Add the Ziegler-Biersack-Littmark repulsion between nuclei at short distances to all energies."""


class LongRangeHypers(TypedDict):
    """Features of atoms far away: metatrain's, potentials of learned charges. They need the package torch-pme."""

    enable: bool = False
    """Whether there are any."""
    smearing: float = 1.4
    """Width of the Gaussian charges, in Angstrom."""
    kspace_resolution: float = 1.33
    """Resolution of the sum in reciprocal space, in Angstrom."""
    interpolation_nodes: int = 5
    """Points on which the particle mesh interpolates: 3 to 7."""
