"""Predictions of spectra on a fixed axis through the exported model."""

import re

import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk
from metatomic.torch import ModelOutput
from phonons import AXIS, PHONON_TARGETS, make_phonon_model, save_phonon_model
from tiny_models import structures, to_systems

from electrain.calculators import ElectronicStructureModel, ModelFileError, SpectrumModel, load_model
from electrain.files.models import load_any_model
from electrain.interface.quantities import ELECTRONIC_DOS, PHONON_DOS, PHONON_DOS_NORMALIZED
from electrain.spectra.fixed_axis import FixedAxis

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
FRAMES = list(structures().values())


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return save_phonon_model(tmp_path_factory.mktemp("phonons") / "phonons.pt", (PHONON_DOS,))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return save_phonon_model(tmp_path_factory.mktemp("both") / "both.pt", PHONON_TARGETS)


@pytest.fixture(scope="module")
def spectrum_model(file):
    return SpectrumModel(file, device="cpu")


@pytest.mark.parametrize("target", PHONON_TARGETS)
def test_agrees_with_the_model_itself(both, target):
    expected = make_phonon_model(PHONON_TARGETS)
    with torch.no_grad():
        outputs = expected(to_systems(FRAMES, expected), {target: ModelOutput(sample_kind="system")})
    model = SpectrumModel(both, "cpu", target=target)
    assert (model.target, model.axis) == (target, AXIS)
    results = model.predict(FRAMES)
    for atoms, values, result in zip(FRAMES, outputs[target].block().values.numpy(), results, strict=True):
        np.testing.assert_allclose(result.values, values, **CLOSE)
        assert result.values.dtype == np.float64
        assert (result.atoms, result.axis, result.target) == (atoms, AXIS, target)
    normalised = target == PHONON_DOS_NORMALIZED
    assert [result.is_normalised for result in results] == [normalised] * len(FRAMES)
    assert results[0].unit == ("" if normalised else "states/cm^-1")
    assert results[1].formula == "Si2"


def test_many_equal_one_by_one_in_order(spectrum_model):
    singles = [spectrum_model.predict(atoms) for atoms in FRAMES]
    assert np.std([single.values.sum() for single in singles]) > 1e-3
    for batch_size in (1, 5, 1000):
        results = list(spectrum_model.predict_many(iter(FRAMES), batch_size=batch_size))
        for one, other in zip(singles, results, strict=True):
            np.testing.assert_allclose(one.values, other.values, **CLOSE)
            assert one.atoms == other.atoms
    assert list(spectrum_model.predict_many([])) == []


def test_what_is_accepted(file, spectrum_model, tmp_path):
    """Files, and models that are loaded already; what a model knows is readable."""
    silicon = bulk("Si")
    ase.io.write(tmp_path / "two.xyz", [silicon, silicon * (2, 1, 1)])
    one, two = spectrum_model.predict(str(tmp_path / "two.xyz"))
    np.testing.assert_allclose(two.values, 2.0 * one.values, **CLOSE)
    again = SpectrumModel(load_any_model(file)).predict(silicon)
    np.testing.assert_allclose(again.values, one.values, **CLOSE)
    assert spectrum_model.elements == ["H", "C", "N", "O", "Si"]
    assert "phonon density of states at 0 ... 1000 cm^-1 in steps of 20 cm^-1 (51 channels); 5" in repr(spectrum_model)
    assert repr(one) == f"<Spectrum of Si2: phonon density of states in states/cm^-1 at {AXIS}>"


def test_electrons_in_single_precision(tmp_path):
    axis = FixedAxis(-5.0, 0.1, 101, "eV")
    model = make_phonon_model((ELECTRONIC_DOS,), axis).to(torch.float32)
    model.export().save(tmp_path / "electrons.pt")
    result = SpectrumModel(tmp_path / "electrons.pt").predict(bulk("Si"))
    assert (result.axis, result.unit, result.values.dtype) == (axis, "states/eV", np.float64)


def test_errors_name_the_structure(spectrum_model, bad_structures):
    atoms = next(atoms for text, atoms in bad_structures.items() if "finite positions" in text)
    with pytest.raises(ValueError, match=r"^expected finite positions"):
        spectrum_model.predict(atoms)
    with pytest.raises(ValueError, match=r"^structure 1 \(Si2\): expected finite positions"):
        spectrum_model.predict([bulk("Si"), atoms])
    with pytest.raises(ValueError, match="the model does not know Al; it knows the elements H C N O Si"):
        spectrum_model.predict(bulk("Al"))


def test_a_prediction_that_is_not_finite(tmp_path):
    model = make_phonon_model((PHONON_DOS,), network="graph")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(torch.nan)
    model.export().save(tmp_path / "nan.pt")
    with pytest.raises(ValueError, match=r"nan\.pt predicts NaN or infinity for Si2"):
        SpectrumModel(tmp_path / "nan.pt").predict(bulk("Si"))


def test_wrong_models(file, both, model_file, tmp_path):
    text = f"{model_file} predicts no spectrum on a fixed axis, such as mtt::phonon_dos, but energy, mtt::bandgap, "
    with pytest.raises(ModelFileError, match=re.escape(text)):
        SpectrumModel(model_file)
    text = "predicts several spectra; choose one as target: mtt::phonon_dos, mtt::phonon_dos_normalized"
    with pytest.raises(ValueError, match=text):
        SpectrumModel(both)
    with pytest.raises(ValueError, match=r"does not predict the spectrum 'mtt::dos', but mtt::phonon_dos$"):
        SpectrumModel(file, target="mtt::dos")
    with pytest.raises(FileNotFoundError, match=r"the model file none\.pt does not exist"):
        SpectrumModel("none.pt")
    with pytest.raises(ValueError, match="precision"):
        SpectrumModel(file, matmul_precision="low")
    with pytest.raises(ValueError, match="the device 'cuda:77' is not available"):
        SpectrumModel(file, "cuda:77")
    for open_model in (ElectronicStructureModel, load_model):
        text = (
            r"\(mtt::dos\), but mtt::phonon_dos; for spectra on a fixed axis, use electrain.calculators.SpectrumModel"
        )
        with pytest.raises(ModelFileError, match=text):
            open_model(file)
