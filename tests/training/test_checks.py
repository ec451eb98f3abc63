"""Options that contradict model or data end the command at once, and its last words are what to change."""

import copy
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from data_fixtures import semiconductor_states
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain import __main__ as metatrain_main
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.io import model_from_checkpoint, trainer_from_checkpoint
from tiny_models import ALL_TARGETS, ELEMENTS, dataset_info, make_dataset, make_model, target_infos, training_structures

from electrain.architectures.base.checkpoints import write_model
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.data import prepare_dataset
from electrain.interface.band_labels import BandsShape, bands_to_labels
from electrain.spectra.fixed_axis import FixedAxis
from electrain.training import trainer as training_module

FRAMES = training_structures()
NAMES = ["Si2", "C2", "Ge2", "SiC", "Sn2", "AlP", "Al2", "P2", "SiGe", "SnC"]
NARROW = {"edge_width": 4, "node_width": 4, "head_width": 4, "feedforward_width": 4, "num_heads": 1}


def as_calculation(name: str, seed: int) -> Atoms:
    size = len(Atoms(name))
    atoms = Atoms(name, positions=[[2.2 * i, 0, 0] for i in range(size)], cell=[6, 6, 6], pbc=True)
    eigenvalues, weights = semiconductor_states(seed=seed)
    atoms.info = {"eigenvalues": eigenvalues, "kweights": weights, "n_electrons": 8.0}
    return atoms


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A data set of extended XYZ files, which lack the energies of the channels, and narrow options."""
    folder = tmp_path_factory.mktemp("prepared")
    ase.io.write(folder / "frames.xyz", [as_calculation(name, seed) for seed, name in enumerate(NAMES)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("electrain.data.prepare.plot_summary", lambda *_: _[-1].touch())
        prepare_dataset([folder / "frames.xyz"], folder / "set", form="xyz", split=(8, 1, 1))
    return folder / "set"


@pytest.fixture
def mtt(prepared, tmp_path, monkeypatch, caplog):
    """Run `mtt train` with changed options in the folder of the data; return its last words."""
    monkeypatch.chdir(prepared)
    monkeypatch.setattr(training_module, "fit_baselines", lambda *_: pytest.fail("options are checked too late"))

    def run(change, *arguments):
        options = yaml.safe_load(Path("options.yaml").read_text(encoding="utf-8"))
        options["architecture"]["model"].update(NARROW)
        options["architecture"]["training"].update(num_epochs=1, batch_size=2, num_workers=0, warmup_epochs=0)
        change(options)
        (tmp_path / "options.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
        output = tmp_path / "model.pt"
        monkeypatch.setattr(
            sys, "argv", ["mtt", "train", str(tmp_path / "options.yaml"), "-o", str(output), *arguments]
        )
        with pytest.raises(SystemExit, match="1"):
            metatrain_main.main()
        assert not output.exists()
        (last,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        return last.getMessage()

    return run


def model(**changes):
    return lambda options: options["architecture"]["model"].update(changes)


def axis(**changes):
    return lambda options: options["architecture"]["model"]["energy_grid"].update(changes)


def training(**changes):
    return lambda options: options["architecture"]["training"].update(changes)


def test_an_axis_that_is_not_that_of_the_data(mtt, prepared):
    """The files contain numbers of channels alone; manifest.json has their energies."""
    grid = json.loads((prepared / "manifest.json").read_text(encoding="utf-8"))["energy_grid"]
    said = mtt(axis(start=grid["start"] - 1))
    assert said.startswith("the energy axis of `energy_grid` in `architecture.model` is not that of the data:\n\n")
    assert f"model: {grid['start'] - 1:g} ... " in said
    assert f"data:  {grid['start']:g} ... " in said
    assert "according to manifest.json" in said
    assert said.endswith(f"write `start: {grid['start']}` under `energy_grid`, or prepare the data on the other axis")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (axis(max_shift=199), "write `max_shift: 200` under `energy_grid`"),
        (axis(smearing=0.2), "write `smearing: 0.3` under `energy_grid`"),
        (axis(size=800), "but `energy_grid` in `architecture.model` has 800: "),
        (
            model(energy_grid=None),
            "set `energy_grid` in `architecture.model`; `electrain prepare` writes the right one",
        ),
        (model(zbl=True), "`zbl` in `architecture.model` adds a repulsion to energies, but no target is an energy"),
        (axis(smearing=-0.3), "energy_grid.smearing: expected a number > 0 (eV) or null, got -0.3"),
        (training(num_epochs=0), "training.num_epochs: expected a whole number >= 1 (epochs), got 0"),
        (training(batch_size=100), "but a training set has only 8 structures; set it to 8 or less"),
        (
            training(per_structure_targets=["mtt::bandgab"]),
            "names 'mtt::bandgab', but expects some of the targets ['mtt::bandgap', 'mtt::dos', 'mtt::efermi']; did "
            "you mean mtt::bandgap?",
        ),
        (
            training(finetune={"read_from": "no.ckpt"}),
            "cannot read no.ckpt, the checkpoint to start from: No such file",
        ),
        (training(finetune={"read_from": "."}), "cannot read ., the checkpoint to start from: Is a directory"),
        (
            lambda options: options["architecture"].update(atomic_types=[6, 13, 14, 15, 32]),
            "[6, 13, 14, 15, 32], but the data also have the atomic numbers [50]; add them, or remove `atomic_types`",
        ),
        (lambda options: options["architecture"].update(atomic_types=[]), "expected at least one element, got none"),
        pytest.param(
            lambda options: options.update(validation_set=0.0),
            "the validation set is empty, but the best model is selected",
            marks=pytest.mark.filterwarnings("ignore:Requested dataset of zero length"),
        ),
    ],
)
def test_last_words(mtt, change, expected):
    """Neither blame for architectures, nor the advice to open an issue at metatrain."""
    said = mtt(change)
    assert expected in said
    assert "originates from an architecture" not in said
    assert "metatrain" not in said.replace("metatrain's pages", "")


def test_a_manifest_of_another_program(prepared, tmp_path):
    check = training_module.check_axis
    other = make_model().axis
    options = {"training_set": [{"systems": {"read_from": str(tmp_path / "train.xyz")}, "targets": {"mtt::dos": {}}}]}
    (tmp_path / "options_restart.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
    manifest = tmp_path / "manifest.json"
    for content in ('{"name": "a web page"}', "[]"):
        manifest.write_text(content, encoding="utf-8")
        check(other, "mtt::dos", tmp_path, of_checkpoint=False)
    for content in ('{"electrain_version', '{"electrain_version": "0.1.0"}'):  # cut off, and without entries
        manifest.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"manifest.json is damaged: expected a manifest; make the data set again"):
            check(other, "mtt::dos", tmp_path, of_checkpoint=False)
    manifest.write_text((prepared / "manifest.json").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"of the model to continue with is not .*(.|\n)*\n\nprepare the data on the axis"
    ):
        check(other, "mtt::dos", tmp_path, of_checkpoint=True)


def test_fixed_axes_of_manifests(tmp_path):
    """Data sets of extended XYZ files lack the channels, which the manifest beside them has."""
    name, axis = "mtt::phonon_dos", FixedAxis(0.0, 20.0, 51, "cm^-1")
    options = {"training_set": [{"systems": {"read_from": str(tmp_path / "train.xyz")}, "targets": {name: {}}}]}
    (tmp_path / "options_restart.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
    manifest = {"electrain_version": "0.1.0", "fixed_axes": {name: axis.to_dict()}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    check = training_module.check_fixed_axes
    check({name: axis}, tmp_path, of_checkpoint=True)
    check({}, tmp_path, of_checkpoint=True)
    other = {name: axis.in_unit("THz")}
    for of_checkpoint, expected in (
        (
            True,
            r"the axis of 'mtt::phonon_dos' in the model to continue with .*--unit THz --grid 0 29.9792 --step 0.599",
        ),
        (
            False,
            r"in `fixed_axes` in .* is not that of the data:.*model: 0 \.\.\. 29.9792 THz .*data:  0 \.\.\. 1000 cm",
        ),
    ):
        with pytest.raises(ValueError, match=f"(?s){expected}"):
            check(other, tmp_path, of_checkpoint=of_checkpoint)
    manifest["fixed_axes"][name] = {"start": 0.0}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ValueError, match=r"manifest.json is damaged: expected a manifest"):
        check(other, tmp_path, of_checkpoint=False)


def test_bands_of_manifests(tmp_path):
    """6 bands at 16 k-points are as many numbers as 3 at 32, which extended XYZ files cannot tell apart."""
    name = "mtt::bands"
    options = {"training_set": [{"systems": {"read_from": str(tmp_path / "train.xyz")}, "targets": {name: {}}}]}
    (tmp_path / "options_restart.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
    manifest = {"electrain_version": "0.1.0", "bands": {"num_bands": 6, "num_k_points": 16}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    check = training_module.check_bands_of_data

    def targets(*shape):
        block = TensorBlock(torch.zeros(0, 96), Labels.empty("system"), [], bands_to_labels(BandsShape(*shape)))
        return {name: SimpleNamespace(layout=TensorMap(Labels.single(), [block]))}

    check(targets(6, 16), tmp_path, of_checkpoint=True)
    check({}, tmp_path, of_checkpoint=True)
    for of_checkpoint, expected in (
        (
            True,
            "in the model to continue with has other bands .* data for the model: .* --num-bands 3 --num-k-points 32",
        ),
        (False, "in `architecture.model` has .*3 bands at 32 .* 6 bands at 16 .*write `num_bands: 6` and `num_k_po"),
    ):
        with pytest.raises(ValueError, match=f"(?s){expected}"):
            check(targets(3, 32), tmp_path, of_checkpoint=of_checkpoint)
    (tmp_path / "manifest.json").write_text('{"electrain_version": "0.1.0", "bands": {}}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        check(targets(6, 16), tmp_path, of_checkpoint=False)


# --- the trainer itself ----------------------------------------------------------------------------------------


def hypers(**options):
    defaults = copy.deepcopy(get_default_hypers("pet_mad")["training"])
    return {**defaults, "batch_size": 2, "num_workers": 0, "warmup_epochs": 0.0, "num_epochs": 1, **options}


def train(trainer, trained, data, folder):
    trainer.train(trained, torch.float32, [torch.device("cpu")], [data], [data], str(folder))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"atomic_baseline": {"enrgy": 0.0}},
            r"`atomic_baseline` .* names 'enrgy', .* \['energy'\]; did you mean energy\?",
        ),
        ({"atomic_baseline": {"mtt::dos": 0.0}}, r"names 'mtt::dos', but expects some of the targets \['energy'\]"),
        (
            {"atomic_baseline": {"energy": {1: 0.0, 6: 0.0}}},
            r"no value of 'energy' for the atomic numbers \[7, 8, 14\]",
        ),
        ({"atomic_baseline": "no.ckpt"}, "`atomic_baseline` .* names the file no.ckpt, which does not exist"),
        ({"fixed_scaling_weights": {"mtt::efermi": 1.0}}, r"names 'mtt::efermi', but expects some of .* \['energy'\]"),
        ({"fixed_scaling_weights": {"energy": 1.0}, "scale_targets": False}, "no effect with `scale_targets: false`"),
        (
            {"loss": {name: {"weight": 0.0} for name in target_infos()}},
            "all weights in `loss` are 0, so nothing would be",
        ),
        (
            {"loss": {"energy": {"type": "self_aligning"}}},
            "'energy' must be 'mse', 'mae' or 'huber'; 'self_aligning' is",
        ),
        ({"loss": {"energy": {"gradient_weight": 1.0}}}, "'energy' has no `gradient_weight`, which is an option of"),
        ({"loss": {"energy": {"delta": 0.1}}}, "`delta` in the loss of 'energy' is an option of the type 'huber'"),
        ({"loss": {"mtt::dos": {"delta": 0.1}}}, r"unknown option\(s\) \['delta'\] in the loss of 'mtt::dos'"),
        ({"max_atoms_per_batch": 1}, "no batch of a training set has 1 to 1 atoms"),
        ({"max_atoms_per_batch": 300, "min_atoms_per_batch": 200}, "no batch of a training set has 200 to 300 atoms"),
    ],
)
def test_before_anything_is_computed(monkeypatch, tmp_path, options, expected):
    monkeypatch.setattr(training_module, "fit_baselines", lambda *_: pytest.fail("options are checked too late"))
    with pytest.raises(ValueError, match=expected):
        train(Trainer(hypers(**options)), make_model(dtype=torch.float32), make_dataset(ALL_TARGETS, FRAMES), tmp_path)


def test_fine_tuning_is_checked_before_anything_is_computed(monkeypatch, tmp_path):
    monkeypatch.setattr(training_module, "fit_baselines", lambda *_: pytest.fail("options are checked too late"))
    base = make_model(("energy",), torch.float32)
    base.restart(DatasetInfo("angstrom", ELEMENTS, target_infos(("energy",))))
    for finetune, expected in (
        ({"method": "lora", "config": {"target_modules": ["attention"]}}, "target_modules must be some of"),
        ({"inherit_heads": {"energy/new": "energy"}}, "is for new targets of the dataset"),
    ):
        with pytest.raises(ValueError, match=expected):
            train(
                Trainer(hypers(finetune={"read_from": "", **finetune})),
                base,
                make_dataset(("energy",), FRAMES),
                tmp_path,
            )


def test_whole_numbers_as_baseline_and_scale(tmp_path):
    """In YAML they are no floats, of which metatrain asks for one."""
    trained = make_model(("energy",), torch.float32)
    trainer = Trainer(hypers(atomic_baseline={"energy": 1}, fixed_scaling_weights={"energy": 2}))
    train(trainer, trained, make_dataset(("energy",), FRAMES), tmp_path)
    assert float(trained.scaler.model.scales["energy"].block().values) == 2.0
    assert np.all(trained.additive_models[0].model.weights["energy"].block().values.numpy() == 1.0)


def test_a_training_that_is_finished(tmp_path, caplog):
    data = make_dataset(("energy",), FRAMES)
    trained, trainer = make_model(("energy",), torch.float32), Trainer(hypers())
    train(trainer, trained, data, tmp_path)
    trainer.save_checkpoint(trained, tmp_path / "model.ckpt")
    checkpoint = torch.load(tmp_path / "model.ckpt", weights_only=False)

    again = model_from_checkpoint(copy.deepcopy(checkpoint), "restart").restart(dataset_info(("energy",)))
    train(trainer_from_checkpoint(checkpoint, "restart", hypers()), again, data, tmp_path)
    assert "Nothing is left to train: the checkpoint was trained for 1 epochs already" in caplog.text

    names = ("energy", "mtt::dos")
    extended = model_from_checkpoint(checkpoint, "restart").restart(dataset_info(names))
    with pytest.raises(
        ValueError, match=r"set it to more than 1, because the heads of \['mtt::dos'\] are still untrained"
    ):
        train(trainer_from_checkpoint(checkpoint, "restart", hypers()), extended, make_dataset(names, FRAMES), tmp_path)


def test_a_warm_up_as_long_as_the_training(tmp_path, caplog):
    trainer = Trainer(hypers(warmup_epochs=100.0))
    train(trainer, make_model(("energy",), torch.float32), make_dataset(("energy",), FRAMES), tmp_path)
    assert "The learning rate never reaches 0.0001, because the warm-up (`warmup_epochs: 100`)" in caplog.text


def test_the_repulsion_goes_with_the_last_energy(tmp_path):
    """Fine-tuning on data without energies drops them; TorchScript cannot script a repulsion without outputs."""
    base = make_model(("energy", "mtt::dos"), torch.float32, zbl=True)
    base.remove_output("energy")
    base.export().save(tmp_path / "model.pt")
    again = model_from_checkpoint(copy.deepcopy(write_model(base)), "export")
    assert len(again.additive_models) == 1
