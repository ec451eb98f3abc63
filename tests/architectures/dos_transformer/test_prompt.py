"""Models with a prompt for each crystal system: from systems, in exported files, and in training."""

import copy

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import all_changes
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import load_atomistic_model
from metatomic_ase import MetatomicCalculator
from metatrain.cli.train import train_model
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.io import model_from_checkpoint
from omegaconf import OmegaConf
from phonons import AXIS, FIXED_AXES, PHONON_TARGETS, phonon_rows
from slow_graphs import varied
from tiny_models import ELEMENTS, GRID_HYPERS, dataset_info, request, scalar_info, target_infos, to_systems

from electrain.architectures.dos_transformer.model import DOSTransformer
from electrain.calculators import ElectronicStructureModel, SpectrumModel
from electrain.calculators.hot_electrons import with_hot_electrons
from electrain.interface.quantities import DENSITY_OF_STATES, PHONON_DOS, PHONON_DOS_NORMALIZED

CRYSTAL_SYSTEM = "mtt::crystal_system"
SMALL = {
    "cutoff": 3.0,
    "width": 8,
    "energy_width": 8,
    "num_message_passing_layers": 1,
    "num_gaussians": 6,
    "fixed_axes": FIXED_AXES,
}
FRAMES = [bulk("Si"), bulk("SiC", "zincblende", a=4.36), Atoms("OC", positions=[[0, 0, 0], [0, 0, 1.2]])]


def make_model(info=None, **options):
    torch.manual_seed(0)
    if info is None:
        infos = {name: scalar_info(name, AXIS.size, "") for name in PHONON_TARGETS}
        info = DatasetInfo("angstrom", ELEMENTS, {**infos, **target_infos(("energy",))})
    hypers = {**get_default_hypers("dos_transformer")["model"], **SMALL, "crystal_system_prompt": True, **options}
    model = DOSTransformer(copy.deepcopy(hypers), info)
    varied(model.network)
    return model.double().eval()


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    model.export().save(path)
    return path


@pytest.fixture(scope="module")
def loaded(exported):
    return load_atomistic_model(exported)


def add_number(system, value, name=CRYSTAL_SYSTEM):
    block = TensorBlock(torch.tensor([[value]]).double(), Labels.range("system", 1), [], Labels.range("number", 1))
    system.add_data(name, TensorMap(Labels.single(), [block]))


def in_systems(frames, numbers, model):
    """Systems of metatomic, those with a number with a crystal system."""
    systems = to_systems(frames, model)
    for system, number in zip(systems, numbers, strict=True):
        if number is not None:
            add_number(system, number)
    return systems


def spectra(model, systems, name=PHONON_DOS, kind="system"):
    outputs = request([name], kind)
    found = model.module(systems, outputs, None) if hasattr(model, "module") else model(systems, outputs)
    return found[name].block().values.detach()


# --- predictions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"), [(PHONON_DOS, "system"), (PHONON_DOS, "atom"), (PHONON_DOS_NORMALIZED, "system")]
)
def test_read_from_systems(model, loaded, name, kind):
    """Also by an exported file; a batch is its structures, and an unknown system is 0."""
    numbers = [1, None, 0]
    found = spectra(model, in_systems(FRAMES, numbers, model), name, kind)
    alone = [spectra(model, in_systems([a], [n], model), name, kind) for a, n in zip(FRAMES, [1, 0, None], strict=True)]
    torch.testing.assert_close(found, torch.cat(alone), rtol=1e-10, atol=1e-10)
    for _ in range(2):
        theirs = spectra(loaded, in_systems(FRAMES, numbers, model), name, kind)
        torch.testing.assert_close(theirs, found, rtol=1e-10, atol=1e-10)
    other = spectra(model, in_systems(FRAMES, [5, None, 0], model), name, kind)
    size = 1 if kind == "system" else 2
    assert (other[:size] - found[:size]).abs().max() > 1e-3
    torch.testing.assert_close(other[size:], found[size:], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (8, "structure 1 of the batch has the crystal system 8, but the model knows 0 to 7"),
        (-1, "structure 1 of the batch has the crystal system -1, but the model knows 0 to 7"),
        (1.5, "expected an integer as mtt::crystal_system of structure 1, got 1.5"),
        (np.nan, "expected an integer as mtt::crystal_system of structure 1, got nan"),
    ],
)
def test_wrong_numbers(model, loaded, number, message):
    with pytest.raises(ValueError, match=message):
        spectra(model, in_systems(FRAMES[:2], [1, number], model))
    with pytest.raises(torch.jit.Error, match=message):
        spectra(loaded, in_systems(FRAMES[:2], [1, number], model))


def test_engines_need_not_know_it(model, exported):
    """It is not among the requested inputs: metatomic's own calculator runs the model, which predicts as for 0."""
    assert model.requested_inputs() == {} and model.optional_inputs() == [CRYSTAL_SYSTEM]
    calculator = MetatomicCalculator(exported, check_consistency=True, additional_outputs=request([PHONON_DOS]))
    for atoms in FRAMES:
        copied = atoms.copy()
        calculator.calculate(copied, ["energy", "forces"], all_changes)
        found = calculator.additional_outputs[PHONON_DOS].block().values
        torch.testing.assert_close(found, spectra(model, in_systems([atoms], [0], model)), rtol=1e-8, atol=1e-8)


def test_other_models_do_not_read_it():
    plain = make_model(crystal_system_prompt=False)
    assert plain.optional_inputs() == [] and "optional_inputs" not in plain.export().metadata().extra
    found = [spectra(plain, in_systems(FRAMES, numbers, plain)) for numbers in ([1, 2, 3], [None] * 3)]
    torch.testing.assert_close(*found, rtol=0, atol=0)


# --- structures of ASE -----------------------------------------------------------------------------------------


def called(atoms, system):
    atoms = atoms.copy()
    atoms.info["crystal_system"] = system
    return atoms


def test_spectra_of_atoms_in_ase(model, exported):
    """The crystal system is found, unless it is given."""
    predictor = SpectrumModel(exported, "cpu", target=PHONON_DOS)
    frames = [*FRAMES, called(bulk("Si"), "hexagonal"), called(bulk("Si"), 0)]
    found = [spectrum.values for spectrum in predictor.predict_many(frames)]
    expected = spectra(model, in_systems(frames, [1, 1, 0, 2, 0], model)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    assert np.abs(np.diff(expected[[0, 3, 4]], axis=0)).max(axis=1).min() > 1e-3
    with pytest.raises(ValueError, match=r"^structure 1 \(Si2\): expected one of cubic, .* as crystal_system in"):
        list(predictor.predict_many([FRAMES[0], called(bulk("Si"), "hP2")]))


def test_densities_of_states_in_ase(tmp_path):
    """Per atom, too, whose band gap is read from the density of states; also from a model with hot electrons."""
    info = dataset_info()
    model = make_model(info=info, energy_grid=GRID_HYPERS, fixed_axes={})
    model.export().save(tmp_path / "model.pt")
    hot = with_hot_electrons(tmp_path / "model.pt", 5000.0, {"H": 1, "C": 4, "N": 5, "O": 6, "Si": 4})
    frames = [bulk("Si"), called(bulk("Si"), 7)]
    expected = spectra(model, in_systems(frames, [1, 7], model), DENSITY_OF_STATES, "atom").reshape(2, 2, -1).numpy()
    assert np.abs(expected[1] - expected[0]).max() > 1e-3
    for file in (tmp_path / "model.pt", hot):
        predictor = ElectronicStructureModel(file, device="cpu")
        for result, of_atoms in zip(predictor.predict(frames, per_atom=True), expected, strict=True):
            np.testing.assert_allclose(result.local_density_of_states, of_atoms, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(result.density_of_states, of_atoms.sum(axis=0), rtol=1e-8, atol=1e-8)


# --- checkpoints -----------------------------------------------------------------------------------------------


def test_checkpoints_from_before():
    """They have no such option, and predict what they did."""
    plain = make_model(crystal_system_prompt=False)
    checkpoint = copy.deepcopy(plain.get_checkpoint())
    assert not any("prompt" in name for name in checkpoint["model_state_dict"])
    del checkpoint["model_data"]["model_hypers"]["crystal_system_prompt"]
    checkpoint["model_ckpt_version"] = 1
    again = model_from_checkpoint(checkpoint, "export").eval()
    systems = in_systems(FRAMES, [None] * 3, plain)
    torch.testing.assert_close(spectra(again, systems), spectra(plain, systems), rtol=0, atol=0)


def test_the_prompt_cannot_be_switched_on_later():
    model = make_model(crystal_system_prompt=False)
    with pytest.raises(ValueError, match="crystal_system_prompt: False in the checkpoint, True in the options"):
        model.restart(model.dataset_info, {"crystal_system_prompt": True})


# --- training --------------------------------------------------------------------------------------------------


def options_of(file, *, with_systems=True, **training):
    """What a user writes into `options.yaml`."""
    target = {"key": "dos", "type": "scalar", "sample_kind": "system", "num_subtargets": AXIS.size, "unit": ""}
    data = {
        "systems": {"read_from": str(file), "length_unit": "angstrom"},
        "targets": {PHONON_DOS: {**target, "quantity": ""}},
    }
    if with_systems:
        data["extra_data"] = {CRYSTAL_SYSTEM: {"key": "crystal_system"}}
    model = {**SMALL, "fixed_axes": {PHONON_DOS: AXIS.to_dict()}, "crystal_system_prompt": True}
    hypers = {"batch_size": 4, "num_workers": 0, "warmup_epochs": 0.0, "learning_rate": 1e-2, **training}
    return {
        "architecture": {"name": "dos_transformer", "model": model, "training": hypers},
        **dict.fromkeys(("training_set", "validation_set", "test_set"), data),
        "final_eval": False,
        "base_precision": 64,
        "seed": 1,
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """One structure, whose spectrum depends on what is said to be its crystal system."""
    path = tmp_path_factory.mktemp("alike") / "alike.xyz"
    (row,) = phonon_rows([bulk("Si")])[PHONON_DOS]
    frames = []
    for number in (1, 2, 1, 2, 1, 2, 1, 2):
        atoms = bulk("Si")
        atoms.info = {"crystal_system": number, "dos": (number * row).numpy()}
        frames.append(atoms)
    ase.io.write(path, frames)
    return path, row


def run(options, folder, **arguments):
    train_model(OmegaConf.create(options), folder / "model.pt", folder / "extensions", folder, **arguments)
    return torch.load(folder / "model.ckpt", weights_only=False)


def test_training(alike, tmp_path, monkeypatch):
    """What differs by the crystal system alone is learned, and something between where it is not known."""
    monkeypatch.chdir(tmp_path)
    path, row = alike
    model = model_from_checkpoint(run(options_of(path, num_epochs=60), tmp_path), "export").eval()
    unknown, first, second = spectra(model, in_systems([bulk("Si")] * 3, [None, 1, 2], model))
    sizes = [float(values @ row / (row @ row)) for values in (first, unknown, second)]
    assert sizes == pytest.approx([1.0, 1.5, 2.0], abs=0.3) and sizes == sorted(sizes)


def test_restart(alike, tmp_path, monkeypatch):
    """The crystal systems of the same structures are hidden."""
    monkeypatch.chdir(tmp_path)
    whole = run(options_of(alike[0], num_epochs=4), tmp_path)["model_state_dict"]
    run(options_of(alike[0], num_epochs=2), tmp_path)
    again = run(options_of(alike[0], num_epochs=4), tmp_path, restart_from="model.ckpt")["model_state_dict"]
    assert all(torch.equal(again[name], values) for name, values in whole.items())
    prompts = whole[f"network.heads.{PHONON_DOS}.prompt.vectors"]
    assert (prompts.abs().sum(dim=1) > 0).tolist() == [True] * 3 + [False] * 5


def test_training_without_crystal_systems(alike, tmp_path, monkeypatch, caplog):
    """Is possible, and said."""
    monkeypatch.chdir(tmp_path)
    run(options_of(alike[0], with_systems=False, num_epochs=1), tmp_path)
    for part in ("training", "validation"):
        expected = f"reads mtt::crystal_system, but the {part} set has none (`extra_data`); using 0 (unknown)"
        assert expected in caplog.text
