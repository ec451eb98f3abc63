"""Several exported models as one."""

import re

import numpy as np
import pytest
import torch
from ase.build import bulk
from metals import ELECTRONS
from small_models import GRID, make_model

from electrain import ElectronicStructureEnsemble, ElectronicStructureModel
from electrain.calculators import Failed, average_electronic_structure, load_model, screen
from electrain.results import average_results
from electrain.spectra import EnergyAxis

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
TARGETS = ["mtt::dos", "mtt::bandgap", "mtt::efermi"]


@pytest.fixture(scope="module")
def files(save_models):
    return save_models(3)


@pytest.fixture(scope="module")
def ensemble(files):
    return ElectronicStructureEnsemble(files, "cpu")


def test_the_models_one_by_one(ensemble, structures):
    """Each structure alone by each model alone, then averaged; also per atom, and in any batches."""
    results = list(ensemble.predict_many(structures[:4], per_atom=True, batch_size=5))
    shifted = 0
    for atoms, result in zip(structures[:4], results, strict=True):
        alone = [model.predict(atoms, per_atom=True) for model in ensemble.models]
        expected = average_results(alone, EnergyAxis.from_dict(GRID))
        for name in ("energies", "density_of_states", "local_density_of_states", "band_gap", "fermi_level"):
            np.testing.assert_allclose(getattr(result, name), getattr(expected, name), **CLOSE)
        for one, other in zip(result.uncertainty, expected.uncertainty, strict=True):
            np.testing.assert_allclose(one, other, **CLOSE)
        for one, other in zip(result.ensemble, expected.ensemble, strict=True):
            np.testing.assert_allclose(one, other, **CLOSE)
        unaligned = np.mean([item.density_of_states for item in alone], axis=0)
        shifted += np.abs(unaligned - result.density_of_states).max() > 0.01
        gaps = [item.band_gap for item in alone]
        np.testing.assert_allclose(result.band_gap, np.mean(gaps), **CLOSE)
        np.testing.assert_allclose(result.uncertainty.band_gap, np.std(gaps, ddof=1), **CLOSE)
    assert shifted == 4


def test_everything_that_takes_a_model(ensemble, structures):
    silicon = bulk("Si")
    assert ensemble.predicts_uncertainty and ensemble.predicts_fermi_level and ensemble.predicts_band_gap
    assert ensemble.elements == ["H", "C", "O", "Al", "Si"]
    assert ensemble.num_valence_electrons(silicon) == 8
    (outcomes,) = screen(ensemble, [("silicon", silicon), ("gold", bulk("Au"))])
    assert isinstance(outcomes[1], Failed) and outcomes[1].reason.startswith("the model does not know Au")
    expected = ensemble.predict(silicon)
    np.testing.assert_allclose(outcomes[0].result.density_of_states, expected.density_of_states, **CLOSE)
    assert expected.heat_capacity(1000).uncertainty[0] > 0
    assert ensemble.denoise(expected).density_of_states.sum() > 0
    assert average_electronic_structure(ensemble, silicon).spread.density_of_states.max() > 0
    with pytest.raises(ValueError, match=re.escape("structure 1 (Au): the model does not know Au")):
        ensemble.predict([silicon, bulk("Au")])


def test_loaded_and_opened_models(ensemble, files):
    models = [files[0], load_model(files[1]), ElectronicStructureModel(files[2], "cpu")]
    found = ElectronicStructureEnsemble(models, "cpu").predict(bulk("Al"))
    np.testing.assert_allclose(found.density_of_states, ensemble.predict(bulk("Al")).density_of_states, **CLOSE)


def test_what_it_says(ensemble, files):
    text = repr(ensemble)
    assert text.startswith("<ElectronicStructureEnsemble the ensemble of ")
    assert all(str(file) in text for file in files) and "with uncertainties" in text


def test_models_with_uncertainties_of_their_own(uncertain_file):
    """The same model twice: nothing but its own uncertainty."""
    model = ElectronicStructureModel(uncertain_file, "cpu")
    expected = model.predict(bulk("Si"))
    found = ElectronicStructureEnsemble([model, model], "cpu").predict(bulk("Si"))
    for one, two in zip(found.uncertainty, expected.uncertainty, strict=True):
        np.testing.assert_allclose(one, two, **CLOSE)
    assert found.ensemble.density_of_states.shape[0] == 2 * expected.ensemble.density_of_states.shape[0]


def test_too_few_models(files):
    for models in ([], [files[0]], files[0], str(files[0])):
        with pytest.raises(ValueError, match="expected at least two models for an ensemble, got "):
            ElectronicStructureEnsemble(models)
    with pytest.raises(ValueError, match=r"expected different models for an ensemble, got .*0\.pt twice"):
        ElectronicStructureEnsemble([files[0], files[1], str(files[0])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"energy_grid": {**GRID, "start": -31.0}},
            r"same energy axis, but that of .*0\.pt is -30 .* and that of .*other\.pt is -31 \.\.\. 8\.95 eV .*, 100 "
            "channels for shifts",
        ),
        ({"energy_grid": {**GRID, "max_shift": 50}}, r"same energy axis, .*other\.pt is -30 .* 50 channels for shifts"),
        (
            {"energy_grid": {**GRID, "smearing": 0.2}},
            r"same smearing, but that of .*0\.pt is 0\.3 eV and that of .*other\.pt is 0\.2 eV",
        ),
        (
            {"energy_grid": {**GRID, "valence_electrons": {**ELECTRONS, "Al": 11.0}}},
            r"same valence electrons, but .*0\.pt counts 3 for Al and .*other\.pt 11",
        ),
        ({"targets": TARGETS[:1]}, r"same quantities, but .*0\.pt has mtt::bandgap, mtt::efermi in addition and .*no"),
        ({"system_conditioning": True}, r"same inputs, but .*0\.pt has no others and .*other\.pt has charge"),
        ({"elements": [1, 6, 8, 13]}, r"same elements, but .*0\.pt has Si in addition and .*other\.pt has no others"),
    ],
)
def test_models_that_do_not_match(files, change, message, tmp_path, monkeypatch):
    change = dict(change)
    monkeypatch.setattr("small_models.ELEMENTS", change.pop("elements", [1, 6, 8, 13, 14]))
    other = make_model(change.pop("targets", TARGETS), torch.float64, **change)
    other.export().save(tmp_path / "other.pt")
    with pytest.raises(ValueError, match=f"expected models with the {message}"):
        ElectronicStructureEnsemble([files[0], tmp_path / "other.pt"])
