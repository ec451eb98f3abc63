"""Reading k-points from systems, and the labels of bands."""

import numpy as np
import pytest
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System

from electrain.interface.band_labels import BandsShape, bands_to_labels, check_bands, labels_to_bands
from electrain.interface.quantities import BANDS
from electrain.interface.states import K_POINTS, check_k_points, read_inputs, read_k_points


def system_with(values=None):
    system = System(torch.tensor([1]), torch.zeros(1, 3).double(), torch.eye(3).double(), torch.tensor([True] * 3))
    if values is not None:
        values = torch.tensor([values], dtype=torch.float64)
        block = TensorBlock(values, Labels.range("system", 1), [], Labels.range("value", values.shape[1]))
        system.add_data(K_POINTS, TensorMap(Labels.single(), [block]))
    return system


@pytest.fixture(params=[read_k_points, torch.jit.script(read_k_points)], ids=["python", "script"])
def read(request):
    return request.param


def test_coordinates_of_each_structure(read):
    found = read([system_with([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]), system_with(), system_with([-4.0, 1, 1, 1, 1, 4.0])])
    assert found.shape == (3, 2, 3) and found[1].isnan().all()
    np.testing.assert_array_equal(found[0], [[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]])
    assert read([system_with(), system_with()]) is None
    assert read_inputs([system_with([0.0] * 3)], False, False, False).k_points is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "expected three coordinates for each k-point as mtt::k_points of structure 1, got 0 values"),
        ([0.0] * 7, "expected three coordinates for each k-point as mtt::k_points of structure 1, got 7 values"),
        ([0.0] * 9, r"expected equally many k-points .* got 2 for structure 0 and 3 for structure 1"),
        (
            [0.0] * 5 + [np.nan],
            r"expected fractional coordinates .*, within \+-4.*, got NaN or infinity for structure",
        ),
        ([0.0] * 5 + [-np.inf], "got NaN or infinity for structure 1"),
        ([0.0] * 5 + [-4.5], r"got 4.5 for structure 1; those in 1/Angstrom must be converted"),
    ],
)
def test_wrong_coordinates(read, values, message):
    with pytest.raises((ValueError, torch.jit.Error), match=message):
        read([system_with([0.0] * 6), system_with(values)])


def test_bands_need_k_points():
    known = read_k_points([system_with([0.0] * 3)])
    mixed = read_k_points([system_with([0.0] * 3), system_with()])
    for check in (check_k_points, torch.jit.script(check_k_points)):
        check(known, {BANDS: "system"}, False)
        check(None, {"energy": "system"}, False)
        check(None, {BANDS: "system"}, True)
        for k_points, number in ((None, 0), (mixed, 1)):
            message = f"needs k-points, but structure {number} has none: add .* to the system as mtt::k_points"
            for name in (BANDS, f"{BANDS}/pbe"):
                with pytest.raises((ValueError, torch.jit.Error), match=f"{name} {message}"):
                    check(k_points, {"energy": "system", name: "system"}, False)


def test_labels():
    shape = BandsShape(2, 3)
    labels = bands_to_labels(shape)
    assert labels.names == ["band", "k_point"] and labels_to_bands(labels) == shape
    assert labels.values.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    check_bands(BANDS, labels, shape)
    check_bands(BANDS, Labels.range("properties", 6), shape)
    with pytest.raises(ValueError, match=r"`num_bands` times `num_k_points` values.*: 2 x 3 = 6, got 8 in the dataset"):
        check_bands(BANDS, Labels.range("properties", 8), shape)
    with pytest.raises(ValueError, match="band after band, got labels of 3 bands at 2 k-points"):
        check_bands(BANDS, bands_to_labels(BandsShape(3, 2)), shape)
    assert len(bands_to_labels(BandsShape(1, 1))) == 1
