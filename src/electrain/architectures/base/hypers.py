"""Hyperparameters shared by the models of all architectures: types, defaults, units and ranges."""

# mypy: disable-error-code=misc
# (metatrain's convention: TypedDicts with default values)

from importlib.util import find_spec
from typing import Annotated, Literal, Optional

from annotated_types import Ge, Interval, Unit
from pydantic import AfterValidator
from typing_extensions import NotRequired, TypedDict

from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.fixed_axes import fixed_axis
from electrain.interface.option_types import Finite, Positive, ValenceElectrons
from electrain.spectra.axis import EnergyAxis


class EnergyAxisHypers(TypedDict):
    """The energy axis of ``mtt::dos``; `electrain prepare` writes it with the dataset."""

    start: Annotated[Finite, Unit("eV")]
    """Energy of the first channel."""
    step: Annotated[Positive, Unit("eV")]
    """Spacing of the channels."""
    size: Annotated[int, Ge(2)]
    """Number of channels."""
    max_shift: Annotated[int, Ge(0), Unit("channels")]
    """Largest shift of a prediction relative to its target (at the lower end of the axis); less than ``size``."""
    smearing: NotRequired[Optional[Annotated[Positive, Unit("eV")]]] = None
    """Standard deviation of the Gaussian broadening of the targets, if known."""
    reference: NotRequired[Literal["Fermi level"]] = "Fermi level"
    """What energy 0 means in the targets: the Fermi level of each structure in DFT, or the middle of its gap."""
    valence_electrons: NotRequired[Optional[ValenceElectrons]] = None
    """Number of valence electrons of each element in the calculations, by chemical symbol. Not used in training, but
    stored for thermodynamics and for models with hot electrons."""
    spin_polarized: NotRequired[Optional[bool]] = None
    """Whether any of the calculations had spins. If not, structures with an odd number of valence electrons are
    predicted to have no band gap, because a band is half filled; not if the network reads charges."""


def valid_axis(settings: Optional[EnergyAxisHypers]) -> Optional[EnergyAxisHypers]:
    """Return the settings of an energy axis.

    :raises ValueError: if there is no such axis, or data sets cannot represent it.
    """
    if settings is not None:
        grid_to_labels(EnergyAxis.from_dict(settings).grid)
    return settings


class FixedAxisHypers(TypedDict):
    """Axis of a spectrum that is not shifted: of a phonon or electronic density of states on given channels."""

    start: Finite
    """First channel, in ``unit``: of electrons relative to the Fermi level; of phonons at least 0."""
    step: Positive
    """Spacing of the channels, in ``unit``."""
    size: Annotated[int, Ge(2)]
    """Number of channels."""
    unit: Literal["eV", "meV", "THz", "cm^-1"]
    """Unit of the axis; a density of states is in states per this unit."""


def valid_fixed_axes(settings: dict[str, FixedAxisHypers]) -> dict[str, FixedAxisHypers]:
    """Return the settings of fixed axes.

    :raises ValueError: for a target that has none, and for an invalid axis.
    """
    for name, axis in settings.items():
        fixed_axis(name, axis)
    return settings


class SpectralModelHypers(TypedDict):
    """Hyperparameters of the model around the network."""

    energy_grid: Annotated[Optional[EnergyAxisHypers], AfterValidator(valid_axis)] = None
    """Energy axis of the density of states; needed if ``mtt::dos`` is a target."""
    fixed_axes: Annotated[dict[str, FixedAxisHypers], AfterValidator(valid_fixed_axes)] = {}
    """Axes of spectra that are compared channel by channel, without any shift, by the name of their target:
    ``mtt::phonon_dos`` or ``mtt::electronic_dos`` (states per unit of the axis in the whole structure, a sum over
    atoms), ``mtt::local_dos`` (the same for each atom), ``mtt::phonon_dos_normalized`` or
    ``mtt::electronic_dos_normalized`` (from 0 to 1, or any other spectrum that does not grow with the structure; a mean
    over atoms)."""
    band_gap_from: Literal["density_of_states", "atoms"] = "density_of_states"
    """Source of the band gap: ``density_of_states`` uses the convolutional network of the PET-MAD-DOS paper, ``atoms``
    a head like that of any other target, which reads features of the atoms averaged over the structure and also trains
    the network. See docs/training.md for when the latter is worth trying."""
    zbl: bool = False
    """Add the Ziegler-Biersack-Littmark repulsion between nuclei at short distances to all energies; needs an energy
    among the targets."""


def installed_for(enable: bool) -> bool:
    """Return whether long-range features are used.

    :raises ValueError: if they are, without the package they need.
    """
    if enable and find_spec("torchpme") is None:
        raise ValueError("long-range features need the package torch-pme: pip install 'electrain[long-range]'")
    return enable


class LongRangeHypers(TypedDict):
    """metatrain's long-range features, which are potentials of learned charges. They need the package torch-pme."""

    enable: Annotated[bool, AfterValidator(installed_for)] = False
    """Whether to use them."""
    smearing: Annotated[Positive, Unit("Angstrom")] = 1.4
    """Standard deviation of the Gaussian charges."""
    kspace_resolution: Annotated[Positive, Unit("Angstrom")] = 1.33
    """Resolution of the sum in reciprocal space."""
    interpolation_nodes: Annotated[int, Interval(ge=1, le=5)] = 5
    """Number of interpolation points of the particle mesh."""
