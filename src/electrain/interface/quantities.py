"""The table of quantities that are learned and predicted: data, losses, errors and exports iterate over its rows.

A new quantity is one row here, and a loss in :mod:`electrain.training.losses` if no existing one is suitable. Data sets
contain it if a reader puts it into the values of a :class:`~electrain.data.Calculation`, as the reader of extended XYZ
does with the values under its key.
"""

from dataclasses import dataclass, replace
from typing import Literal

DENSITY_OF_STATES = "mtt::dos"
BAND_GAP = "mtt::bandgap"
FERMI_LEVEL = "mtt::efermi"
BANDS = "mtt::bands"
ELECTRONIC_DOS = "mtt::electronic_dos"
LOCAL_DOS = "mtt::local_dos"
ELECTRONIC_DOS_NORMALIZED = "mtt::electronic_dos_normalized"
PHONON_DOS = "mtt::phonon_dos"
PHONON_DOS_NORMALIZED = "mtt::phonon_dos_normalized"
ENERGY = "energy"
FORCES = "forces"
STRESS = "stress"
# metatomic's standard names; variants carry a suffix: "non_conservative_stress/pbe"
DIRECT_FORCE = "non_conservative_force"
DIRECT_FORCE_DEPRECATED = "non_conservative_forces"  # the name in older versions of metatomic, which it still accepts
DIRECT_STRESS = "non_conservative_stress"


@dataclass(frozen=True)
class Quantity:
    """Everything that other modules need to know about a quantity.

    :param name: name in data sets, options files and exported models.
    :param label: name for readers.
    :param plural: plural of the label, if it is another word.
    :param unit: unit of a value, for readers.
    :param key: key in extended XYZ files, not one that ASE reserves; a quantity without key is in no data set.
    :param option_unit: unit in options files and exported models, if metatomic does not support ``unit``.
    :param description: description in options files and exported models.
    :param comment: comment above it in options files.
    :param shape: shape of a value: ``()`` for a number, ``(3,)``, ``(3, 3)``; ``None`` for a spectrum, which has a
        value for each channel of an axis.
    :param is_bands: whether it is a number for each band at each k-point of a path, band after band. Such a quantity
        is predicted for k-points that are an input.
    :param per: whether it has a value per structure or per atom in data sets.
    :param gradient_of: the energy of which forces and stress are gradients; they are not separate targets.
    :param fixed_axis: for a spectrum on an axis of its own (``fixed_axes`` in the options), which is never shifted:
        what is on the axis, an ``"energy"`` or a ``"frequency"``; ``None`` for a spectrum on ``energy_grid``.
    :param intensive: whether it belongs to the whole structure and does not grow with its size, so that it is not a sum
        over atoms, and errors are per structure.
    :param per_volume: whether it is predicted as a sum over atoms and divided by the volume of the cell.
    :param has_baseline: whether a constant per element is subtracted before training.
    :param is_scaled: whether it is learned in units of its standard deviation.
    :param loss: name of its loss unless the options choose another one.
    :param read_from: spectrum from which a separate network can read it.
    :param on_axis_of: spectrum whose energy axis it refers to, and with which it is shifted.
    :param is_non_negative: whether predictions below zero are cut off.
    """

    name: str
    label: str
    plural: str | None = None
    unit: str = ""
    key: str = ""
    option_unit: str | None = None
    description: str = ""
    comment: str = ""
    shape: tuple[int, ...] | None = ()
    is_bands: bool = False
    per: Literal["structure", "atom"] = "structure"
    gradient_of: str | None = None
    fixed_axis: Literal["energy", "frequency"] | None = None
    intensive: bool = False
    per_volume: bool = False
    has_baseline: bool = True
    is_scaled: bool = True
    loss: str = "pointwise"
    read_from: str | None = None
    on_axis_of: str | None = None
    is_non_negative: bool = False

    @property
    def plural_label(self) -> str:
        """Label of several values, for readers."""
        return self.plural or self.label

    @property
    def is_spectrum(self) -> bool:
        """Whether it has a value for each channel of an axis."""
        return self.shape is None

    @property
    def is_on_energy_grid(self) -> bool:
        """Whether it is a spectrum on the energy axis that all spectra of electrons share, ``energy_grid``."""
        return self.is_spectrum and self.fixed_axis is None

    @property
    def sample_kind(self) -> str:
        """Name in metatomic for what has a value."""
        return "system" if self.per == "structure" else "atom"

    @property
    def metatomic_unit(self) -> str:
        """Unit in options files and exported models."""
        return self.unit if self.option_unit is None else self.option_unit

    @property
    def gradient_parameter(self) -> Literal["positions", "strain"] | None:
        """Variable of the derivative of the energy: positions for forces (per atom), strain for the stress."""
        if self.gradient_of is None:
            return None
        return "positions" if self.per == "atom" else "strain"

    def array_shape(self, num_atoms: int, spectrum: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of all values of a structure.

        :param num_atoms: number of atoms in the structure.
        :param spectrum: shape of one spectrum.
        """
        rows = (num_atoms,) if self.per == "atom" else ()
        return rows + (spectrum if self.shape is None else self.shape)


def _on_fixed_axis(
    name: str,
    label: str,
    axis: Literal["energy", "frequency"],
    *,
    intensive: bool = False,
    per: Literal["structure", "atom"] = "structure",
) -> Quantity:
    """Return a row of a density of states that is compared channel by channel."""
    of = "each atom" if per == "atom" else "the whole cell"
    return Quantity(
        name,
        label,
        plural=label.replace("density", "densities"),
        description=label + (" (largest value 1)" if intensive else f" of {of} in states per unit of its axis"),
        shape=None,
        per=per,
        fixed_axis=axis,
        intensive=intensive,
        has_baseline=False,
        is_scaled=False,
        loss="channelwise",
    )


QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            DENSITY_OF_STATES,
            "density of states",
            unit="states/eV",
            key="dos",
            option_unit="",  # metatomic knows no states/eV
            description="density of states of the whole cell in states/eV",
            comment="Density of states of the whole cell, in states/eV; NaN where too few bands were computed.",
            shape=None,
            has_baseline=False,  # gap and Fermi level are read from all of it, and its zero is shifted
            is_scaled=False,
            loss="self_aligning",
        ),
        Quantity(
            BAND_GAP,
            "band gap",
            unit="eV",
            key="bandgap",
            description="band gap",
            comment="Band gap, 0 for metals; NaN where unknown.",
            intensive=True,
            has_baseline=False,
            read_from=DENSITY_OF_STATES,
            is_non_negative=True,
        ),
        Quantity(
            FERMI_LEVEL,
            "Fermi level",
            unit="eV",
            key="efermi",
            description="Fermi level on the axis of the density of states",
            comment="DFT Fermi level on the axis of the density of states.",
            intensive=True,
            has_baseline=False,
            is_scaled=False,
            read_from=DENSITY_OF_STATES,
            on_axis_of=DENSITY_OF_STATES,
        ),
        Quantity(
            BANDS,
            "bands",
            unit="eV",
            description="bands along a path of k-points, relative to the middle of a gap or the Fermi level",
            is_bands=True,
            intensive=True,
            has_baseline=False,
            is_scaled=False,
            loss="bands",
        ),
        _on_fixed_axis(ELECTRONIC_DOS, "electronic density of states", "energy"),
        _on_fixed_axis(LOCAL_DOS, "local density of states", "energy", per="atom"),
        _on_fixed_axis(ELECTRONIC_DOS_NORMALIZED, "normalised electronic density of states", "energy", intensive=True),
        _on_fixed_axis(PHONON_DOS, "phonon density of states", "frequency"),
        _on_fixed_axis(PHONON_DOS_NORMALIZED, "normalised phonon density of states", "frequency", intensive=True),
        Quantity(ENERGY, "energy", "energies", unit="eV", key="energy", description="energy"),
        Quantity(FORCES, "forces", unit="eV/angstrom", key="forces", shape=(3,), per="atom", gradient_of=ENERGY),
        Quantity(STRESS, "stress", "stresses", "eV/angstrom^3", key="stress", shape=(3, 3), gradient_of=ENERGY),
        Quantity(DIRECT_FORCE, "direct forces", unit="eV/Angstrom", shape=(3,), per="atom"),
        Quantity(DIRECT_FORCE_DEPRECATED, "direct forces", unit="eV/Angstrom", shape=(3,), per="atom"),
        Quantity(DIRECT_STRESS, "direct stress", unit="eV/Angstrom^3", shape=(3, 3), per_volume=True),
    )
}


def in_data_sets() -> list[Quantity]:
    """Return the quantities that data sets can contain, in the order of the table."""
    return [quantity for quantity in QUANTITIES.values() if quantity.key]


def gradients_of(name: str) -> list[Quantity]:
    """Return the gradients of an energy."""
    return [quantity for quantity in QUANTITIES.values() if quantity.gradient_of == name]


def base_quantity(name: str) -> str:
    """Return the name of a quantity without its variant: ``energy/pbe`` -> ``energy``."""
    return name.split("/")[0]


def quantity_of(name: str) -> Quantity:
    """Return the row of a target or its variant; any other target is a sum over atoms with a pointwise loss."""
    known = QUANTITIES.get(base_quantity(name))
    return Quantity(name, name) if known is None else replace(known, name=name)


def uncertainty_name(target: str) -> str:
    """Return the name of the output with the standard deviation of a target, as in metatrain's ``llpr``."""
    return "energy_uncertainty" if target == "energy" else f"mtt::aux::{target.replace('mtt::', '')}_uncertainty"


def ensemble_name(target: str) -> str:
    """Return the name of the output with the ensemble of a target, as in metatrain's ``llpr``."""
    return "energy_ensemble" if target == "energy" else f"mtt::aux::{target.replace('mtt::', '')}_ensemble"


def last_layer_features_name(target: str) -> str:
    """Return the name of the output with the features that enter a target's last linear map."""
    return f"mtt::aux::{target.replace('mtt::', '')}_last_layer_features"
