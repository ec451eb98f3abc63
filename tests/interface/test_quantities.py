"""The table of quantities agrees with itself."""

import pytest

from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    ENERGY,
    FERMI_LEVEL,
    QUANTITIES,
    quantity_of,
)
from electrain.training.losses import SPECTRAL_LOSSES


@pytest.mark.parametrize("name", QUANTITIES)
def test_rows(name):
    quantity = QUANTITIES[name]
    assert quantity.name == name and quantity.label
    assert bool(quantity.unit) == (quantity.fixed_axis is None)  # that of a spectrum comes from its axis
    for other in (quantity.read_from, quantity.on_axis_of):
        assert other is None or QUANTITIES[other].is_spectrum
    if quantity.gradient_of is not None:
        assert QUANTITIES[quantity.gradient_of].shape == () and quantity.shape
    assert quantity.loss == "pointwise" or quantity.loss in SPECTRAL_LOSSES
    if quantity.intensive:
        assert (
            (quantity.shape == () or quantity.fixed_axis) and quantity.per == "structure" and not quantity.has_baseline
        )


def test_keys_are_unique():
    keys = [quantity.key for quantity in QUANTITIES.values() if quantity.key]
    assert len(keys) == len(set(keys))


def test_what_is_read_from_what():
    assert quantity_of(BAND_GAP).read_from == quantity_of(FERMI_LEVEL).read_from == DENSITY_OF_STATES
    assert quantity_of(FERMI_LEVEL).on_axis_of == DENSITY_OF_STATES
    assert quantity_of(BAND_GAP).on_axis_of is None


def test_variants_and_other_targets():
    variant = quantity_of("energy/pbe")
    assert (variant.name, variant.unit, variant.has_baseline) == ("energy/pbe", QUANTITIES[ENERGY].unit, True)
    other = quantity_of("mtt::dipole")
    assert (other.label, other.loss, other.intensive, other.read_from) == ("mtt::dipole", "pointwise", False, None)
