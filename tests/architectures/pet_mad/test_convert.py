"""Checkpoints of `metatrain.pet` become models of `pet_mad` with equal predictions."""

import copy
import gzip
import shutil
import sys
from pathlib import Path

import ase.io
import metatrain.llpr.tests
import metatrain.pet.tests
import numpy as np
import pytest
import torch
from ase.build import molecule
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelEvaluationOptions, ModelMetadata, ModelOutput, load_atomistic_model, systems_to_torch
from metatrain.cli.export import export_model
from metatrain.cli.train import train_model
from metatrain.pet.model import PET
from metatrain.pet.modules.finetuning import apply_finetuning_strategy
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from metatrain.utils.io import model_from_checkpoint
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from omegaconf import OmegaConf
from peer import ELEMENTS
from peer_models import ALL_KINDS, fill, make_peer_model, published_network, target_info
from structures import example_structures
from torch.nn import functional
from typer.testing import CliRunner

from electrain.architectures.pet_mad.from_pet.convert import AxisOptions, convert
from electrain.architectures.pet_mad.model import PETMAD
from electrain.cli.main import app
from electrain.files.checkpoints import read_checkpoint
from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.spectra.grid import EnergyGrid

STRESS = "non_conservative_stress"
LONG_RANGE = {**get_default_hypers("pet")["model"]["long_range"], "enable": True, "use_ewald": True}
AXIS = AxisOptions(start=-10.0, step=0.5)
STRUCTURES = example_structures()
HAS_VOLUME = [bool(atoms.pbc.all()) for atoms in STRUCTURES.values()]


def systems_for(*models, frames=None):
    frames = list(STRUCTURES.values()) if frames is None else frames
    modules = [part for model in models for part in (model, *model.additive_models)]
    lists = [options for module in modules for options in module.requested_neighbor_lists()]
    return [get_system_with_neighbor_lists(system, lists) for system in systems_to_torch(frames, dtype=torch.float64)]


def predict(model, systems, names, sample_kind, selected_atoms=None):
    outputs = {name: ModelOutput(sample_kind=sample_kind) for name in names}
    with torch.no_grad():
        return model(systems, outputs, selected_atoms)


def assert_equal_maps(ours, peers, name, rtol=1e-10):
    """Blocks, labels and values; a stress without volume is NaN here and 0 there."""
    assert ours.keys == peers.keys
    for key, expected in peers.items():
        block = ours.block(key)
        assert block.samples == expected.samples
        assert block.components == expected.components
        if name != DENSITY_OF_STATES:  # of which we label the channels
            assert block.properties == expected.properties
        values, others = block.values.clone(), expected.values
        if name == STRESS:
            with_volume = torch.tensor(HAS_VOLUME)[block.samples.values[:, 0].long()]
            assert values[~with_volume].isnan().all() and (others[~with_volume] == 0).all()
            values[~with_volume] = 0.0
        largest = float(others.abs().max())
        assert largest > 1e-4
        assert float((values - others).abs().max()) < rtol * largest


def assert_equal_predictions(ours, peer, names, rtol=1e-10):
    systems = systems_for(ours, peer)
    for kind in ("system", "atom"):
        wanted = [name for name in names if kind == "atom" or of_structures(ours, name)]
        results, expected = (predict(model, systems, wanted, kind) for model in (ours, peer))
        assert sorted(results) == sorted(wanted)
        for name in wanted:
            assert_equal_maps(results[name], expected[name], name, rtol)


def of_structures(model, name):
    """metatrain's scales of targets per atom are no scales of sums over atoms."""
    return model.dataset_info.targets[name].sample_kind == "system"


def reloaded(model, context="export"):
    """As metatrain loads it."""
    return model_from_checkpoint(copy.deepcopy(model.get_checkpoint()), context).eval()


CLASSIC = {"normalization": "LayerNorm", "activation": "SiLU", "transformer_type": "PostLN"}
MODERN = {"normalization": "RMSNorm", "activation": "SwiGLU", "transformer_type": "PreLN"}
COMBINATIONS = {
    "PET-MAD": {"featurizer_type": "residual", **CLASSIC},
    "newer": {"featurizer_type": "feedforward", **MODERN, "cutoff_function": "Bump"},
    "one layer": {"featurizer_type": "feedforward", **CLASSIC, "num_gnn_layers": 1, "d_node": 12, "zbl": True},
    "three layers": {"featurizer_type": "residual", **MODERN, "num_gnn_layers": 3, "d_node": 12},
    "temperature": {"featurizer_type": "residual", "num_attention_layers": 2, "attention_temperature": 1.3},
    "adaptive": {"featurizer_type": "feedforward", "num_neighbors_adaptive": 6, "zbl": True},
    "charged": {"featurizer_type": "feedforward", "system_conditioning": True, "max_charge": 3},
    "adaptive, old": {
        "featurizer_type": "residual",
        "num_neighbors_adaptive": 6,
        "adaptive_cutoff_method": "grid",
        "cutoff_width_adaptive": 0.5,
    },
}


@pytest.mark.parametrize("options", COMBINATIONS.values(), ids=COMBINATIONS)
def test_all_targets_of_a_mixed_batch(options):
    """Bulk, one-atom cell, slab, molecule, isolated atom and molecules out of reach, per atom and per structure."""
    peer = make_peer_model(**options)
    ours = convert(peer.get_checkpoint(), AXIS)
    assert_equal_predictions(ours.eval(), peer, ALL_KINDS)


@pytest.mark.parametrize("context", ["finetune", "export"])
def test_the_checkpoint_of_the_result(context):
    """What metatrain makes of it: the same model."""
    peer = make_peer_model(zbl=True)
    ours = reloaded(convert(peer.get_checkpoint(), AXIS), context)
    assert_equal_predictions(ours, peer, ALL_KINDS)


def test_selected_atoms():
    peer = make_peer_model()
    ours = convert(peer.get_checkpoint(), AXIS).eval()
    systems = systems_for(ours, peer)
    chosen = Labels(["system", "atom"], torch.tensor([[i, 0] for i in range(len(systems))] + [[3, 4]]))
    names = [name for name in ALL_KINDS if name != STRESS and of_structures(ours, name)]
    results, expected = (predict(model, systems, names, "system", chosen) for model in (ours, peer))
    for name in names:
        assert_equal_maps(results[name], expected[name], name)


def test_the_other_name_of_direct_forces():
    name = "non_conservative_forces"
    info = target_info("non_conservative_force")
    peer = make_peer_model(("energy",))
    torch.manual_seed(0)
    other = PET(peer.hypers, DatasetInfo("angstrom", ELEMENTS, {name: info})).to(torch.float64)
    assert_equal_predictions(convert(other.get_checkpoint()).eval(), other.eval(), [name])


def test_low_rank_updates_are_merged():
    peer = make_peer_model(("energy",))
    strategy = {"method": "lora", "config": {"rank": 2, "alpha": 3.0}, "inherit_heads": {}, "read_from": ""}
    apply_finetuning_strategy(peer, strategy)
    without = reloaded(convert(make_peer_model(("energy",)).get_checkpoint()))
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    checkpoint = peer.get_checkpoint()
    checkpoint["best_model_state_dict"] = copy.deepcopy(checkpoint["model_state_dict"])  # as the trainer does it
    ours = reloaded(convert(checkpoint))
    assert_equal_predictions(ours, peer, ["energy"])
    systems = systems_for(ours)
    before, after = (predict(model, systems, ["energy"], "system")["energy"] for model in (without, ours))
    assert (before.block().values - after.block().values).abs().max() > 1e-3


def test_the_best_model_is_taken():
    peer, worse = make_peer_model(("energy",)), make_peer_model(("energy",))
    with torch.no_grad():
        for parameter in worse.parameters():
            parameter.mul_(1.1)
    checkpoint = {**peer.get_checkpoint(), "model_state_dict": worse.state_dict()}
    assert_equal_predictions(convert(checkpoint).eval(), peer, ["energy"])


def test_metadata_and_precision_are_kept():
    peer = make_peer_model(("energy",)).to(torch.float32)
    peer.metadata = ModelMetadata(name="PET-X", authors=["A. Author"], references={"model": ["https://example.org"]})
    ours = convert(peer.get_checkpoint())
    assert next(ours.parameters()).dtype == torch.float32
    metadata = reloaded(ours).metadata
    assert (metadata.name, metadata.authors) == ("PET-X", ["A. Author"])
    assert metadata.references["model"] == ["https://example.org"]
    assert set(PETMAD.__default_metadata__.references["architecture"]) < set(metadata.references["architecture"])


OLD = [
    *[("pet", name) for name in ("v1_trainer-v1", "v3_trainer-v2", "v7_trainer-v6", "v8_trainer-v8")],
    *[("pet", name) for name in ("v10_trainer-v11", "v12_trainer-v13", "v14_trainer-v13", "v16_trainer-v15")],
    *[("llpr", name) for name in ("v2_trainer-v1", "v3_trainer-v5", "v4_trainer-v7")],
]


@pytest.mark.parametrize(("architecture", "version"), OLD)
def test_old_checkpoints(architecture, version, tmp_path):
    """Those that metatrain keeps for its own tests; with uncertainties, the model inside is taken."""
    package = {"pet": metatrain.pet.tests, "llpr": metatrain.llpr.tests}[architecture]
    path = tmp_path / "old.ckpt"
    with gzip.open(Path(package.__file__).parent / "checkpoints" / f"model-{version}.ckpt.gz") as file:
        path.write_bytes(file.read())
    original = torch.load(path, weights_only=False)
    peer = model_from_checkpoint(original.get("wrapped_model_checkpoint", original), "export").eval()
    ours = convert(read_checkpoint(path)).eval()
    for model in (ours, peer):
        model.to(torch.float64)
    systems = systems_for(ours, peer, frames=[molecule("CH3CH2OH"), molecule("NH3"), molecule("O")])
    (name,) = ours.dataset_info.targets
    results, expected = (predict(model, systems, [name], "atom")[name].block().values for model in (ours, peer))
    assert expected.abs().max() > 1e-4
    torch.testing.assert_close(results, expected, rtol=1e-10, atol=1e-10)


def test_exported_models_are_equal(tmp_path):
    """TorchScript, from files."""
    peer = make_peer_model(zbl=True)
    torch.save(convert(peer.get_checkpoint(), AXIS).get_checkpoint(), tmp_path / "ours.ckpt")
    export_model(tmp_path / "ours.ckpt", str(tmp_path / "ours.pt"))
    peer.export().save(str(tmp_path / "peer.pt"))
    ours, peers = (load_atomistic_model(str(tmp_path / name)) for name in ("ours.pt", "peer.pt"))
    lists = [*ours.requested_neighbor_lists(), *peers.requested_neighbor_lists()]
    systems = systems_to_torch(list(STRUCTURES.values()), dtype=torch.float64)
    systems = [get_system_with_neighbor_lists(system, lists) for system in systems]
    infos = peer.dataset_info.targets
    outputs = {name: ModelOutput(unit=infos[name].unit, sample_kind=infos[name].sample_kind) for name in ALL_KINDS}
    results, expected = (
        model(systems, ModelEvaluationOptions("angstrom", outputs), check_consistency=True) for model in (ours, peers)
    )
    for name in ALL_KINDS:
        assert_equal_maps(results[name], expected[name], name)


def test_fine_tuning_goes_on_from_the_result(tmp_path, monkeypatch):
    """With `mtt train`, at a learning rate that changes nothing: still the same energies."""
    monkeypatch.chdir(tmp_path)
    peer = make_peer_model(("energy", "mtt::charge"))
    torch.save(convert(peer.get_checkpoint()).get_checkpoint(), "base.ckpt")
    random = np.random.default_rng(0)
    frames = []
    for i in range(6):
        atoms = molecule(["CH4", "H2O"][i % 2])
        atoms.positions += 0.1 * random.normal(size=atoms.positions.shape)
        atoms.info["U"] = float(random.normal())
        frames.append(atoms)
    ase.io.write("train.xyz", frames)
    energies = {"key": "U", "unit": "eV", "forces": False, "stress": False}
    frames = {"systems": {"read_from": "train.xyz", "length_unit": "angstrom"}, "targets": {"energy": energies}}
    hypers = {
        name: value
        for name, value in convert(peer.get_checkpoint()).hypers.items()
        if name not in ("energy_grid", "zbl", "num_neighbors_adaptive")
    }
    training = {"num_epochs": 1, "batch_size": 2, "num_workers": 0, "learning_rate": 1e-300}
    options = {
        "architecture": {
            "name": "pet_mad",
            "model": hypers,
            "training": {**training, "finetune": {"read_from": "base.ckpt", "method": "heads"}},
        },
        **dict.fromkeys(("training_set", "validation_set", "test_set"), frames),
        "base_precision": 64,
        "seed": 1,
        "device": "cpu",
    }
    train_model(OmegaConf.create(options), output="tuned.pt", checkpoint_dir=".")
    tuned = model_from_checkpoint(torch.load("tuned.ckpt", weights_only=False), "export").eval()
    assert_equal_predictions(tuned, peer, ["energy", "mtt::charge"])


# the density of states


def axis_of(model):
    grid = model.axis.grid
    return (grid.start, grid.step, grid.size, model.hypers["energy_grid"]["max_shift"])


def dos_peer(size, labels=None, **options):
    """With the channels labelled, if labels are given."""
    if labels is None:
        return make_peer_model((DENSITY_OF_STATES,), size, **options)
    peer = make_peer_model((DENSITY_OF_STATES,), size, **options)
    info = target_info(DENSITY_OF_STATES, size)
    block = info.layout.block()
    block = TensorBlock(block.values, block.samples, block.components, labels)
    labelled = TargetInfo(TensorMap(info.layout.keys, [block]))
    return PET(peer.hypers, DatasetInfo("angstrom", ELEMENTS, {DENSITY_OF_STATES: labelled}))


def test_the_axis_of_the_published_model():
    ours = convert(dos_peer(4806).get_checkpoint())
    assert axis_of(ours) == (-159.6456, 0.05, 4806, 200)
    assert ours.axis.grid.stop == pytest.approx(80.6044)
    assert ours.hypers["energy_grid"]["smearing"] == 0.3


def test_the_axis_of_the_labels():
    grid = EnergyGrid(-12.25, 0.05, 30)
    ours = convert(dos_peer(30, grid_to_labels(grid)).get_checkpoint())
    assert axis_of(ours) == (-12.25, 0.05, 30, 0)
    with pytest.raises(ValueError, match=r"the energy axis of target 'mtt::dos' in the dataset is -12.25 \.\.\. -10.8"):
        convert(dos_peer(30, grid_to_labels(grid)).get_checkpoint(), AXIS)


@pytest.mark.parametrize("size", [30, 4806])
def test_a_given_axis(size):
    ours = convert(dos_peer(size).get_checkpoint(), AxisOptions(-10.0, 0.1, 0.5))
    assert axis_of(ours) == (-10.0, 0.1, size, 5)
    assert "smearing" not in ours.hypers["energy_grid"]


@pytest.mark.parametrize("axis", [AxisOptions(), AxisOptions(start=1.0), AxisOptions(step=0.1)])
def test_an_unknown_axis(axis):
    with pytest.raises(ValueError, match=r"energies of the 30 channels of 'mtt::dos'; give .*--energy-start"):
        convert(dos_peer(30).get_checkpoint(), axis)


def test_half_of_the_published_axis():
    with pytest.raises(ValueError, match="the 4806 channels"):
        convert(dos_peer(4806).get_checkpoint(), AxisOptions(start=-150.0))


def test_wrong_axes():
    checkpoint = dos_peer(30).get_checkpoint()
    with pytest.raises(ValueError, match="a positive step"):
        convert(checkpoint, AxisOptions(-10.0, -0.5))
    with pytest.raises(ValueError, match=r"largest shift from 0 eV to the length of the axis, .*got -1"):
        convert(checkpoint, AxisOptions(-10.0, 0.5, -1.0))
    with pytest.raises(ValueError, match=r"no 'mtt::dos'; its targets: energy"):
        convert(make_peer_model(("energy",)).get_checkpoint(), AXIS)


@pytest.mark.parametrize("reload", [False, True])
def test_a_baseline_of_the_density_of_states(reload):
    """Part of the prediction, per atom, per structure and of selected atoms; the Fermi level is read from the sum."""
    peer = dos_peer(4806)
    generator = torch.Generator().manual_seed(0)
    name = f"{DENSITY_OF_STATES}_composition_buffer"
    fill(peer.additive_models[0], name, lambda values: torch.rand(values.shape, generator=generator).to(values))
    peer.additive_models[0].sync_tensor_maps()
    weights = {BAND_GAP: published_network(0), FERMI_LEVEL: published_network(1)}
    ours = convert(peer.get_checkpoint(), spectrum_weights=weights).eval()
    ours = reloaded(ours) if reload else ours
    assert_equal_predictions(ours, peer, [DENSITY_OF_STATES])
    systems = systems_for(ours, peer)
    chosen = Labels(["system", "atom"], torch.tensor([[i, 0] for i in range(len(systems))] + [[3, 4]]))
    found, expected = (
        predict(model, systems, [DENSITY_OF_STATES], "system", chosen)[DENSITY_OF_STATES] for model in (ours, peer)
    )
    assert_equal_maps(found, expected, DENSITY_OF_STATES)
    spectra = predict(peer, systems, [DENSITY_OF_STATES], "system")[DENSITY_OF_STATES].block().values
    levels = published_prediction(weights[FERMI_LEVEL], spectra / torch.tensor([[len(system)] for system in systems]))
    read = predict(ours, systems, [FERMI_LEVEL], "system")[FERMI_LEVEL].block().values
    torch.testing.assert_close(read, levels - 159.6456, rtol=1e-10, atol=1e-10)
    scripted = torch.jit.script(ours)
    again = predict(scripted, systems, [DENSITY_OF_STATES, FERMI_LEVEL], "system")
    torch.testing.assert_close(again[FERMI_LEVEL].block().values, read, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(again[DENSITY_OF_STATES].block().values, spectra, rtol=1e-10, atol=1e-10)


def test_a_baseline_goes_with_the_density_of_states():
    peer = dos_peer(30)
    fill(peer.additive_models[0], f"{DENSITY_OF_STATES}_composition_buffer", lambda values: values + 0.25)
    ours = convert(peer.get_checkpoint(), AXIS)
    assert "element_spectra.spectra" in ours.state_dict()
    ours.remove_output(DENSITY_OF_STATES)
    assert not any("element_spectra" in key for key in ours.state_dict())


# band gap and Fermi level


def published_prediction(state, spectra):
    """One number from each spectrum per atom."""
    features = spectra.unsqueeze(1)
    for name in ("conv1", "conv2", "conv3", "conv4"):
        features = functional.conv1d(features, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)
        features = functional.max_pool1d(functional.silu(features), 4)
    hidden = functional.silu(functional.linear(features.flatten(1), state["fc1.weight"], state["fc1.bias"]))
    return functional.linear(hidden, state["fc2.weight"], state["fc2.bias"])


def test_networks_for_band_gap_and_fermi_level():
    """Both read the density of states per atom; the gap is cut at 0, the Fermi level counts from the first channel."""
    peer = dos_peer(4806)
    weights = {BAND_GAP: published_network(0), FERMI_LEVEL: published_network(1)}
    ours = reloaded(convert(peer.get_checkpoint(), spectrum_weights=weights))
    assert sorted(ours.dataset_info.targets) == [BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL]
    assert {ours.outputs[name].unit for name in weights} == {"eV"}
    systems = systems_for(ours, peer)
    spectra = predict(peer, systems, [DENSITY_OF_STATES], "system")[DENSITY_OF_STATES].block().values
    spectra = spectra / torch.tensor([[len(system)] for system in systems])
    results = predict(ours, systems, list(weights), "system")
    gaps = published_prediction(weights[BAND_GAP], spectra)
    levels = published_prediction(weights[FERMI_LEVEL], spectra)
    assert gaps.max() > 1e-3 and gaps.min() < -1e-3 and levels.std() > 1e-3
    for name, expected in ((BAND_GAP, gaps.clamp_min(0.0)), (FERMI_LEVEL, levels - 159.6456)):
        torch.testing.assert_close(results[name].block().values, expected, rtol=1e-10, atol=1e-10)


def test_other_networks_for_the_band_gap():
    checkpoint = dos_peer(4806).get_checkpoint()
    wrong = published_network(0, num_features=960)
    with pytest.raises(ValueError, match=r"4 convolutions and 2 linear layers with weights of shapes .*\(1024, 1024\)"):
        convert(checkpoint, spectrum_weights={BAND_GAP: wrong})
    without_biases = {name: value for name, value in published_network(0).items() if "bias" not in name}
    with pytest.raises(ValueError, match=r"with biases of shapes \(64,\), .*got none"):
        convert(checkpoint, spectrum_weights={BAND_GAP: without_biases})
    with pytest.raises(ValueError, match=r"needs the target 'mtt::dos'"):
        convert(make_peer_model(("energy",)).get_checkpoint(), spectrum_weights={BAND_GAP: published_network(0)})


# models that have no equal here


def test_targets_that_we_cannot_predict():
    with pytest.raises(ValueError, match="'mtt::bandgap' as a sum over atoms"):
        convert(make_peer_model((BAND_GAP,)).get_checkpoint())
    peer = make_peer_model(("energy",))
    variant = f"{STRESS}/pbe"
    infos = {variant: target_info(STRESS)}
    other = PET(peer.hypers, DatasetInfo("angstrom", ELEMENTS, infos))
    with pytest.raises(ValueError, match=r"by the volume, not 'non_conservative_stress/pbe'"):
        convert(other.get_checkpoint())
    basis = {number: [{"o3_lambda": 0, "o3_sigma": 1, "num": 1}] for number in ELEMENTS}
    options = {"quantity": "", "unit": "", "type": {"spherical": {"irreps": basis}}, "sample_kind": "atom"}
    infos = {"mtt::basis": get_generic_target_info("mtt::basis", {**options, "num_subtargets": 1, "description": ""})}
    other = PET(peer.hypers, DatasetInfo("angstrom", ELEMENTS, infos))
    with pytest.raises(ValueError, match="'mtt::basis' is expanded in an atomic basis"):
        convert(other.get_checkpoint())


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({}, "architecture `pet`, got None"),
        ({"architecture_name": "soap_bpnn"}, "architecture `pet`, got 'soap_bpnn'"),
        ({"architecture_name": "pet_mad"}, "already a checkpoint of `pet_mad`"),
        ({"architecture_name": "llpr", "wrapped_model_checkpoint": {"architecture_name": "mace"}}, "got 'mace'"),
        ({"architecture_name": "pet", "model_state_dict": {}}, "of `pet` lacks model_data, best_model_state_dict"),
        ({"architecture_name": "pet", "model_data": {"dataset_info": 1}}, "of `pet` lacks model_hypers"),
    ],
)
def test_other_checkpoints(checkpoint, message):
    with pytest.raises(ValueError, match=message):
        convert(checkpoint)


def test_models_that_metatrain_cannot_load():
    checkpoint = make_peer_model(("energy",)).get_checkpoint()
    newer = {**checkpoint, "model_ckpt_version": 1000}
    with pytest.raises(ValueError, match=r"metatrain cannot load the model: .*version 1000"):
        convert(newer)
    del checkpoint["best_model_state_dict"]["backend.edge_embedder.weight"]
    with pytest.raises(ValueError, match="metatrain cannot load the model: Error"):
        convert(checkpoint)


# the command


def run(*arguments):
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    return result.exit_code, result.output.replace("\n", " "), result.output


@pytest.fixture(scope="module")
def dos_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("peer") / "peer.ckpt"
    torch.save(make_peer_model(("energy", DENSITY_OF_STATES), 4806).get_checkpoint(), path)
    return path


def test_command(dos_file, tmp_path):
    target = tmp_path / "ours.ckpt"
    torch.save(published_network(0), tmp_path / "gap.pt")
    torch.save(published_network(1), tmp_path / "fermi.pt")
    weights = ["--band-gap-weights", tmp_path / "gap.pt", "--fermi-level-weights", tmp_path / "fermi.pt"]
    status, _, output = run(dos_file, target, *weights, "--max-shift", 5)
    assert status == 0, output
    ours = model_from_checkpoint(torch.load(target, weights_only=False), "export")
    assert isinstance(ours, PETMAD)
    peer = make_peer_model(("energy", DENSITY_OF_STATES), 4806)
    assert_equal_predictions(ours.eval(), peer, ["energy", DENSITY_OF_STATES])
    number = sum(parameter.numel() for parameter in ours.parameters())
    for line in (
        f"wrote {target}",
        "target          energy (eV), per structure",
        "target          mtt::bandgap (eV), band gap",
        "energy axis     -159.646 ... 80.6044 eV in steps of 0.05 eV (4806 channels)",
        "largest shift   5 eV",
        "elements        5: H C O Si Au",
        "cutoff          3 A, the same for all atoms",
        "network         feedforward, message-passing layers: 2",
        f"parameters      {number:,} (float64)",
        f"mtt export {target} -o {tmp_path / 'ours.pt'}",
    ):
        assert line in output, output
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_command_on_a_model_with_more_inputs(tmp_path):
    """What it says about them."""
    pytest.importorskip("torchpme")
    peer = make_peer_model(("energy",), system_conditioning=True, max_charge=3, long_range=LONG_RANGE)
    torch.save(peer.get_checkpoint(), tmp_path / "peer.ckpt")
    status, _, output = run(tmp_path / "peer.ckpt", tmp_path / "ours.ckpt")
    assert status == 0, output
    assert "network         feedforward, message-passing layers: 2, long-range features\n" in output
    assert "reads           charge, -3 to 3 e, and spin multiplicity, 1 to 10\n" in output
    assert f"parameters      {count_parameters(tmp_path / 'ours.ckpt'):,} (float64)" in output


def count_parameters(path):
    model = model_from_checkpoint(torch.load(path, weights_only=False), "export")
    return sum(parameter.numel() for parameter in model.parameters())


def test_long_range_features_without_the_package(monkeypatch):
    pytest.importorskip("torchpme")
    checkpoint = make_peer_model(("energy",), long_range=LONG_RANGE).get_checkpoint()
    monkeypatch.setitem(sys.modules, "torchpme", None)
    with pytest.raises(ValueError, match="metatrain cannot load the model: `torch-pme` is required"):
        convert(checkpoint)


def test_command_on_a_model_with_uncertainties(tmp_path):
    package = Path(metatrain.llpr.tests.__file__).parent
    with gzip.open(package / "checkpoints" / "model-v4_trainer-v7.ckpt.gz") as file:
        (tmp_path / "llpr.ckpt").write_bytes(file.read())
    status, output, _ = run(tmp_path / "llpr.ckpt", tmp_path / "ours.ckpt")
    assert status == 0
    assert "Uncertainties were not converted: calibrate them again" in output


def test_wrong_use_of_the_command(dos_file, tmp_path):
    target = tmp_path / "ours.ckpt"
    copied = tmp_path / "peer.ckpt"
    shutil.copy(dos_file, copied)
    (tmp_path / "text.ckpt").write_text("hello")
    peer = make_peer_model(("energy",))
    peer.export().save(str(tmp_path / "exported.pt"))
    torch.save({"a": torch.zeros(2)}, tmp_path / "tensors.ckpt")
    for arguments, message in (
        ((copied, copied), f"it is an input ({copied}); choose another name"),
        ((copied, tmp_path / "." / "peer.ckpt"), f"it is an input ({copied})"),
        ((copied, tmp_path / "ours.onnx"), "ends with .ckpt or .pt for the result"),
        ((tmp_path / "none.ckpt", target), "none.ckpt does not exist"),
        ((tmp_path, target), "is a folder; expected a .ckpt file written by `mtt train`"),
        (
            (tmp_path / "text.ckpt", target),
            "is not a checkpoint, or incomplete; expected a .ckpt file written by `mtt train`",
        ),
        ((tmp_path / "exported.pt", target), "is an exported model; expected the checkpoint (.ckpt)"),
        ((tmp_path / "tensors.ckpt", target), "cannot be converted: expected a checkpoint of metatrain's arch"),
        ((copied, tmp_path / "no" / "ours.ckpt"), f"the folder {tmp_path / 'no'} does not exist"),
        ((copied, target, "--energy-start", "-10"), "cannot be converted: the checkpoint does not contain"),
        ((copied, target, "--band-gap-weights", copied), "4 convolutions and 2 linear layers"),
    ):
        before = copied.read_bytes()
        status, output, _ = run(*arguments)
        assert status == (2 if "ends with" in message else 1)
        assert output.startswith("error: ") and message in output, output
        assert output.count("error") == 1 and "Traceback" not in output
        assert copied.read_bytes() == before
        assert not target.exists()
