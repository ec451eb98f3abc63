"""Charge and spin multiplicity as input: equal to `metatrain.pet`, trained, exported, and with clear errors."""

import copy
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic_ase import MetatomicCalculator
from metatrain.cli.train import train_model
from metatrain.llpr import LLPRUncertaintyModel
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.io import model_from_checkpoint
from omegaconf import OmegaConf
from peer_models import make_peer_model, target_info
from structures import example_structures
from tiny_models import (
    dataset_info,
    make_dataset,
    make_model,
    make_varied,
    request,
    target_rows,
    to_systems,
    training_structures,
)

from electrain.architectures.pet_mad.from_pet.convert import convert
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.calculators import ElectronicStructureModel, with_hot_electrons
from electrain.interface.quantities import DENSITY_OF_STATES

STRUCTURES = example_structures()
INPUTS = ("charge", "spin_multiplicity")
RANGE = {"max_charge": 3, "max_spin_multiplicity": 4}
# of the example structures; None where nothing is given
STATES = [(-3, 1), (2, 4), (0, 2), (1, 1), None, (3, 3)]


def one_value(name, value, index=0):
    samples = Labels(["system"], torch.tensor([[index]]))
    block = TensorBlock(torch.tensor([[value]], dtype=torch.float64), samples, [], Labels.range(name, 1))
    return TensorMap(Labels.single(), [block])


def systems_in_states(frames, states, model):
    systems = to_systems(frames, model)
    for system, state in zip(systems, states, strict=True):
        for name, value in zip(INPUTS, state or (), strict=state is not None):
            system.add_data(name, one_value(name, value))
    return systems


def energies(model, systems, sample_kind="system"):
    with torch.no_grad():
        return model(systems, request(["energy"], sample_kind))["energy"].block().values


def make_pair(**options):
    peer = make_peer_model(("energy",), system_conditioning=True, **RANGE, **options)
    return peer, convert(peer.get_checkpoint()).eval()


@pytest.fixture(scope="module")
def model():
    return make_pair()[1]


# --- parity ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"featurizer_type": "residual", "num_gnn_layers": 3, "transformer_type": "PostLN"},
        {"featurizer_type": "feedforward", "d_node": 12, "num_neighbors_adaptive": 6},
        {"featurizer_type": "residual", "d_node": 12, "transformer_type": "PreLN"},
        {"featurizer_type": "feedforward", "num_gnn_layers": 1},
    ],
    ids=lambda options: f"{options['featurizer_type']}-{len(options)}",
)
def test_energies_and_forces_of_the_peer(options):
    """All kinds of structures in one batch, each in another state."""
    peer, ours = make_pair(**options)
    frames = list(STRUCTURES.values())
    predicted, expected = (
        evaluate_model(m, systems_in_states(frames, STATES, ours), {"energy": target_info("energy")}, False)["energy"]
        for m in (ours, peer)
    )
    block, other = predicted.block(), expected.block()
    largest = float(other.values.detach().abs().max())
    assert float((block.values - other.values).detach().abs().max()) < 1e-10 * largest
    for gradient in ("positions", "strain"):
        found, theirs = (b.gradient(gradient).values.detach() for b in (block, other))
        assert float((found - theirs).abs().max()) < 1e-8 * float(theirs.abs().max())
    systems = systems_in_states(frames, STATES, ours)
    torch.testing.assert_close(energies(ours, systems, "atom"), energies(peer, systems, "atom"), rtol=0, atol=1e-9)
    # it is the states that are compared
    without = energies(ours, to_systems(frames, ours))
    different = (block.values - without).detach().abs().flatten() > 1e-3
    assert different.tolist() == [state is not None for state in STATES]


def test_states_that_are_not_given(model):
    """Are neutral singlets."""
    frames = [STRUCTURES["molecule"]]
    given = energies(model, systems_in_states(frames, [(0, 1)], model))
    torch.testing.assert_close(given, energies(model, to_systems(frames, model)), rtol=0, atol=0)


def test_structures_without_atoms(model):
    """Have a state, too: each structure keeps its own."""
    frames = [Atoms(), STRUCTURES["molecule"], Atoms()]
    expected = energies(model, systems_in_states(frames[1:2], [(2, 4)], model))
    for states in ([None, (2, 4), None], [(1, 2), (2, 4), (0, 3)]):
        found = energies(model, systems_in_states(frames, states, model))
        torch.testing.assert_close(found, torch.cat([0 * expected, expected, 0 * expected]))


def test_compiled(model):
    systems = systems_in_states(list(STRUCTURES.values()), STATES, model)
    expected = energies(model, systems)
    compiled = torch.jit.script(model)
    for _ in range(2):
        torch.testing.assert_close(energies(compiled, systems), expected, rtol=1e-12, atol=1e-12)


def test_an_untrained_model_does_not_depend_on_the_state():
    """It starts as the model without conditioning."""
    plain, conditioned = (make_model(("energy",), system_conditioning=on) for on in (False, True))
    conditioned.load_state_dict(plain.state_dict(), strict=False)
    frames = [STRUCTURES["molecule"]]
    systems = systems_in_states(frames, [(2, 3)], conditioned)
    torch.testing.assert_close(energies(conditioned.eval(), systems), energies(plain.eval(), systems), rtol=0, atol=0)
    assert plain.requested_inputs() == {} and sorted(conditioned.requested_inputs()) == sorted(INPUTS)


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((4, 1), "structure 1 of the batch has the charge 4, but the model knows -3 to 3"),
        ((-4, 1), "structure 1 of the batch has the charge -4, but the model knows -3 to 3"),
        ((0, 5), "structure 1 of the batch has the spin multiplicity 5, but the model knows 1 to 4"),
        ((0, 0), "structure 1 of the batch has the spin multiplicity 0, but the model knows 1 to 4"),
        ((0.5, 1), "expected an integer as charge of structure 1, got 0.5"),
        ((0, 1.25), "expected an integer as spin_multiplicity of structure 1, got 1.25"),
        ((np.nan, 1), "expected an integer as charge of structure 1, got nan"),
    ],
)
def test_states_that_the_model_does_not_know(model, state, message):
    frames = [STRUCTURES["molecule"]] * 2
    with pytest.raises(ValueError, match=message):
        energies(model, systems_in_states(frames, [(1, 1), state], model))


def test_charges_of_atoms(model):
    systems = to_systems([molecule("OH")], model)
    block = TensorBlock(torch.zeros(2, 1).double(), Labels.range("atom", 2), [], Labels.range("charge", 1))
    systems[0].add_data("charge", TensorMap(Labels.single(), [block]))
    with pytest.raises(ValueError, match="expected one number as charge of structure 0, got 2"):
        energies(model, systems)


# --- exported models ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model of energies and densities of states that depend on the state."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    model = make_varied(make_model(("energy", DENSITY_OF_STATES), system_conditioning=True, **RANGE)).eval()
    model.export().save(path)
    return model, path


def in_state(atoms, **info):
    atoms = atoms.copy()
    atoms.info.update(info)
    return atoms


def ase_calculator(path):
    return MetatomicCalculator(path, device="cpu", check_consistency=True, do_gradients_with_energy=False)


def test_states_in_ase(exported):
    """With metatomic's own calculator, from `atoms.info`."""
    model, path = exported
    water = molecule("H2O")
    calculator = ase_calculator(str(path))
    for info, state in (({}, (0, 1)), ({"charge": -1, "spin": 2}, (-1, 2)), ({"spin_multiplicity": 3}, (0, 3))):
        atoms = in_state(water, **info)
        expected = energies(model, systems_in_states([water], [state], model)).item()
        assert calculator.get_potential_energy(atoms) == pytest.approx(expected, rel=1e-12)


def test_densities_of_states(exported):
    """Of structures in several states together, from `atoms.info`."""
    model, path = exported
    water = molecule("H2O")
    predictor = ElectronicStructureModel(path, device="cpu")
    frames = [water, in_state(water, charge=2), in_state(water, charge=2, spin_multiplicity=3), in_state(water, spin=2)]
    states = [None, (2, 1), (2, 3), (0, 2)]
    with torch.no_grad():
        systems = systems_in_states([water] * 4, states, model)
        expected = model(systems, request([DENSITY_OF_STATES]))[DENSITY_OF_STATES].block().values.numpy()
    for result, row in zip(predictor.predict_many(frames), expected, strict=True):
        np.testing.assert_allclose(result.density_of_states, row, rtol=1e-9, atol=1e-9)
    assert np.abs(np.diff(expected, axis=0)).max(axis=1).min() > 1e-2
    for info, message in (
        ({"charge": 0.5}, r"structure 0 \(H2O\): expected an integer as charge in atoms.info, got 0.5"),
        ({"spin": "high"}, r"expected an integer as spin_multiplicity in atoms.info, got high"),
        ({"charge": 20}, r"^structure 0 of the batch has the charge 20, but the model knows -3 to 3$"),
    ):
        with pytest.raises(ValueError, match=message):
            list(predictor.predict_many([in_state(water, **info)]))


def test_hot_electrons_read_the_state_too(exported):
    hot = with_hot_electrons(exported[1], 5000.0, {"H": 1, "C": 4, "N": 5, "O": 6, "Si": 4})
    assert sorted(hot.requested_inputs(use_new_names=True)) == sorted(INPUTS)


# --- training ----------------------------------------------------------------------------------------------------


def options_of(file: Path, model: dict, **training) -> dict:
    """What a user writes into `options.yaml`."""
    keys = {"key": "U", "unit": "eV", "forces": False, "stress": False}
    data = {
        "systems": {"read_from": str(file), "length_unit": "angstrom"},
        "targets": {"energy": keys},
        "extra_data": {name: {"key": name} for name in INPUTS},
    }
    hypers = {"batch_size": 4, "num_workers": 0, "warmup_epochs": 0.0, "learning_rate": 1e-2, **training}
    return {
        "architecture": {"name": "pet_mad", "model": model, "training": hypers},
        **dict.fromkeys(("training_set", "validation_set", "test_set"), data),
        "base_precision": 64,
        "seed": 1,
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def ions(tmp_path_factory):
    """One molecule, whose energy is its charge (in eV) plus its multiplicity."""
    path = tmp_path_factory.mktemp("ions") / "ions.xyz"
    frames = [
        in_state(molecule("H2O"), charge=charge, spin_multiplicity=spin, U=float(charge + spin))
        for charge in (-1, 0, 1)
        for spin in (1, 3)
    ]
    ase.io.write(path, frames)
    return path, frames


def run(options, folder, **arguments):
    train_model(OmegaConf.create(options), folder / "model.pt", folder / "extensions", folder, **arguments)
    return torch.load(folder / "model.ckpt", weights_only=False)


def test_training_restart_and_fine_tuning(ions, tmp_path, monkeypatch):
    """From an options file; what differs by the state alone is learned. The test set is evaluated with states, too."""
    monkeypatch.chdir(tmp_path)
    path, frames = ions
    hypers = {
        "cutoff": 3.0,
        **dict.fromkeys(("edge_width", "node_width", "head_width", "feedforward_width"), 8),
        "num_heads": 2,
        "num_message_passing_layers": 1,
        "num_attention_layers": 1,
        "system_conditioning": True,
        **RANGE,
    }
    run(options_of(path, hypers, num_epochs=60), tmp_path)
    checkpoint = run(options_of(path, hypers, num_epochs=80), tmp_path, restart_from="model.ckpt")
    assert checkpoint["epoch"] == 79
    model = model_from_checkpoint(copy.deepcopy(checkpoint), "export").eval()
    states = [(atoms.info["charge"], atoms.info["spin_multiplicity"]) for atoms in frames]
    predicted = energies(model, systems_in_states(frames, states, model)).flatten().numpy()
    np.testing.assert_allclose(predicted, [atoms.info["U"] for atoms in frames], atol=0.7)
    # and the same in engines
    calculator = ase_calculator("model.pt")
    assert [calculator.get_potential_energy(atoms) for atoms in frames] == pytest.approx(predicted.tolist())
    finetune = {"read_from": "model.ckpt", "method": "heads"}
    tuned = run(options_of(path, hypers, num_epochs=1, finetune=finetune), tmp_path)
    name = "network.state_embedding.charge.weight"
    best = checkpoint["best_model_state_dict"][name]
    torch.testing.assert_close(tuned["model_state_dict"][name], best, rtol=0, atol=0)


def test_training_without_states(tmp_path, caplog):
    """Is possible, and said."""
    model = make_model(("energy",), system_conditioning=True)
    data = make_dataset(("energy",), training_structures(2))
    hypers = {**get_default_hypers("pet_mad")["training"], "num_epochs": 1, "batch_size": 2, "num_workers": 0}
    Trainer(hypers).train(model, torch.float64, [torch.device("cpu")], [data], [data], str(tmp_path))
    for part in ("training", "validation"):
        expected = f"reads charge and spin_multiplicity, but the {part} set has none (`extra_data`); using 0 and 1"
        assert expected in caplog.text


def test_conditioning_cannot_be_switched_on_later():
    model = make_model(("energy",))
    with pytest.raises(ValueError, match="system_conditioning: False in the checkpoint, True in the options"):
        model.restart(dataset_info(("energy",)), {"system_conditioning": True})


def test_uncertainties_are_calibrated_with_states():
    """Features of the training structures are those of their states."""
    frames = training_structures(4)
    base = make_varied(make_model(("energy",), system_conditioning=True, **RANGE)).eval()
    rows = target_rows(frames)["energy"]
    data = {
        "system": to_systems(frames, base),
        "energy": [one_value("energy", float(row), i) for i, row in enumerate(rows)],
        "charge": [one_value("charge", float(i - 1), i) for i in range(4)],
    }
    llpr = LLPRUncertaintyModel({"num_ensemble_members": {}}, dataset_info(("energy",)))
    llpr.set_wrapped_model(base)
    llpr.to(torch.float64).compute_covariance([Dataset.from_dict(data)], 2, False)
    systems = systems_in_states(frames, [(i - 1, 1) for i in range(4)], base)
    features = base(systems, request(["mtt::aux::energy_last_layer_features"]))
    values = features["mtt::aux::energy_last_layer_features"].block().values.detach()
    values = values / torch.tensor([[len(atoms)] for atoms in frames])
    torch.testing.assert_close(llpr._get_covariance("energy_uncertainty"), values.T @ values)
