"""Fixed axes of the targets that have one: which they may be, and their property labels in metatensor."""

from collections.abc import Mapping
from typing import Any

import torch
from metatensor.torch import Labels

from electrain.spectra.fixed_axis import FixedAxis

from .quantities import QUANTITIES, base_quantity, quantity_of

# Labels can only be 32-bit integers: name of the column, and channels per unit. Digits beyond are rounded off.
_COLUMNS = {
    "eV": ("energy_micro_eV", 1_000_000),
    "meV": ("energy_nano_eV", 1_000_000),
    "THz": ("frequency_MHz", 1_000_000),
    "cm^-1": ("wavenumber_milli_per_cm", 1_000),
}


def fixed_axis(name: str, settings: Mapping[str, Any]) -> FixedAxis:
    """Return the axis of a target, with start, step, size and unit.

    :param name: name of the target.
    :param settings: see :meth:`~electrain.spectra.fixed_axis.FixedAxis.to_dict`.
    :raises ValueError: for a target without a fixed axis, an invalid axis, one that labels cannot represent, and for
        negative frequencies.
    """
    kind = quantity_of(name).fixed_axis
    if kind is None:
        known = ", ".join(quantity.name for quantity in QUANTITIES.values() if quantity.fixed_axis)
        hint = "; its axis is `energy_grid`" if base_quantity(name) == "mtt::dos" else ""
        raise ValueError(f"expected the axis of a target that has a fixed one ({known}), got {name!r}{hint}")
    axis = FixedAxis.from_dict(settings)
    check_not_negative(name, axis)
    fixed_axis_to_labels(axis)
    return axis


def check_not_negative(name: str, axis: FixedAxis) -> None:
    """Raise a ``ValueError`` for a negative frequency, which would be that of an imaginary mode."""
    if quantity_of(name).fixed_axis == "frequency" and axis.start < 0:
        raise ValueError(
            f"expected frequencies from 0 on for {name!r}, got an axis that begins at {axis.start:g} {axis.unit}; "
            "negative frequencies stand for imaginary ones, of which there are no states in a stable crystal"
        )


def learned_axis(name: str, axis: FixedAxis) -> FixedAxis:
    """Return the axis of a target in the unit in which it is learned, eV for electrons and THz for phonons.

    In these units, spectra are of the order of one per atom, and peaks move by about one from structure to structure.
    """
    return axis.in_unit("eV" if quantity_of(name).fixed_axis == "energy" else "THz")


def fixed_axis_to_labels(axis: FixedAxis) -> Labels:
    """Return the property labels of a spectrum, a row for each channel, as integers.

    The columns are ``energy_micro_eV`` for eV, ``energy_nano_eV`` for meV, ``frequency_MHz`` for THz and
    ``wavenumber_milli_per_cm`` for cm^-1.

    :raises ValueError: for channels that are too far from zero or too near to each other to be 32-bit integers.
    """
    column, per_unit = _COLUMNS[axis.unit]
    values = torch.round(axis.values() * per_unit)
    largest = torch.iinfo(torch.int32).max
    if float(values.abs().max()) > largest or axis.step * per_unit < 1:
        raise ValueError(
            f"expected an axis within +-{largest / per_unit:.0f} {axis.unit} in steps of at least {1 / per_unit:g} "
            f"{axis.unit}, got {axis}"
        )
    return Labels([column], values.to(torch.int32).reshape(-1, 1))


def check_labels(name: str, labels: Labels, axis: FixedAxis, where: str) -> None:
    """Check the channels of a target in a data set.

    :param name: name of the target.
    :param labels: its properties; those that metatrain numbers say nothing but how many there are.
    :param axis: axis of the model.
    :param where: where the axis of the model is, for the message.
    :raises ValueError: for other channels.
    """
    if len(labels) != axis.size:
        raise ValueError(
            f"expected {axis.size} channels of target {name!r}, on the axis in {where}, {axis}, got {len(labels)} in "
            "the dataset"
        )
    units = {column: (unit, per_unit) for unit, (column, per_unit) in _COLUMNS.items()}
    if labels.names[0] in units and labels != fixed_axis_to_labels(axis):
        unit, per_unit = units[labels.names[0]]
        first, last = (float(labels.values[i, 0]) / per_unit for i in (0, -1))
        raise ValueError(
            f"expected target {name!r} on the axis in {where}, {axis}, got {first:g} ... {last:g} {unit} "
            f"({len(labels)} channels) in the dataset"
        )
