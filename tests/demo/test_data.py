"""The data of the demo."""

from collections import Counter

import pytest
from ase.io import read

from electrain.data import Calculation
from electrain.data.readers.extended_xyz import read_extended_xyz
from electrain.demo.data import HELD_OUT, SILICON


def test_snapshots_of_silicon():
    frames = read(SILICON, ":", format="extxyz")
    assert Counter(frame.info["split"] for frame in frames) == {"train": 50, "validation": 10, "test": 20}
    # otherwise the test would measure the error of the mesh
    assert len({str(frame.info["kpoints_grid"]) for frame in frames}) == 1


@pytest.mark.parametrize("path", [HELD_OUT, SILICON])
def test_every_frame_is_a_valid_calculation(path):
    assert all(isinstance(item, Calculation) for item in read_extended_xyz(path))


def test_held_out_structures_have_the_error_of_the_baseline():
    frames = read(HELD_OUT, ":", format="extxyz")
    assert len(frames) == 14 and all(0.2 < frame.info["constant_per_element"] < 2.0 for frame in frames)
