import pytest
import torch
from metatensor.torch import Labels

from electrain.interface.fixed_axes import check_labels, fixed_axis, fixed_axis_to_labels
from electrain.interface.quantities import ELECTRONIC_DOS, PHONON_DOS, PHONON_DOS_NORMALIZED
from electrain.spectra.fixed_axis import FixedAxis

AXIS = FixedAxis(0.0, 20.0, 51, "cm^-1")


@pytest.mark.parametrize(
    ("unit", "column", "first", "second"),
    [
        ("eV", "energy_micro_eV", 1_000_000, 1_050_000),
        ("meV", "energy_nano_eV", 1_000_000, 1_050_000),
        ("THz", "frequency_MHz", 1_000_000, 1_050_000),
        ("cm^-1", "wavenumber_milli_per_cm", 1_000, 1_050),
    ],
)
def test_labels(unit, column, first, second):
    labels = fixed_axis_to_labels(FixedAxis(1.0, 0.05, 3, unit))
    assert labels.names == [column]
    assert labels.values[:2, 0].tolist() == [first, second]


def test_labels_after_a_conversion():
    """Channels that are no whole numbers are rounded; the same axis has the same labels."""
    labels = fixed_axis_to_labels(AXIS.in_unit("THz"))
    assert labels.values[:3, 0].tolist() == [0, 599585, 1199170]
    check_labels(PHONON_DOS, labels, AXIS.in_unit("THz"), "here")


def test_axes_that_labels_cannot_hold():
    with pytest.raises(ValueError, match=r"expected an axis within \+-2147 THz in steps of at least 1e-06 THz, got 0"):
        fixed_axis_to_labels(FixedAxis(0.0, 100.0, 51, "THz"))
    with pytest.raises(ValueError, match=r"in steps of at least 0.001 cm\^-1"):
        fixed_axis_to_labels(FixedAxis(0.0, 1e-4, 51, "cm^-1"))


def test_other_labels():
    check_labels(PHONON_DOS, Labels.range("channels", 51), AXIS, "here")
    with pytest.raises(ValueError, match=r"expected 51 channels of target .*, on the axis in here, 0 \.\.\. 1000 cm"):
        check_labels(PHONON_DOS, Labels.range("channels", 50), AXIS, "here")
    shifted = Labels(["wavenumber_milli_per_cm"], fixed_axis_to_labels(AXIS).values + 10_000)
    with pytest.raises(ValueError, match=r"got 10 \.\.\. 1010 cm\^-1 \(51 channels\) in the dataset"):
        check_labels(PHONON_DOS, shifted, AXIS, "here")


def test_axes_of_targets():
    settings = AXIS.to_dict()
    assert fixed_axis(PHONON_DOS, settings) == fixed_axis(f"{PHONON_DOS_NORMALIZED}/pbe", settings) == AXIS
    below = {**settings, "start": -100.0}
    assert fixed_axis(ELECTRONIC_DOS, below).start == -100.0
    with pytest.raises(ValueError, match=r"frequencies from 0 on for 'mtt::phonon_dos', got an axis .* at -100 cm\^-1"):
        fixed_axis(PHONON_DOS, below)
    with pytest.raises(ValueError, match=r"a fixed one \(mtt::electronic_dos, .*\), got 'mtt::dos'; .* `energy_grid`"):
        fixed_axis("mtt::dos", settings)
    with pytest.raises(ValueError, match="got 'mtt::phonons'"):
        fixed_axis("mtt::phonons", settings)
    with pytest.raises(ValueError, match="expected a unit of energy or frequency"):
        fixed_axis(PHONON_DOS, {**settings, "unit": "Hartree"})


def test_labels_are_whole_numbers():
    assert fixed_axis_to_labels(AXIS).values.dtype == torch.int32
