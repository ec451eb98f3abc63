"""Bands of crystals from exported models."""

import numpy as np
import pytest
import torch
from ase.build import bulk, fcc111, molecule
from band_models import bands_info, make_model, predict_bands
from phonons import PHONON_DOS, save_phonon_model

from electrain.bands import k_path
from electrain.calculators import BandModel, ModelFileError

pytest.importorskip("pymatgen")

SIZES = {"num_bands": 4, "num_k_points": 30}


@pytest.fixture(scope="module")
def original():
    return make_model(bands_info(**SIZES), **SIZES)


@pytest.fixture(scope="module")
def model(original, tmp_path_factory):
    file = tmp_path_factory.mktemp("bands") / "bands.pt"
    original.export().save(file)
    return BandModel(file, "cpu")


def test_bands_along_the_path_of_the_crystal(model, original):
    frames = [bulk("Si"), bulk("SiC", "zincblende", a=4.36, cubic=True)]
    found = model.predict(frames)
    for atoms, result in zip(frames, found, strict=True):
        path = k_path(atoms, 30)
        expected = predict_bands(original, [path.atoms], [path.k_points])[0]
        np.testing.assert_allclose(result.bands.energies[0], torch.sort(expected.T, dim=1)[0], atol=1e-9)
        np.testing.assert_array_equal(result.bands.k_points, path.k_points)
        assert (result.bands.labels, result.bands.fermi_level) == (path.labels, 0.0)
    assert "holds 4 primitive cells of 2" in found[1].changes
    assert repr(model).endswith("on cpu: 4 bands at 30 k-points; 4 elements (H C O Si)>")


def test_the_same_crystal_has_the_same_bands(model):
    """In another cell, turned, and with its atoms in another order."""
    atoms = bulk("SiC", "zincblende", a=4.36, cubic=True)
    turned = atoms[::-1]
    turned.rotate(40.0, (1.0, 2.0, 3.0), rotate_cell=True)
    first, second, third = model.predict([atoms, turned, bulk("SiC", "zincblende", a=4.36)])
    for other in (second, third):
        np.testing.assert_allclose(other.bands.energies, first.bands.energies, atol=1e-6)
        assert other.bands.labels == first.bands.labels


def test_what_is_no_crystal_is_refused(model):
    with pytest.raises(ValueError, match="periodic in three directions, got a molecule"):
        model.predict(molecule("CH4"))
    with pytest.raises(ValueError, match=r"structure 1 \(Si3\): expected a crystal.*got a slab"):
        model.predict([bulk("Si"), fcc111("Si", (1, 1, 3), a=4.0, vacuum=5.0)])
    with pytest.raises(ValueError, match="the model does not know Fe"):
        model.predict(bulk("Fe"))


def test_paths_of_another_length_are_refused(model):
    with pytest.raises(ValueError, match="expected 30 k-points of each structure"):
        model.along([k_path(bulk("Si"), 31)])


def test_other_models_are_refused(tmp_path):
    file = save_phonon_model(tmp_path / "phonons.pt", (PHONON_DOS,))
    with pytest.raises(ModelFileError, match="predicts no bands \\(mtt::bands\\), but mtt::phonon_dos"):
        BandModel(file)
