"""Bands of ASE and pymatgen: the same energies, labels and gaps, there and back."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from crystals import crystals
from model_bands import cubic_band, silicon_bands

from electrain.bands import BandStructure, band_gap, k_path
from electrain.bands.conversions import from_ase, from_pymatgen, to_ase, to_pymatgen

pytest.importorskip("pymatgen")


@pytest.fixture(scope="module")
def silicon():
    return silicon_bands(k_path(bulk("Si")))


@pytest.fixture(scope="module")
def scheelite():
    """A path with subscripts, Greek letters and equivalent points of one name, and two spins."""
    path = k_path(crystals()["scheelite"])
    energies = np.stack([cubic_band(path.k_points) - 7.0, cubic_band(path.k_points) + 7.0], axis=2)[:, 0]
    return BandStructure(path.atoms, path.k_points, np.stack([energies, energies + 0.1]), 0.5, path.labels)


@pytest.mark.parametrize("name", ["silicon", "scheelite"])
def test_ase_and_back(name, request, tmp_path):
    bands = request.getfixturevalue(name)
    converted = to_ase(bands)
    np.testing.assert_array_equal(converted.energies, bands.energies)
    assert converted.reference == bands.zero()
    converted.write(tmp_path / "bands.json")
    back = from_ase(type(converted).read(tmp_path / "bands.json"), bands.atoms, bands.num_electrons)
    np.testing.assert_allclose(back.energies, bands.energies)
    np.testing.assert_allclose(back.distances(), bands.distances())
    assert band_gap(back).energy == pytest.approx(band_gap(bands).energy)
    if name == "silicon":  # ASE numbers equivalent points
        assert [index for index, _ in back.labels] == [index for index, _ in bands.labels]
        assert {label[0] for _, label in back.labels} == {label[0] for _, label in bands.labels}


def test_ase_plots_it(silicon):
    positions, places, labels = to_ase(silicon).get_labels()
    assert len(positions) == 256
    assert len(places) == len(labels) == len(silicon.labels)
    assert labels[0] == "G"
    assert "$" not in "".join(labels)


@pytest.mark.parametrize("name", ["silicon", "scheelite"])
def test_pymatgen_and_back(name, request):
    bands = request.getfixturevalue(name)
    converted = to_pymatgen(bands)
    assert len(converted.branches) == len(bands.labels) - 1
    np.testing.assert_allclose(converted.distance[-1], bands.distances()[-1])
    gap = band_gap(bands)
    theirs = converted.get_band_gap()
    assert theirs["energy"] == pytest.approx(gap.energy, abs=1e-9)
    assert theirs["direct"] == gap.is_direct
    if name == "silicon":  # with two spins, pymatgen takes gaps without a change of spin
        assert converted.get_direct_band_gap() == pytest.approx(gap.direct, abs=1e-9)
    assert not converted.is_metal()
    back = from_pymatgen(converted, num_electrons=bands.num_electrons)
    np.testing.assert_array_equal(back.energies, bands.energies)
    np.testing.assert_allclose(back.k_points, bands.k_points, atol=1e-12)
    assert back.labels == bands.labels


def test_a_gap_of_pymatgen_does_not_depend_on_where_the_fermi_level_is(silicon):
    at_the_edge = replace(silicon, fermi_level=silicon.edges()[1] + 0.05)
    assert to_pymatgen(at_the_edge).get_band_gap()["energy"] == pytest.approx(1.172, abs=1e-3)


def test_other_cells_and_missing_labels_are_refused(silicon):
    other = bulk("Si", a=5.5)
    with pytest.raises(ValueError, match=r"with the cell .*, got \[3\.889"):
        from_ase(to_ase(silicon), other)
    with pytest.raises(ValueError, match="expected the crystal of the bands, with lattice vectors"):
        from_pymatgen(to_pymatgen(silicon), other)
    with pytest.raises(ValueError, match=r"labels at both ends of the path, k-points 0 and 255, got \[\]"):
        to_pymatgen(replace(silicon, labels=()))
    without = to_pymatgen(silicon)
    without.structure = None
    with pytest.raises(ValueError, match="has none"):
        from_pymatgen(without)
    assert isinstance(from_pymatgen(without, silicon.atoms).atoms, Atoms)
