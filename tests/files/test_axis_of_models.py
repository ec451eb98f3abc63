"""The energy axis in the metadata of exported models, also of older ones that know less."""

import json
import re
from types import SimpleNamespace

import pytest
from small_models import GRID

from electrain.files.models import ModelFileError, energy_axis_of, load_any_model, smearing_of, valence_electrons_of
from electrain.spectra.axis import FERMI_LEVEL_REFERENCE, EnergyAxis
from electrain.spectra.grid import EnergyGrid


def model_with(extra):
    return SimpleNamespace(metadata=lambda: SimpleNamespace(extra=extra))


def test_an_exported_model(model_file):
    model = load_any_model(model_file)
    assert energy_axis_of(model) == EnergyAxis.from_dict(GRID)


def test_all_that_a_model_can_know():
    content = {"start": -5.0, "step": 0.1, "size": 120, "max_shift": 20, "smearing": 0.3}
    content |= {"reference": "vacuum", "valence_electrons": {"Si": 4}}
    model = model_with({"energy_grid": json.dumps(content)})
    assert energy_axis_of(model) == EnergyAxis(EnergyGrid(-5.0, 0.1, 120), 20, 0.3, "vacuum", {"Si": 4.0})
    assert (smearing_of(model), valence_electrons_of(model)) == (0.3, {"Si": 4.0})


@pytest.mark.parametrize("unknown", [{}, {"smearing": None, "valence_electrons": None}])
def test_older_models_know_less(unknown):
    content = {"start": -5.0, "step": 0.1, "size": 120, "max_shift": 20, **unknown}
    model = model_with({"energy_grid": json.dumps(content)})
    axis = energy_axis_of(model)
    assert (axis.smearing, axis.reference, axis.valence_electrons) == (None, FERMI_LEVEL_REFERENCE, {})
    assert (smearing_of(model), valence_electrons_of(model)) == (None, {})


def test_models_without_an_axis():
    model = model_with({"something": "else"})
    assert (energy_axis_of(model), smearing_of(model), valence_electrons_of(model)) == (None, None, {})


def test_half_an_axis():
    text = "metadata of the model have no complete energy_grid: expected an energy axis with start, step, size and "
    text += "max_shift, got none for size, max_shift"
    with pytest.raises(ModelFileError, match=re.escape(text)):
        energy_axis_of(model_with({"energy_grid": '{"start": -5.0, "step": 0.1}'}))
