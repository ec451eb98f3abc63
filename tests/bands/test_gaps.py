"""Gaps: how large, direct or not, and where."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from model_bands import silicon_bands

from electrain.bands import BandStructure, band_gap, k_path

CELL = Atoms("Si", cell=[3.0] * 3, pbc=True)
PATH = np.concatenate([np.linspace([0, 0, 0], [0.5, 0, 0], 11), np.linspace([0.5, 0, 0], [0, 0, 0], 11)[1:]])
LABELS = ((0, "Γ"), (10, "X"), (20, "Γ"))


def two_bands(valence, conduction, **changes):
    """From functions of the index of the k-point."""
    index = np.arange(21)
    energies = np.stack([valence(index), conduction(index)], axis=1)[None].astype(float)
    return BandStructure(CELL, PATH, energies, **{"fermi_level": 0.0, "labels": LABELS, "num_electrons": 2.0} | changes)


def test_indirect():
    gap = band_gap(two_bands(lambda i: -0.1 * np.minimum(i, 20 - i), lambda i: 2 + 0.1 * abs(i - 8)))
    assert not gap.is_direct
    assert gap.energy == pytest.approx(2.0)
    assert (gap.valence.where, gap.valence.k_index, gap.valence.band) == ("Γ", 0, 0)
    assert (gap.conduction.where, gap.conduction.k_index, gap.conduction.band) == ("0.80 Γ-X", 8, 1)
    np.testing.assert_allclose(gap.conduction.k_point, [0.4, 0, 0])
    assert gap.direct_at_valence == pytest.approx(2.8)
    assert gap.direct_at_conduction == pytest.approx(2.8)
    assert gap.direct == pytest.approx(2.8)


def test_direct_at_equivalent_k_points():
    """The valence edge has another place of the same energy, and numerical noise at the second visit."""
    gap = band_gap(
        two_bands(
            lambda i: np.where(np.isin(i, [5, 20]), 0.0, np.where(i == 0, -1e-6, -1.0)),
            lambda i: np.where(i == 0, 1.0, np.where(i == 20, 1.0 + 1e-6, 2.0)),
        )
    )
    assert gap.is_direct
    assert gap.valence.where == gap.conduction.where == "Γ"
    assert [gap.direct, gap.energy, gap.direct_at_valence] == pytest.approx([1.0, 1.0, 1.0], abs=1e-5)


def test_fractions_count_from_the_center():
    gap = band_gap(two_bands(lambda i: -0.1 * abs(i - 13), lambda i: 2 + 0.1 * abs(i - 13)))
    assert gap.valence.where == "0.70 Γ-X"
    assert gap.direct_where == "0.70 Γ-X"


def test_without_labels_there_are_coordinates():
    gap = band_gap(two_bands(lambda i: -0.1 * abs(i - 13), lambda i: 2 + 0.1 * abs(i - 13), labels=()))
    assert gap.valence.where == "(0.350, 0.000, 0.000)"


def test_two_spins():
    bands = two_bands(lambda i: -1.0 - 0.01 * i, lambda i: 3.0 + 0.01 * i)
    shifted = replace(bands, energies=np.concatenate([bands.energies, bands.energies - 0.5]))
    gap = band_gap(shifted)
    assert (gap.valence.spin, gap.conduction.spin) == (0, 1)
    assert gap.energy == pytest.approx(3.5)


def test_metals_have_none():
    assert band_gap(two_bands(lambda i: 0.1 * i, lambda i: 1.0 + 0.1 * i)) is None
    assert band_gap(two_bands(lambda i: 0.1 * i, lambda i: 3.0 + 0.1 * i, num_electrons=3.0)) is None


def test_silicon():
    pytest.importorskip("pymatgen")
    gap = band_gap(silicon_bands(k_path(bulk("Si"))))
    assert not gap.is_direct
    assert gap.energy == pytest.approx(1.17, abs=0.01)  # of the paper
    assert gap.valence.where == "Γ"
    assert gap.conduction.where in ("0.73 Γ-X", "0.74 Γ-X")
    assert gap.direct_at_valence == pytest.approx(3.43)  # of the paper
