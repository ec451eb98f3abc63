"""Wrong input is refused, and the message says what was expected and what came."""

import math

import pytest
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, DiskDataset
from metatrain.utils.data.target_info import TargetInfo
from metatrain.utils.io import model_from_checkpoint, trainer_from_checkpoint
from tiny_models import (
    ALL_TARGETS,
    ELEMENTS,
    GRID,
    GRID_HYPERS,
    dataset_info,
    make_dataset,
    make_model,
    make_objective,
    model_hypers,
    request,
    scalar_info,
    target_infos,
    to_systems,
    training_structures,
    write_zip,
)

from electrain.architectures.pet_mad.model import PETMAD
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.spectra.grid import EnergyGrid
from electrain.training.losses import SelfAlignedLoss
from electrain.training.processes import start_process

DOS = DENSITY_OF_STATES


def training_hypers(**options):
    return {**get_default_hypers("pet_mad")["training"], "num_workers": 0, "batch_size": 2, **options}


def build(infos, **options):
    return PETMAD(model_hypers(**options), DatasetInfo("angstrom", ELEMENTS, infos))


def dos_info(grid: EnergyGrid) -> TargetInfo:
    """A target whose labels carry an energy axis, as `electrain prepare` writes them."""
    block = TensorBlock(
        torch.empty(0, grid.size, dtype=torch.float64),
        Labels(["system"], torch.empty((0, 1), dtype=torch.int32)),
        [],
        grid_to_labels(grid),
    )
    return TargetInfo(TensorMap(Labels.single(), [block]), quantity="", unit="")


# --- structures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return make_model().eval()


@pytest.mark.parametrize(("atomic_number", "scripted"), [(2, False), (79, False), (118, False), (2, True)])
def test_unknown_element(model, atomic_number, scripted):
    atoms = Atoms(numbers=[6, atomic_number, 1], positions=[[0, 0, 0], [0, 0, 1.2], [0, 0, 2.4]])
    called = torch.jit.script(model) if scripted else model
    expected = (
        rf"does not know the element with atomic number {atomic_number}; "
        r"it was trained on atomic numbers \[1, 6, 7, 8, 14\]"
    )
    with pytest.raises((ValueError, torch.jit.Error), match=expected):
        called(to_systems([atoms], model), request(["energy"]))


@pytest.mark.parametrize("distance", [0.0, 0.001])
def test_atoms_on_top_of_each_other(model, distance):
    atoms = Atoms("OCC", positions=[[0, 0, 0], [0, 0, 1.2], [0, distance, 1.2]])
    with pytest.raises(ValueError, match=r"atoms 1 and 2 \(numbered through the batch\) are .* Angstrom apart"):
        model(to_systems([atoms], model), request(["energy"]))


# --- targets and hyperparameters -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, GRID.size - 1, 4806])
def test_number_of_channels(size):
    expected = f"target 'mtt::dos' has {size} channels, but `energy_grid` in `architecture.model` has 760: -20 ... "
    with pytest.raises(ValueError, match=expected):
        build({DOS: scalar_info(DOS, size)})


def test_missing_energy_grid():
    with pytest.raises(
        ValueError, match=r"needs an energy axis; set `energy_grid` in `architecture.model`; `electrain prepare`"
    ):
        build(target_infos((DOS,)), energy_grid=None)


def test_missing_energy_grid_that_the_dataset_knows():
    expected = r"set `energy_grid` in `architecture.model`; the dataset's is -20 ... 17.95 eV in steps of 0.05 eV"
    with pytest.raises(ValueError, match=expected):
        build({DOS: dos_info(GRID)}, energy_grid=None)


@pytest.mark.parametrize(
    "other",
    [EnergyGrid(-21.0, 0.05, 760), EnergyGrid(-20.0, 0.04, 760), EnergyGrid(-20.00001, 0.05, 760)],
    ids=str,
)
def test_energy_axis_of_the_dataset_differs(other):
    expected = (
        r"the energy axis of target 'mtt::dos' in the dataset is .*, but the model's `energy_grid` is -20 ... 17.95 eV"
    )
    with pytest.raises(ValueError, match=expected):
        build({DOS: dos_info(other)})


def test_same_energy_axis_is_accepted():
    assert DOS in build({DOS: dos_info(GRID)}).outputs


@pytest.mark.parametrize("hypers", [{"step": 0.0}, {"step": -0.05}, {"size": 0}, {"start": math.nan}])
def test_energy_grid_that_makes_no_sense(hypers):
    with pytest.raises(ValueError, match="an energy grid needs"):
        build(target_infos((DOS,)), energy_grid={**GRID_HYPERS, **hypers})


@pytest.mark.parametrize("name", [BAND_GAP, FERMI_LEVEL])
def test_targets_read_from_a_missing_density_of_states(name):
    expected = f"target '{name}' is read from the predicted density of states: .* needs the target 'mtt::dos', got"
    with pytest.raises(ValueError, match=expected):
        build({name: scalar_info(name)})


@pytest.mark.parametrize("name", [BAND_GAP, FERMI_LEVEL])
def test_band_gap_is_one_number_per_structure(name):
    with pytest.raises(ValueError, match=f"target '{name}' must be one scalar per structure, got 3 per system"):
        build({**target_infos((DOS,)), name: scalar_info(name, 3)})
    with pytest.raises(ValueError, match=f"target '{name}' must be one scalar per structure, got 1 per atom"):
        build({**target_infos((DOS,)), name: scalar_info(name, sample_kind="atom")})


def test_density_of_states_per_atom_is_no_target():
    with pytest.raises(ValueError, match="target 'mtt::dos' must be a list of scalars per structure"):
        build({DOS: scalar_info(DOS, GRID.size, sample_kind="atom")})


def test_too_short_a_spectrum_for_a_gap():
    grid = {**GRID_HYPERS, "size": 400}
    infos = {DOS: scalar_info(DOS, 400), BAND_GAP: scalar_info(BAND_GAP)}
    with pytest.raises(ValueError, match="at least 737 channels, got 400: use a finer or longer energy grid"):
        build(infos, energy_grid=grid)


# --- restart ---------------------------------------------------------------------------------------------------


def test_new_elements_on_restart():
    info = DatasetInfo("angstrom", [1, 6, 9, 79], target_infos())
    expected = r"the dataset has atomic numbers \[9, 79\] that the model does not know; it was trained on \[1, 6, 7, 8"
    with pytest.raises(ValueError, match=expected):
        make_model().restart(info)


@pytest.mark.parametrize("other", [EnergyGrid(-21.0, 0.05, 760), EnergyGrid(-20.0, 0.1, 760)], ids=str)
def test_other_energy_axis_on_restart(other):
    """The model knows it from its checkpoint, the dataset from its labels."""
    model = model_from_checkpoint(make_model((DOS,)).get_checkpoint(), "export")
    info = DatasetInfo("angstrom", ELEMENTS, {DOS: dos_info(other)})
    with pytest.raises(ValueError, match=r"the energy axis of target 'mtt::dos' in the dataset is .*, but the model's"):
        model.restart(info)


@pytest.mark.parametrize("context", ["restart", "export"])
def test_a_file_with_another_energy_axis_than_the_checkpoint(tmp_path, context):
    """metatrain takes the labels of the file over, whatever the options file says."""
    other = EnergyGrid(GRID.start + 0.5, GRID.step, GRID.size)
    config = {"quantity": "", "unit": "", "type": "scalar", "sample_kind": "system", "num_subtargets": GRID.size}
    checkpoint = build({DOS: dos_info(GRID)}).get_checkpoint()
    for grid in (GRID, other):
        write_zip(tmp_path / "train.zip", (DOS,), training_structures(2), grid)
        infos = DiskDataset(tmp_path / "train.zip").get_target_info({DOS: config})
        model = model_from_checkpoint(checkpoint, context)
        info = DatasetInfo("angstrom", ELEMENTS, infos)
        if grid == GRID:
            assert DOS in model.restart(info).outputs
        else:
            expected = r"target 'mtt::dos' in the dataset is -19.5 ... 18.45 eV .* `energy_grid` is -20 ... 17.95 eV"
            with pytest.raises(ValueError, match=expected):
                model.restart(info)


@pytest.mark.parametrize(
    "options", [{"cutoff": 4.0}, {"energy_grid": {**GRID_HYPERS, "start": -21.0}}, {"energy_grid": None}]
)
def test_other_hyperparameters_on_restart(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        make_model().restart(dataset_info(), model_hypers(**options))


def test_same_hyperparameters_on_restart():
    assert set(ALL_TARGETS) <= set(make_model().restart(dataset_info(), model_hypers()).outputs)


def test_band_gap_for_a_model_without_density_of_states():
    info = DatasetInfo("angstrom", ELEMENTS, {BAND_GAP: scalar_info(BAND_GAP)})
    with pytest.raises(ValueError, match="the model also needs the target 'mtt::dos', got"):
        make_model(("energy",)).restart(info)


@pytest.mark.parametrize("name", ["some_network", "pet_mad_2"])
def test_checkpoint_of_an_unknown_architecture(name):
    checkpoint = {**make_model().get_checkpoint(), "architecture_name": name}
    with pytest.raises(ValueError, match=f"Checkpoint architecture '{name}' not found in the available"):
        model_from_checkpoint(checkpoint, "export")


def test_checkpoint_from_the_future():
    checkpoint = {**make_model().get_checkpoint(), "model_ckpt_version": 99}
    with pytest.raises(RuntimeError, match="'pet_mad' architecture: the checkpoint uses checkpoint format version 99"):
        model_from_checkpoint(checkpoint, "export")
    with pytest.raises(RuntimeError, match="checkpoint is using model version 99, while the current model version is"):
        PETMAD.upgrade_checkpoint(checkpoint)


def test_trainer_checkpoint_of_another_version():
    checkpoint = {**make_model().get_checkpoint(), "trainer_ckpt_version": 99}
    with pytest.raises(RuntimeError, match="trainer checkpoint for the 'pet_mad' architecture"):
        trainer_from_checkpoint(checkpoint, "restart", training_hypers())


def test_unknown_context():
    with pytest.raises(ValueError, match="context must be 'restart', 'finetune' or 'export', got 'rest'"):
        PETMAD.load_checkpoint(make_model().get_checkpoint(), "rest")


# --- training --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["shift_agnostic_mse", "masked_mse"])
def test_other_losses_of_spectra(kind):
    hypers = training_hypers(loss={DOS: {"type": kind, "weight": 1.0, "reduction": "mean", "gradients": {}}})
    expected = rf"the loss of 'mtt::dos' is always 'self_aligning' \(spectra have no common zero .*\), got '{kind}'"
    with pytest.raises(ValueError, match=expected):
        make_objective(make_model(), hypers)


def test_a_pointwise_loss_for_all_targets_is_for_the_others():
    huber = {"type": "huber", "weight": 1.0, "reduction": "mean", "gradients": {}}
    config = {DOS: huber, BAND_GAP: {**huber, "delta": 1.0}, FERMI_LEVEL: {**huber, "delta": 1.0}}
    objective = make_objective(make_model((DOS, BAND_GAP, FERMI_LEVEL)), training_hypers(loss=config))
    spectral, pointwise = objective.terms
    assert isinstance(spectral, SelfAlignedLoss)
    assert {type(loss).__name__ for loss in pointwise._losses} == {"TensorMapHuberLoss"}


def test_reduction_of_the_spectral_loss():
    hypers = training_hypers(loss={DOS: {"type": "mse", "weight": 1.0, "reduction": "sum", "gradients": {}}})
    with pytest.raises(ValueError, match=r"the loss of 'mtt::dos' is a mean over structures, got reduction 'sum'"):
        make_objective(make_model(), hypers)


@pytest.mark.parametrize("option", ["int_weight", "grad_weight"])
def test_unknown_options_of_the_spectral_loss(option):
    hypers = training_hypers(loss={DOS: {"type": "self_aligning", "weight": 1.0, option: 2.0}})
    expected = rf"unknown option\(s\) \['{option}'\] in the loss of 'mtt::dos'; expected some of \['cumulative_weight'"
    with pytest.raises(ValueError, match=expected):
        make_objective(make_model(), hypers)


def test_known_options_of_the_spectral_loss():
    options = {"type": "self_aligning", "weight": 3.0, "gradient_weight": 0.5, "cumulative_weight": 0.25}
    for kind in ("mse", "self_aligning"):
        loss = make_objective(make_model(), training_hypers(loss={DOS: {**options, "type": kind}})).terms[0]
        assert (loss.weight, loss.gradient_weight, loss.cumulative_weight) == (3.0, 0.5, 0.25)


def train(model, dataset, folder, **options):
    torch.manual_seed(0)
    cpu = torch.device("cpu")
    Trainer(training_hypers(**options)).train(model, torch.float32, [cpu], [dataset], [dataset], str(folder))


def test_loss_that_is_not_a_number(tmp_path):
    model = make_model((DOS,), torch.float32)
    with torch.no_grad():
        model.network.heads[DOS].last.bias.fill_(math.nan)
    expected = "the training loss is nan: lower the learning rate or look for outliers among the targets"
    with pytest.raises(FloatingPointError, match=expected):
        train(model, make_dataset((DOS,), training_structures()), tmp_path, num_epochs=1)


def test_infinite_target(tmp_path):
    """Missing values are NaN; infinity is a mistake."""
    frames = training_structures()
    dataset = make_dataset((DOS,), frames)
    dataset[3][DOS].block().values[0, 100] = math.inf
    with pytest.raises(FloatingPointError, match=r"the training loss is (inf|nan)"):
        train(make_model((DOS,), torch.float32), dataset, tmp_path, num_epochs=1)


def test_fewer_structures_than_a_batch(tmp_path):
    dataset = make_dataset((DOS,), training_structures(3))
    with pytest.raises(ValueError, match=r"`batch_size` .* is 16, but a training set has only 3 structures"):
        train(make_model((DOS,), torch.float32), dataset, tmp_path, num_epochs=1, batch_size=16)


def test_several_devices_in_one_process(monkeypatch):
    for name, value in {
        "RANK": 0,
        "WORLD_SIZE": 2,
        "LOCAL_RANK": 0,
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": 1,
    }.items():
        monkeypatch.setenv(name, str(value))
    devices = [torch.device("cuda", 0), torch.device("cuda", 1)]
    with pytest.raises(ValueError, match="one GPU per process; set `device: cuda`, not `multi-gpu`"):
        start_process(True, 39591, devices)
