import math

import numpy as np
import pytest
import torch

from electrain.spectra.fixed_axis import FixedAxis

AXIS = FixedAxis(0.0, 20.0, 51, "cm^-1")


def test_channels():
    np.testing.assert_array_equal(AXIS.values().numpy(), np.linspace(0.0, 1000.0, 51))
    assert AXIS.stop == 1000.0 and AXIS.density_unit == "states/cm^-1"
    assert str(AXIS) == "0 ... 1000 cm^-1 in steps of 20 cm^-1 (51 channels)"
    assert FixedAxis.from_dict(AXIS.to_dict()) == AXIS
    assert FixedAxis(0.0, 20.0, 51, "1/cm") == AXIS


def test_states_are_kept_in_another_unit():
    """A density in states per unit, divided by the factor, has the same integral: 3 N modes."""
    in_thz = AXIS.in_unit("THz")
    assert (in_thz.stop, in_thz.step) == pytest.approx((29.9792458, 0.599584916), rel=1e-12)
    density = torch.exp(-0.5 * ((AXIS.values() - 500.0) / 60.0) ** 2) * 6 / (60.0 * math.sqrt(2 * math.pi))
    assert float(density.sum() * AXIS.step) == pytest.approx(6.0, rel=1e-8)
    assert float((density / (in_thz.step / AXIS.step)).sum() * in_thz.step) == pytest.approx(6.0, rel=1e-8)
    assert in_thz.in_unit("cm^-1").is_close(AXIS) and not in_thz.is_close(AXIS)


def test_through_points():
    assert FixedAxis.through(list(range(0, 1020, 20)), "cm-1") == AXIS
    rounded = [round(0.0333 * i, 2) for i in range(301)]  # as in files with two digits, 0.3 of a step from their places
    with pytest.raises(ValueError, match=r"expected equidistant points from 0 to 9.99 THz, 0.0333 THz apart"):
        FixedAxis.through(rounded, "THz")
    assert FixedAxis.through([round(0.0333 * i, 4) for i in range(301)], "THz").step == pytest.approx(0.0333)
    with pytest.raises(ValueError, match=r"apart, got 60 in place 2, where 50 should be"):
        FixedAxis.through([0, 25, 60, 75, 100], "meV")
    with pytest.raises(ValueError, match="positive step, got start 3 and step -1 meV"):
        FixedAxis.through([3, 2, 1], "meV")
    for points in ([1.0], [], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match="expected an axis of at least two points, got shape"):
            FixedAxis.through(points, "meV")
    with pytest.raises(ValueError, match="expected finite points of an axis, got NaN"):
        FixedAxis.through([0.0, math.nan, 2.0], "meV")


def test_what_is_no_axis():
    with pytest.raises(ValueError, match="expected an axis with a finite start and a positive step, got start 0 and"):
        FixedAxis(0.0, 0.0, 51, "THz")
    with pytest.raises(ValueError, match="got start inf and step 1 eV"):
        FixedAxis(math.inf, 1.0, 51, "eV")
    with pytest.raises(ValueError, match="expected an axis with at least two channels, got 1"):
        FixedAxis(0.0, 1.0, 1, "eV")
    with pytest.raises(ValueError, match=r"expected a unit of energy or frequency, .*, got 'Hz'"):
        FixedAxis(0.0, 1.0, 5, "Hz")
    with pytest.raises(ValueError, match="expected an axis with start, step, size and unit, got none for size, unit"):
        FixedAxis.from_dict({"start": 0.0, "step": 1.0})
