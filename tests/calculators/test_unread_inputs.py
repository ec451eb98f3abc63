"""Charges and spins that a model does not read have no effect, and that is said once."""

import warnings

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from typer.testing import CliRunner

from electrain.calculators import (
    ElectronicStructureCalculator,
    ElectronicStructureModel,
    UnreadInputs,
    UnreadInputWarning,
    screen,
)
from electrain.cli import app
from electrain.evaluation.evaluated_model import EvaluatedModel
from electrain.pretrained import locate

SAY_SOMETHING = [
    {"charge": 99},
    {"charge": "abc"},
    {"charge": -0.5},
    {"charge": np.array([1, 2])},
    {"charge": float("nan")},
    {"total_charge": 1},
    {"spin": 3},
    {"spin_multiplicity": 2},
    {"spin_multiplicity": "triplet"},
    {"multiplicity": 3},
]
SAY_NOTHING = [{"charge": 0, "spin": 1}, {"charge": "0.0"}, {"charge": None}, {"spin": 0}, {"multiplicity": 1}]


def in_state(info, atoms=None):
    atoms = molecule("H2O") if atoms is None else atoms
    atoms.info.update(info)
    return atoms


@pytest.fixture
def fresh(model, monkeypatch):
    """A model that has not warned yet; loading another one takes a second."""
    monkeypatch.setattr(model, "_unread_inputs", UnreadInputs(model.name, []))
    return model


@pytest.mark.parametrize("info", SAY_SOMETHING, ids=str)
def test_said_once(fresh, info):
    (key, value), *_ = info.items()
    with pytest.warns(UnreadInputWarning) as said:
        results = [fresh.predict(in_state(info)) for _ in range(2)]
        list(fresh.predict_many([in_state(info)] * 2))
    text = f"{fresh.name} ignores {key}={value} of H2O (in atoms.info), because it reads neither charge nor spin; "
    assert [str(warning.message) for warning in said] == [text + "further structures are not mentioned"]
    np.testing.assert_array_equal(results[0].density_of_states, fresh.predict(molecule("H2O")).density_of_states)


@pytest.mark.parametrize("info", SAY_NOTHING, ids=str)
def test_defaults_are_not_mentioned(fresh, info):
    fresh.predict(in_state(info))  # warnings are errors here


def test_the_lowest_spin_of_a_radical_is_not_mentioned(fresh):
    fresh.predict(in_state({"spin_multiplicity": 2}, Atoms("H")))
    with pytest.warns(UnreadInputWarning, match="spin_multiplicity=4 of H "):
        fresh.predict(in_state({"spin_multiplicity": 4}, Atoms("H")))


def test_models_that_read_them(charged_metal_file):
    model = ElectronicStructureModel(charged_metal_file, device="cpu")
    model.predict(in_state({"charge": 1, "spin": 2}))
    model.predict(in_state({"charge": 1, "total_charge": 1}))
    for info in ({"charge": "abc"}, {"charge": 0.5}, {"charge": None}, {"spin": "up"}, {"charge": [1, 2]}):
        with pytest.raises(ValueError, match=r"expected an integer as (charge|spin_multiplicity) in atoms.info, got "):
            model.predict(in_state(info))
    for info in ({"charge": 99}, {"spin": 0}, {"spin_multiplicity": -1}, {"charge": 10**30}):
        with pytest.raises(ValueError, match=r"but the model knows|expected an integer"):
            model.predict(in_state(info))
    with pytest.warns(UnreadInputWarning, match=r"multiplicity=3 of H2O .*because it reads charge and spin_multiplici"):
        model.predict(in_state({"multiplicity": 3}))


def test_streams(fresh):
    structures = [(str(index), in_state({"charge": index})) for index in range(3)]
    with pytest.warns(UnreadInputWarning) as said:
        assert len(list(screen(fresh, structures, batch_size=1))) == 3
    assert len(said) == 1 and "charge=1 of H2O" in str(said[0].message)


def test_calculator(model_file):
    atoms = in_state({"charge": 1}, bulk("Si"))
    atoms.calc = ElectronicStructureCalculator(model_file, device="cpu")
    with pytest.warns(UnreadInputWarning) as said:
        for _ in range(2):
            atoms.rattle(0.01)
            atoms.get_potential_energy()
    assert [f"{model_file} ignores charge=1 of Si2" in str(warning.message) for warning in said] == [True]


def test_command(model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("water.xyz", [in_state({"charge": 99}), in_state({"charge": "abc"})], format="extxyz")
    for command in ("dos", "thermo"):
        result = CliRunner().invoke(app, [command, "water.xyz", "-m", str(model_file)])
        notes = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
        assert len(notes) == 1 and f"note: {model_file} ignores charge=99 of H2O (in atoms.info), because" in notes[0]


def test_other_warnings_are_shown_as_ever(model_file, tmp_path, monkeypatch):
    from electrain.cli.common import show_unread_inputs

    with pytest.warns(RuntimeWarning, match="something else"):
        show_unread_inputs()
        warnings.warn("something else", RuntimeWarning, stacklevel=1)


@pytest.mark.parametrize("file", ["energy_only_file", "model_file"])
def test_evaluation(file, request):
    part = type("Part", (), {"has": {"energy": True, "forces": False, "stress": False}, "axis": None, "folder": "f"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("electrain.evaluation.evaluated_model._check_axis", lambda *_: None)
        path = request.getfixturevalue(file)
        tested = EvaluatedModel(locate(path), part, "cpu", batch_size=1, matmul_precision="highest")
    with pytest.warns(UnreadInputWarning) as said:
        for _ in range(2):
            tested.check(in_state({"charge": 1}))
    assert len(said) == 1
