"""Fine-tuning: what is trained, what stays as it is, what is dropped, and what is refused."""

import copy
import gzip
import logging
from pathlib import Path

import ase.io
import pytest
import torch
from metatomic.torch import ModelEvaluationOptions, load_atomistic_model, systems_to_torch
from metatrain.cli.train import train_model
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset, DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info
from metatrain.utils.errors import ArchitectureError
from metatrain.utils.io import model_from_checkpoint, trainer_from_checkpoint
from metatrain.utils.neighbor_lists import get_requested_neighbor_lists, get_system_with_neighbor_lists
from omegaconf import OmegaConf
from tiny_models import (
    ALL_TARGETS,
    ELEMENTS,
    GRID_HYPERS,
    SMALL,
    dataset_info,
    make_dataset,
    make_model,
    make_varied,
    request,
    target_infos,
    to_systems,
    training_structures,
)
from torch import nn

from electrain.architectures.pet_mad.model import PETMAD
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.interface.metatrain_errors import OptionsError
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.nn.low_rank import LowRank, LowRankLinear, add_low_rank, find_low_rank

DOS = DENSITY_OF_STATES
ELECTRONIC = (DOS, BAND_GAP, FERMI_LEVEL)
CPU = torch.device("cpu")
FRAMES = training_structures()
NEW_ENERGY = "energy/new"


def new_trainer(finetune=None, **options):
    torch.manual_seed(11)
    hypers = copy.deepcopy(get_default_hypers("pet_mad")["training"])
    hypers.update({"batch_size": 2, "num_workers": 0, "warmup_epochs": 0.0, "learning_rate": 1e-2, "num_epochs": 1})
    hypers.update(options)
    if finetune is not None:
        hypers["finetune"] = {"read_from": "base.ckpt", **finetune}
    return Trainer(hypers)


def train(trainer, model, dataset, folder, dtype=torch.float64):
    """As `mtt train` does it."""
    trainer.train(model, dtype, [CPU], [dataset], [dataset], str(folder))


def new_info(names=(NEW_ENERGY,), forces=False):
    """Targets of the tiny data set, and a second energy."""
    infos = target_infos(tuple(name for name in names if name != NEW_ENERGY), forces)
    if NEW_ENERGY in names:
        config = {"quantity": "energy", "unit": "eV", "description": ""}
        infos[NEW_ENERGY] = get_energy_target_info(NEW_ENERGY, config, add_position_gradients=forces)
    return DatasetInfo("angstrom", ELEMENTS, infos)


def new_dataset(names=(NEW_ENERGY,), forces=False):
    """The tiny data set; its energies may be called otherwise."""
    dataset = make_dataset(tuple("energy" if name == NEW_ENERGY else name for name in names), FRAMES, forces)
    if NEW_ENERGY not in names:
        return dataset
    columns = {name: [sample[name] for sample in dataset] for name in dataset[0]._fields}
    columns[NEW_ENERGY] = columns.pop("energy")
    return Dataset.from_dict(columns)


def both_energies():
    """The same values under two names."""
    dataset = make_dataset(("energy",), FRAMES)
    columns = {name: [sample[name] for sample in dataset] for name in ("system", "energy")}
    return Dataset.from_dict({**columns, NEW_ENERGY: columns["energy"]})


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Checkpoint of a trained model with all targets."""
    folder = tmp_path_factory.mktemp("base")
    model = make_model()
    trainer = new_trainer()
    train(trainer, model, make_dataset(ALL_TARGETS, FRAMES), folder)
    trainer.save_checkpoint(model, folder / "base.ckpt")
    return torch.load(folder / "base.ckpt", weights_only=False)


def begin(checkpoint, info):
    """A model as `mtt train` hands it to the trainer for fine-tuning."""
    return model_from_checkpoint(copy.deepcopy(checkpoint), "finetune").restart(info)


def restored(trainer, model, path, context="restart"):
    trainer.save_checkpoint(model, path)
    return model_from_checkpoint(torch.load(path, weights_only=False), context)


def parameters(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def changed(before, after):
    """Names of the parameters that are not the same to the last bit."""
    return {name for name in before if name in after and not torch.equal(before[name], after[name])}


def predict(model, names, called=None):
    """Values of all structures; `called` stands in for the model."""
    lists = get_requested_neighbor_lists(model)
    systems = [get_system_with_neighbor_lists(s, lists) for s in systems_to_torch(FRAMES, dtype=torch.float64)]
    with torch.no_grad():
        results = (model.eval() if called is None else called)(systems, request(names))
    return {name: results[name].block().values for name in names}


def randomize(model):
    for module in model.modules():
        if isinstance(module, LowRankLinear):
            nn.init.normal_(module.low_rank_b)
    return model


# --- what is trained -------------------------------------------------------------------------------------------


def test_lora_trains_low_rank_matrices_only(base, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    model = begin(base, dataset_info(("energy",)))
    before = parameters(model)
    trainer = new_trainer({"method": "lora", "config": {"rank": 2, "alpha": 1.0}}, num_epochs=2)
    train(trainer, model, make_dataset(("energy",), FRAMES), tmp_path)
    after = parameters(model)
    assert changed(before, after) == set()
    added = {name for name in after if name not in before}
    assert added == {
        f"network.layers.{i}.layers.0.attention.{layer}.low_rank_{matrix}"
        for i in range(2)
        for layer in ("input_linear", "output_linear")
        for matrix in "ab"
    }
    assert all(after[name].abs().max() > 0 for name in added)
    assert set(trainer.trainable_parameters) == added
    total = sum(value.numel() for value in after.values())
    trained = 2 * ((2 * 8 + 24 * 2) + (2 * 8 + 8 * 2))
    assert f"Fine-tuning (lora): {trained} of {total} parameters are trained ({trained / total:.2%})" in caplog.text


@pytest.mark.parametrize("method", ["full", "lora", "heads"])
def test_predictions_start_from_the_base(base, tmp_path, method):
    reference = predict(model_from_checkpoint(copy.deepcopy(base), "export"), ALL_TARGETS)
    model = begin(base, dataset_info(ALL_TARGETS))
    train(new_trainer({"method": method}, learning_rate=0.0), model, make_dataset(ALL_TARGETS, FRAMES), tmp_path)
    found = predict(model, ALL_TARGETS)
    for name in ALL_TARGETS:
        assert torch.equal(found[name], reference[name])


def test_defaults_of_lora_are_those_of_the_paper(base, tmp_path):
    model = begin(base, dataset_info(("energy",)))
    train(new_trainer({"method": "lora"}), model, make_dataset(("energy",), FRAMES), tmp_path)
    assert find_low_rank(model.network) == LowRank(8, 4.0, ("input_linear", "output_linear"))
    assert {module.scaling for module in model.modules() if isinstance(module, LowRankLinear)} == {0.5}


def test_lora_also_trains_what_low_rank_updates_do_not_reach(base, tmp_path):
    """The head of a new target, and the networks that read the density of states."""
    model = begin(base, new_info((NEW_ENERGY, DOS, BAND_GAP)))
    before = parameters(model)
    trainer = new_trainer({"method": "lora"}, num_epochs=2)
    train(trainer, model, new_dataset((NEW_ENERGY, DOS, BAND_GAP)), tmp_path)
    names = changed(before, parameters(model))
    expected = ("network.heads.energy/new.", f"spectrum_heads.{BAND_GAP}.")
    assert {next(e for e in expected if name.startswith(e)) for name in names} == set(expected)


def test_heads_only_leaves_the_rest_as_it_is(base, tmp_path):
    """Also targets that the new dataset lacks: the same predictions to the last bit."""
    reference = model_from_checkpoint(copy.deepcopy(base), "export")
    model = begin(base, new_info(("energy", NEW_ENERGY)))
    before = parameters(model)
    trainer = new_trainer({"method": "heads"}, num_epochs=2)
    train(trainer, model, both_energies(), tmp_path)
    names = changed(before, parameters(model))
    assert {name.split(".")[2] for name in names} == {"energy", NEW_ENERGY}
    assert all(name.startswith("network.heads.") for name in names)
    for found in (model, restored(trainer, model, tmp_path / "tuned.ckpt", "export")):
        values, expected = predict(found, ELECTRONIC), predict(reference, ELECTRONIC)
        assert all(torch.equal(values[name], expected[name]) for name in ELECTRONIC)
        assert not torch.equal(predict(found, ["energy"])["energy"], predict(reference, ["energy"])["energy"])


def test_known_targets_keep_baseline_and_scale(base, tmp_path):
    """Also if all energies of the new dataset are shifted and stretched."""
    model = begin(base, dataset_info(("energy",)))
    weights = model.additive_models[0].model.weights["energy"].block().values.clone()
    scale = model.scaler.model.scales["energy"].block().values.clone()
    dataset = make_dataset(("energy",), FRAMES)
    for sample in dataset:
        sample["energy"].block().values.mul_(5.0).add_(3.0)
    train(new_trainer({"method": "full"}), model, dataset, tmp_path)
    assert torch.equal(model.additive_models[0].model.weights["energy"].block().values, weights)
    assert torch.equal(model.scaler.model.scales["energy"].block().values, scale)


# --- merging ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def low_rank_model():
    model = make_varied(make_model())
    add_low_rank(model.network, LowRank(3, 1.5))
    return randomize(model).eval()


def equal_to_twelve_digits(found, expected):
    for name in expected:
        size = float(expected[name].abs().max())
        assert size > 1e-3
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-12 * size)


def test_exported_models_are_merged(low_rank_model, tmp_path):
    """The same predictions from a network that is built like one without updates; the model itself is left alone."""
    expected = predict(low_rank_model, ALL_TARGETS)
    exported = low_rank_model.export()
    plain = make_model().export()
    assert [(n, type(m)) for n, m in exported.named_modules()] == [(n, type(m)) for n, m in plain.named_modules()]
    assert find_low_rank(low_rank_model.network) == LowRank(3, 1.5, ("input_linear", "output_linear"))
    exported.save(str(tmp_path / "model.pt"))
    loaded = load_atomistic_model(str(tmp_path / "model.pt"))
    assert not [name for name, _ in loaded.named_parameters() if "low_rank" in name]
    options = ModelEvaluationOptions(length_unit="angstrom", outputs=request(ALL_TARGETS))
    results = loaded(to_systems(FRAMES, low_rank_model), options, check_consistency=True)
    equal_to_twelve_digits({name: results[name].block().values.detach() for name in ALL_TARGETS}, expected)
    base = make_varied(make_model())
    assert (predict(base, [DOS])[DOS] - expected[DOS]).abs().max() > 1e-3


@pytest.mark.parametrize("context", ["restart", "finetune", "export"])
def test_low_rank_updates_in_checkpoints(low_rank_model, context):
    """Apart from the weights to restart, merged otherwise."""
    checkpoint = low_rank_model.get_checkpoint()
    names = ("input_linear", "output_linear")
    assert checkpoint["model_data"]["low_rank"] == {"rank": 3, "alpha": 1.5, "target_modules": names}
    model = model_from_checkpoint(checkpoint, context)
    assert (find_low_rank(model.network) is not None) == (context == "restart")
    equal_to_twelve_digits(predict(model, ELECTRONIC), predict(low_rank_model, ELECTRONIC))


def test_a_model_that_is_not_merged_can_be_scripted(low_rank_model):
    scripted = torch.jit.script(low_rank_model)
    expected = predict(low_rank_model, ALL_TARGETS)
    equal_to_twelve_digits(predict(low_rank_model, ALL_TARGETS, called=scripted), expected)


def test_fine_tuning_twice(base, tmp_path):
    """The second low-rank update is one of the merged weights."""
    model, trainer = begin(base, dataset_info(("energy",))), new_trainer({"method": "lora"}, num_epochs=2)
    train(trainer, model, make_dataset(("energy",), FRAMES), tmp_path)
    again = restored(trainer, model, tmp_path / "first.ckpt", "finetune")
    reference = predict(again, ["energy"])
    again.restart(dataset_info(("energy",)))
    second = new_trainer({"method": "lora", "config": {"rank": 1}}, learning_rate=0.0)
    train(second, again, make_dataset(("energy",), FRAMES), tmp_path)
    assert find_low_rank(again.network).rank == 1
    assert torch.equal(predict(again, ["energy"])["energy"], reference["energy"])


# --- restart ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lora", "heads", "full"])
def test_a_restart_continues_bit_for_bit(base, tmp_path, method):
    names = (NEW_ENERGY, DOS, BAND_GAP)
    dataset = new_dataset(names, forces=True)
    finetune = {"method": method, "inherit_heads": {NEW_ENERGY: "energy"}}

    def fresh(num_epochs):
        torch.manual_seed(3)
        return begin(base, new_info(names, forces=True)), new_trainer(finetune, num_epochs=num_epochs)

    straight, through = fresh(3)
    train(through, straight, dataset, tmp_path)
    halfway, first = fresh(1)
    train(first, halfway, dataset, tmp_path)
    first.save_checkpoint(halfway, tmp_path / "half.ckpt")
    torch.manual_seed(999)
    checkpoint = torch.load(tmp_path / "half.ckpt", weights_only=False)
    model = model_from_checkpoint(checkpoint, "restart").restart(new_info(names, forces=True))
    second = trainer_from_checkpoint(checkpoint, "restart", new_trainer(finetune, num_epochs=3).hypers)
    train(second, model, dataset, tmp_path)
    assert changed(parameters(halfway), parameters(model)) == set(through.trainable_parameters)
    assert parameters(straight).keys() == parameters(model).keys()
    assert changed(parameters(straight), parameters(model)) == set()
    assert through.trainable_parameters == second.trainable_parameters
    assert through.best_metric == second.best_metric
    found, expected = predict(model, names), predict(straight, names)
    assert all(torch.equal(found[name], expected[name]) for name in names)


@pytest.mark.parametrize(
    ("options", "described"),
    [
        (None, "requests 'full'"),
        ({"method": "heads"}, "requests 'heads'"),
        (
            {"method": "lora", "config": {"rank": 4}},
            r"requests 'lora' \(rank 4, alpha 4, all layers\)",
        ),
    ],
)
def test_a_restart_with_another_strategy(base, tmp_path, options, described):
    model, trainer = begin(base, dataset_info(("energy",))), new_trainer({"method": "lora"})
    dataset = make_dataset(("energy",), FRAMES)
    train(trainer, model, dataset, tmp_path)
    trainer.save_checkpoint(model, tmp_path / "tuned.ckpt")
    checkpoint = torch.load(tmp_path / "tuned.ckpt", weights_only=False)
    model = model_from_checkpoint(checkpoint, "restart").restart(dataset_info(("energy",)))
    second = trainer_from_checkpoint(checkpoint, "restart", new_trainer(options, num_epochs=2).hypers)
    expected = rf"is fine-tuning with 'lora' \(rank 8, .*\), but `finetune` in the options {described}; to start a new"
    with pytest.raises(ValueError, match=expected):
        train(second, model, dataset, tmp_path)


def test_checkpoints_of_version_1(test_folder):
    """Written before there were low-rank updates, a choice of schedules and the repulsion of nuclei."""
    with gzip.open(test_folder / "checkpoints" / "model-v1_trainer-v1.ckpt.gz") as file:
        checkpoint = torch.load(file, weights_only=False)
    assert "zbl" not in checkpoint["model_data"]["model_hypers"]
    checkpoint = Trainer.upgrade_checkpoint(PETMAD.upgrade_checkpoint(checkpoint))
    assert (checkpoint["model_ckpt_version"], checkpoint["trainer_ckpt_version"]) == (7, 4)
    assert checkpoint["model_data"]["low_rank"] is None
    assert checkpoint["model_data"]["model_hypers"]["zbl"] is False
    assert checkpoint["train_hypers"]["learning_rate_schedule"] == "step_halving"
    assert checkpoint["train_hypers"]["cuda_graphs"] is False
    model = model_from_checkpoint(checkpoint, "restart")
    assert set(model.hypers) == set(get_default_hypers("pet_mad")["model"])
    model.restart(model.dataset_info, get_default_hypers("pet_mad")["model"] | model.hypers)
    assert trainer_from_checkpoint(checkpoint, "restart", new_trainer().hypers).trainable_parameters is None


# --- targets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["full", "lora"])
def test_targets_that_the_new_dataset_lacks_are_dropped(base, tmp_path, caplog, method):
    model, trainer = begin(base, dataset_info(("energy",))), new_trainer({"method": method})
    train(trainer, model, make_dataset(("energy",), FRAMES), tmp_path)
    expected = rf"lacks the targets ['mtt::dos', 'mtt::bandgap', 'mtt::efermi']; fine-tuning with method '{method}'"
    assert expected in caplog.text
    for found in (model, restored(trainer, model, tmp_path / "tuned.ckpt")):
        assert list(found.dataset_info.targets) == ["energy"]
        assert set(found.outputs) == {"energy", "feature", "mtt::aux::energy_last_layer_features"}
        assert not [name for name, _ in found.named_parameters() if "mtt::" in name]
    assert set(predict(model.export().module, ["energy"])) == {"energy"}


def test_the_energy_can_be_dropped(base, tmp_path):
    """With its baseline and scale."""
    model, trainer = begin(base, dataset_info((DOS,))), new_trainer({"method": "full"})
    train(trainer, model, make_dataset((DOS,), FRAMES), tmp_path)
    assert not model.additive_models[0].outputs and not model.scaler.outputs
    assert "energy" not in restored(trainer, model, tmp_path / "tuned.ckpt", "export").outputs


def test_a_density_of_states_that_others_read_stays(base, tmp_path, caplog):
    model, trainer = begin(base, dataset_info((BAND_GAP,))), new_trainer({"method": "full"})
    train(trainer, model, make_dataset((BAND_GAP,), FRAMES), tmp_path)
    assert list(model.dataset_info.targets) == [DOS, BAND_GAP]
    assert "lacks ['mtt::dos'], from which ['mtt::bandgap'] are read; it stays in the model" in caplog.text
    assert "lacks the targets ['energy', 'mtt::efermi']" in caplog.text


@pytest.mark.parametrize("method", ["full", "lora", "heads"])
def test_inherited_heads(base, tmp_path, method):
    """A new energy with the same values starts with the old one's predictions, whatever its own scale would be."""
    model = begin(base, new_info(forces=True))
    reference = predict(model, ["energy"])["energy"]
    dataset = new_dataset(forces=True)
    for sample in dataset:
        sample[NEW_ENERGY].block().values.add_(7.0 * len(sample["system"]))
    finetune = {"method": method, "inherit_heads": {NEW_ENERGY: "energy"}}
    trainer = new_trainer(finetune, learning_rate=0.0)
    train(trainer, model, dataset, tmp_path)
    if method == "heads":
        assert torch.equal(predict(model, ["energy"])["energy"], reference)
    else:
        assert "energy" not in model.outputs
    sizes = torch.tensor([[len(atoms)] for atoms in FRAMES])
    for found in (model, restored(trainer, model, tmp_path / "tuned.ckpt", "export")):
        torch.testing.assert_close(predict(found, [NEW_ENERGY])[NEW_ENERGY], reference + 7.0 * sizes, rtol=0, atol=1e-6)


def test_a_network_that_reads_the_density_of_states_can_be_inherited(tmp_path):
    model = make_model((DOS, BAND_GAP))
    model = begin(model.get_checkpoint(), dataset_info((DOS, BAND_GAP, FERMI_LEVEL)))
    reference = predict(model, [BAND_GAP])[BAND_GAP]
    trainer = new_trainer({"inherit_heads": {FERMI_LEVEL: BAND_GAP}}, learning_rate=0.0)
    train(trainer, model, make_dataset((DOS, BAND_GAP, FERMI_LEVEL), FRAMES), tmp_path)
    assert torch.equal(predict(model, [FERMI_LEVEL])[FERMI_LEVEL], reference)


@pytest.mark.parametrize("method", ["full", "lora", "heads"])
def test_an_energy_model_takes_up_the_density_of_states(tmp_path, method):
    """Its checkpoint has no energy axis: the options may add one, and only add it."""
    model, trainer = make_model(("energy",), energy_grid=None), new_trainer()
    train(trainer, model, make_dataset(("energy",), FRAMES), tmp_path)
    model = restored(trainer, model, tmp_path / "energy.ckpt", "finetune")
    without = copy.deepcopy(model)
    options = {"energy_grid": GRID_HYPERS, "edge_width": 8, "band_gap_from": "atoms"}
    model.restart(dataset_info(ALL_TARGETS), OmegaConf.create(options))
    trainer = new_trainer({"method": method}, num_epochs=2)
    train(trainer, model, make_dataset(ALL_TARGETS, FRAMES), tmp_path)
    found = restored(trainer, model, tmp_path / "both.ckpt", "export")
    assert found.hypers["energy_grid"] == GRID_HYPERS and found.axis is not None
    assert list(found.spectrum_heads) == [FERMI_LEVEL] and BAND_GAP in found.network.heads
    assert predict(found, ALL_TARGETS)[DOS].abs().max() > 0
    assert "energy_grid" in found.export().metadata().extra
    with pytest.raises(ValueError, match="target 'mtt::dos' needs an energy axis; set `energy_grid` in"):
        without.restart(dataset_info(ALL_TARGETS), {"edge_width": 8})


def test_new_energies_get_the_repulsion_of_nuclei(tmp_path):
    """It is taken out of the new energies before their baseline and scale are fitted, as it was for the known ones."""
    model, trainer = make_model(("energy",), zbl=True), new_trainer(learning_rate=0.0)
    train(trainer, model, make_dataset(("energy",), FRAMES), tmp_path)
    model = restored(trainer, model, tmp_path / "base.ckpt", "finetune").restart(new_info(("energy", NEW_ENERGY)))
    trainer = new_trainer({"method": "heads", "inherit_heads": {NEW_ENERGY: "energy"}}, learning_rate=0.0)
    train(trainer, model, both_energies(), tmp_path)
    for found in (model, restored(trainer, model, tmp_path / "tuned.ckpt", "export")):
        values = predict(found, ["energy", NEW_ENERGY])
        torch.testing.assert_close(values[NEW_ENERGY], values["energy"], rtol=0, atol=1e-8)


# --- wrong input -----------------------------------------------------------------------------------------------


def test_other_elements(base):
    info = DatasetInfo("angstrom", [1, 6, 79], target_infos(("energy",)))
    with pytest.raises(
        ValueError, match=r"atomic numbers \[79\] that the model does not know; it was trained on \[1, 6"
    ):
        begin(base, info)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"edge_width": 16}, r"(.|\n)*edge_width: 8 in the checkpoint, 16 in the options"),
        ({"cutoff": 4.0}, r"\n  cutoff: 3.0 in the checkpoint, 4.0 in the options"),
        ({"energy_grid": None}, r"\n  energy_grid: \{'start'.* in the checkpoint, None in the options"),
    ],
)
def test_other_hyperparameters(base, options, expected):
    model = model_from_checkpoint(copy.deepcopy(base), "finetune")
    with pytest.raises(ValueError, match=expected):
        model.restart(dataset_info(), options)


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (
            {"energy/other": "energy"},
            r"is for new targets of the dataset, which are \['energy/new'\]; 'energy/other' is none",
        ),
        ({"energy": "energy/new"}, r"which are \['energy/new'\]; 'energy' is known to the trained model"),
        (
            {NEW_ENERGY: "energy/old"},
            r"of a target that the trained model knows, one of \['energy', .*\]; 'energy/old' is not",
        ),
        (
            {NEW_ENERGY: DOS},
            r"same shape, got \[1\] values per system for 'energy/new' and \[760\] values per system for 'mtt::dos'",
        ),
        ({NEW_ENERGY: BAND_GAP}, "needs targets and heads of the same shape, got"),
    ],
)
def test_heads_that_cannot_be_inherited(base, tmp_path, heads, expected):
    model = begin(base, new_info())
    with pytest.raises(ValueError, match=expected):
        train(new_trainer({"method": "heads", "inherit_heads": heads}), model, new_dataset(), tmp_path)


@pytest.mark.parametrize(
    ("finetune", "expected"),
    [
        ({"method": "lola"}, r"must be one of \['full', 'lora', 'heads'\], got 'lola'"),
        (
            {"method": "heads", "config": {"rank": 2}},
            "has the options of the method 'lora', but the method is 'heads': set `method: lora`, or remove",
        ),
        (
            {"method": "lora", "config": {"ranks": 2}},
            r"\['ranks'\] in `finetune.config`; expected some of \('rank', 'alpha'",
        ),
    ],
)
def test_unknown_options(finetune, expected):
    with pytest.raises(ValueError, match=expected):
        new_trainer(finetune)


@pytest.mark.parametrize("rank", [0, -2])
def test_rank_below_one(base, tmp_path, rank):
    model = begin(base, dataset_info(("energy",)))
    with pytest.raises(ValueError, match=f"the rank of a low-rank update must be at least 1, got {rank}"):
        trainer = new_trainer({"method": "lora", "config": {"rank": rank}})
        train(trainer, model, make_dataset(("energy",), FRAMES), tmp_path)


def test_a_model_of_another_architecture(tmp_path):
    with pytest.raises(ValueError, match=r"must be a checkpoint of pet_mad, got a model of type Linear"):
        train(new_trainer({}), nn.Linear(1, 1), make_dataset(("energy",), FRAMES), tmp_path)


# --- the command -----------------------------------------------------------------------------------------------


def options_of(file: Path, model: dict, target="energy", key="U0", **training) -> dict:
    """What a user writes into `options.yaml`."""
    training = {"num_epochs": 1, "batch_size": 4, "num_workers": 0, "warmup_epochs": 0.0, **training}
    energy = {"quantity": "energy", "read_from": str(file), "key": key, "unit": "eV", "forces": False, "stress": False}
    return {
        "seed": 1,
        "architecture": {"name": "pet_mad", "model": model, "training": training},
        "training_set": {"systems": {"read_from": str(file), "length_unit": "angstrom"}, "targets": {target: energy}},
        "validation_set": 0.2,
        "test_set": 0.1,
    }


def run(options: dict, folder: Path, **arguments) -> Path:
    """`mtt train options.yaml -o FOLDER/model.pt`; the checkpoint."""
    folder.mkdir()
    train_model(OmegaConf.create(options), folder / "model.pt", folder / "extensions", folder, **arguments)
    return folder / "model.ckpt"


@pytest.fixture(scope="module")
def command_base(molecules_path, tmp_path_factory):
    """A model for energies, trained with the command."""
    hypers = {name: value for name, value in SMALL.items() if name != "energy_grid"}
    return run(options_of(molecules_path, hypers), tmp_path_factory.mktemp("command") / "base")


def test_the_command(command_base, molecules_path, tmp_path, monkeypatch):
    """Low-rank fine-tuning to a new energy from an options file, and a restart of it."""
    monkeypatch.chdir(tmp_path)
    frames = ase.io.read(molecules_path, ":20")
    ase.io.write("new.xyz", frames)
    finetune = {
        "read_from": str(command_base),
        "method": "lora",
        "config": {"rank": 2, "alpha": 1.0},
        "inherit_heads": {NEW_ENERGY: "energy"},
    }
    options = options_of(tmp_path / "new.xyz", {}, NEW_ENERGY, finetune=finetune)
    tuned = run(options, tmp_path / "tuned")
    checkpoint = torch.load(tuned, weights_only=False)
    assert checkpoint["model_data"]["low_rank"]["rank"] == 2
    assert list(checkpoint["model_data"]["dataset_info"].targets) == [NEW_ENERGY]
    loaded = load_atomistic_model(str(tmp_path / "tuned" / "model.pt"))
    assert NEW_ENERGY in loaded.capabilities().outputs
    assert not [name for name, _ in loaded.named_parameters() if "low_rank" in name]

    options["architecture"]["training"]["num_epochs"] = 2
    again = torch.load(run(options, tmp_path / "again", restart_from=tuned), weights_only=False)
    assert (checkpoint["epoch"], again["epoch"]) == (0, 1)
    assert changed(checkpoint["model_state_dict"], again["model_state_dict"]) == set(checkpoint["trainable_parameters"])


@pytest.mark.parametrize(
    ("finetune", "expected"),
    [
        ({"method": "lora"}, r"training\.finetune\.read_from: expected a text, but it is missing"),
        (
            {"read_from": "base.ckpt", "method": "lola"},
            r"training\.finetune\.method: expected full, lora or heads, got \"lola\"",
        ),
        (
            {"read_from": "base.ckpt", "config": {"head_modules": ["heads"]}},
            r"training\.finetune\.config\.head_modules: there is no such option; did you mean target_modules\?",
        ),
    ],
)
def test_options_of_the_command(molecules_path, tmp_path, finetune, expected):
    with pytest.raises(OptionsError, match=expected):
        run(options_of(molecules_path, {}, finetune=finetune), tmp_path / "tuned")


@pytest.mark.parametrize("model", [{}, {"edge_width": 8}])
def test_a_checkpoint_of_another_architecture(molecules_path, tmp_path, model):
    torch.save({"architecture_name": "pet"}, tmp_path / "pet.ckpt")
    finetune = {"read_from": str(tmp_path / "pet.ckpt")}
    expected = r"pet.ckpt is a checkpoint of the architecture 'pet', expected 'pet_mad'; `electrain convert IN.ckpt"
    with pytest.raises(OptionsError, match=expected):
        run(options_of(molecules_path, model, finetune=finetune), tmp_path / "tuned")


def test_errors_of_the_command(command_base, molecules_path, tmp_path):
    finetune = {"read_from": str(command_base)}
    with pytest.raises(ArchitectureError, match=r"(.|\n)*edge_width: 8 in the checkpoint, 16 in the options"):
        run(options_of(molecules_path, {"edge_width": 16}, finetune=finetune), tmp_path / "tuned")
