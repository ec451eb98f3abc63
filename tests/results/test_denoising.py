"""Predictions with the noise removed, and the electrons that they should hold."""

import numpy as np
import pytest
import torch
from ase.build import bulk
from metals import AXIS

from electrain.calculators import ElectronicStructureModel
from electrain.spectra import denoise


@pytest.fixture(scope="module")
def level_model(level_file):
    return ElectronicStructureModel(level_file, "cpu")


def test_denoised_prediction(level_model):
    result = level_model.predict(bulk("Si"), per_atom=True)
    assert level_model.num_valence_electrons(result.atoms) == 8.0
    assert result.num_electrons != pytest.approx(8.0, abs=0.1)
    found = level_model.denoise(result)
    assert found.num_electrons == pytest.approx(8.0, abs=1e-9)
    states = torch.from_numpy(result.density_of_states)
    expected = denoise(states, AXIS, result.fermi_level, 8.0, 2, smearing=0.3)
    np.testing.assert_allclose(found.density_of_states, expected, rtol=1e-6, atol=1e-9)
    assert found.fermi_level == result.fermi_level
    assert found.local_density_of_states is None


def test_models_that_do_not_know_enough(level_model, model, dos_only_model):
    assert model.num_valence_electrons(bulk("Si")) is None
    for poor in (model, dos_only_model):
        with pytest.raises(
            ValueError, match=r"denoising needs a Fermi level, the smearing .* lacks at least one of them"
        ):
            poor.denoise(level_model.predict(bulk("Si")))
