"""What every architecture must do, run for each of them.

An architecture adds one row to :data:`ROWS`: small hyperparameters that make a quick model. It may add another one for
options that change much, named after it and, behind a comma, the options.
"""

import copy
import json
import pickle
import re

import numpy as np
import pytest
import torch
import train_together
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System, load_atomistic_model
from metatomic_ase import MetatomicCalculator
from metatrain.llpr.model import LLPRUncertaintyModel
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import Dataset, DatasetInfo, TargetInfo
from metatrain.utils.io import model_from_checkpoint, trainer_from_checkpoint
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from phonons import AXIS, FIXED_AXES, PHONON_TARGETS, phonon_dataset, phonon_info, phonon_rows
from tiny_models import (
    ALL_TARGETS,
    ELEMENTS,
    GRID_HYPERS,
    SMALL,
    dataset_info,
    make_dataset,
    request,
    scalar_info,
    structures,
    target_infos,
    to_systems,
    training_structures,
)

from electrain.files.models import fixed_axes_of
from electrain.interface.fixed_axes import fixed_axis_to_labels
from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    ELECTRONIC_DOS,
    ELECTRONIC_DOS_NORMALIZED,
    FERMI_LEVEL,
    PHONON_DOS,
    PHONON_DOS_NORMALIZED,
    last_layer_features_name,
    uncertainty_name,
)
from electrain.nn.low_rank import find_low_rank
from electrain.spectra.fixed_axis import FixedAxis
from electrain.spectra.units import conversion_factor
from electrain.uncertainty.model import SpectralUncertainty

SMALL_PET = {name: value for name, value in SMALL.items() if name != "energy_grid"}
ROWS = {
    "pet_mad": SMALL_PET,
    "pet_mad, for few data": {
        **SMALL_PET,
        "element_properties": True,
        "radial_descriptors": 3.0,
        "spectrum_head": "shifted_parts",
        "dropout": 0.0,  # random numbers of two processes differ
    },
    "dos_baseline": {"cutoff": 3.0, "width": 8, "num_message_passing_layers": 2, "num_gaussians": 10},
    "dos_baseline, two layers": {
        "network": "two_layer",
        "energy_embeddings": False,
        "neighbor_masses": True,
        "cutoff": 3.0,
        "width": 8,
    },
    "dos_transformer": {
        "cutoff": 3.0,
        "width": 8,
        "energy_width": 8,
        "num_message_passing_layers": 2,
        "num_gaussians": 10,
        "num_heads": 2,
        "feedforward_width": 8,
    },
    "bandformer": {
        "cutoff": 3.0,
        "width": 8,
        "num_heads": 2,
        "feedforward_width": 8,
        "num_encoder_layers": 2,
        "num_decoder_layers": 1,
        "num_gaussians": 10,
    },
    "bandformer, with the encoder of pet_mad": {
        "cutoff": 3.0,
        "width": 8,
        "num_heads": 2,
        "feedforward_width": 8,
        "num_decoder_layers": 1,
        "num_gaussians": 10,
        "encoder": "point_edge_transformer",
        "point_edge_transformer": {
            **get_default_hypers("bandformer")["model"]["point_edge_transformer"],
            **{name: value for name, value in SMALL_PET.items() if name != "head_width"},
        },
    },
    "tiny_net": {
        "bonds": "cutoff",
        "cutoff": 2.6,
        "num_hops": 2,
        "num_paths": [40],
        "num_neighbors": 220,
        "bond_width": 0.4,
    },
    "toy": {"cutoff": 3.0, "width": 8},
}

CPU = torch.device("cpu")
FRAMES = training_structures()
EXTENSIVE = ("energy", DENSITY_OF_STATES)
FEATURES = ("feature", *(last_layer_features_name(name) for name in EXTENSIVE))
NEW = "mtt::new"


@pytest.fixture(params=ROWS)
def architecture(request):
    return request.param


@pytest.fixture
def model(architecture):
    return make_model(architecture)


@pytest.fixture
def hypers(architecture):
    """Of a short training, equal on every machine."""
    changes = {"batch_size": 3, "num_workers": 0, "warmup_epochs": 0.0, "learning_rate": 1e-3, "num_epochs": 2}
    return {**copy.deepcopy(get_default_hypers(name_of(architecture))["training"]), **changes}


def name_of(architecture):
    """The name of the architecture of a row."""
    return architecture.partition(",")[0]


def make_model(architecture, dtype=torch.float64, info=None, varied=True, **options):
    """A model whose random weights are large enough for predictions to differ from structure to structure."""
    torch.manual_seed(0)
    model_hypers = {
        **get_default_hypers(name_of(architecture))["model"],
        "energy_grid": GRID_HYPERS,
        **ROWS[architecture],
        **options,
    }
    model = import_architecture(name_of(architecture)).__model__(copy.deepcopy(model_hypers), info or dataset_info())
    if not varied:
        return model.to(dtype).eval()
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for head in model.spectrum_heads.values():
            head.last.weight.mul_(10.0)
            head.last.bias.fill_(30.0)  # gaps are cut off at zero
    return model.to(dtype).eval()


def predict(model, atoms, names=ALL_TARGETS, kind="system", selected_atoms=None):
    """Values by name; structures come as `Atoms`."""
    dtype = next(model.parameters()).dtype
    outputs = model(to_systems(atoms, model, dtype), request(names, kind), selected_atoms)
    return {name: outputs[name].block().values.detach() for name in names}


def assert_equal(found, expected, rtol=1e-10, atol=1e-10):
    assert set(found) == set(expected)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=rtol, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


def train(architecture, model, hypers, folder, trainer=None, dataset=None):
    torch.manual_seed(1)
    trainer = import_architecture(name_of(architecture)).__trainer__(hypers) if trainer is None else trainer
    data = make_dataset(tuple(model.dataset_info.targets), FRAMES) if dataset is None else dataset
    trainer.train(model.train(), torch.float64, [CPU], [data], [data], str(folder))
    return trainer


def renamed(block, name):
    """The same values as another scalar."""
    return TensorMap(Labels.single(), [TensorBlock(block.values, block.samples, [], Labels.range(name, 1))])


# --- predictions -----------------------------------------------------------------------------------------------


def test_predictions_differ(model):
    """Otherwise most of the tests below could not fail."""
    for name, values in predict(model, list(structures().values())).items():
        distances = torch.cdist(values, values) + torch.eye(len(values))
        assert distances.min() > 1e-4, name


def test_permuted_atoms(model):
    atoms = structures()["molecule"]
    order = np.random.default_rng(0).permutation(len(atoms))
    assert_equal(predict(model, [atoms[order]]), predict(model, [atoms]))
    of_atoms, permuted = (predict(model, [a], EXTENSIVE, "atom") for a in (atoms, atoms[order]))
    assert_equal(permuted, {name: values[order] for name, values in of_atoms.items()})


@pytest.mark.parametrize("name", ["molecule", "bulk"])
def test_moved_structure(model, name):
    """A translation, and atoms in other periodic images."""
    atoms, moved = structures()[name], structures()[name]
    moved.positions += [0.3, -7.1, 5.2]
    moved.positions[1] += moved.cell[:].T @ [2, -1, 3]
    assert_equal(predict(model, [moved]), predict(model, [atoms]))


def test_a_batch_is_its_structures(model):
    atoms = list(structures().values())
    alone = [predict(model, [a]) for a in atoms]
    assert_equal(predict(model, atoms), {name: torch.cat([one[name] for one in alone]) for name in ALL_TARGETS})


def test_supercell(model):
    """Energy and density of states grow with the cell, band gap and Fermi level do not."""
    cell = structures()["bulk"]
    large = make_supercell(cell, [[2, 0, 0], [0, 1, 0], [0, 1, 1]])
    expected = {n: values * (2 if n in EXTENSIVE else 1) for n, values in predict(model, [cell]).items()}
    assert_equal(predict(model, [large]), expected)


def test_means_over_atoms(architecture):
    """A band gap that is read from features of atoms does not grow with the cell either; sums may follow it."""
    model = make_model(architecture, band_gap_from="atoms")
    model.non_negative.clear()
    cell = structures()["bulk"]
    expected = predict(model, [cell], [BAND_GAP])
    assert expected[BAND_GAP].abs() > 1e-3
    assert_equal(predict(model, [make_supercell(cell, 2 * np.eye(3))], [BAND_GAP]), expected)
    model.remove_output(BAND_GAP)
    assert not model.network.averaged


def test_single_precision(architecture):
    atoms = list(structures().values())
    double, single = (make_model(architecture, dtype=dtype) for dtype in (torch.float64, torch.float32))
    single.load_state_dict({k: v.to(single.state_dict()[k].dtype) for k, v in double.state_dict().items()})
    found = {name: values.double() for name, values in predict(single, atoms).items()}
    expected = predict(double, atoms)
    for name in expected:
        size = float(expected[name].detach().abs().max())
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-4 * size)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_same_on_a_gpu(model):
    expected = predict(model, FRAMES)
    systems = [system.to("cuda") for system in to_systems(FRAMES, model, torch.float64)]
    found = model.to("cuda")(systems, request(ALL_TARGETS))
    for name in ALL_TARGETS:
        torch.testing.assert_close(found[name].block().values.detach().cpu(), expected[name], rtol=1e-8, atol=1e-10)


def test_forces_are_derivatives(model):
    atoms = structures()["bulk"]
    (system,) = to_systems([atoms], model)
    plain = System(system.types, system.positions.clone().requires_grad_(), system.cell, system.pbc)
    plain = get_system_with_neighbor_lists(plain, model.requested_neighbor_lists())
    energy = model([plain], request(["energy"]))["energy"].block().values.sum()
    (gradient,) = torch.autograd.grad(energy, plain.positions)
    assert float(gradient.abs().max()) > 1e-4
    for i, axis in ((0, 0), (1, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, axis] += sign * 1e-4
            ends.append(float(predict(model, [moved], ["energy"])["energy"]))
        assert float(gradient[i, axis]) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-4, abs=1e-7)


def test_smooth_at_the_cutoff(model):
    """An atom that comes into the range of another one changes nothing at first."""
    cutoff = model.network.pairs.radius
    pairs = [Atoms("OC", positions=[[0, 0, 0], [0, 0, cutoff + d]]) for d in (1e-6, -1e-6, -0.3)]
    outside, inside, near = (predict(model, [pair]) for pair in pairs)
    assert_equal(inside, outside, rtol=1e-7, atol=1e-7)
    assert all((near[name] - outside[name]).abs().max() > 1e-7 for name in EXTENSIVE)


def test_interaction_range(model):
    """Beyond it, nothing is felt; engines rely on it."""
    reach = model.network.interaction_range()
    spacing = 0.8 * model.network.pairs.radius
    near = [spacing * i for i in range(int(reach / spacing) + 1)]
    chain = Atoms("C" * len(near), positions=[[x, 0, 0] for x in near])
    far = [chain + Atoms("O", positions=[[reach + d, y, 0]]) for d, y in ((0.01, 0.0), (0.3, 0.5))]
    first = [predict(model, [atoms], EXTENSIVE, "atom") for atoms in far]
    assert_equal(*({name: values[:1] for name, values in one.items()} for one in first))


# --- atoms that are asked for, few atoms, no atoms -------------------------------------------------------------


def test_selected_atoms(model):
    """Rows of the selected atoms in the order of the structure, and structures made of them alone."""
    names = (*EXTENSIVE, *FEATURES)
    atoms = list(structures().values())[:3]
    of_atoms = model(to_systems(atoms, model), request(names, "atom"))
    samples = of_atoms["energy"].block().samples
    chosen = torch.tensor([0, 2, 3, len(atoms[0]) + 1])
    selected = Labels(samples.names, samples.values[chosen.flip(0)])
    found = predict(model, atoms, names, "atom", selected)
    assert_equal(found, {name: of_atoms[name].block().values[chosen] for name in names})
    systems = samples.values[chosen, 0].long()
    for name, values in predict(model, atoms, names, "system", selected).items():
        rows = of_atoms[name].block().values[chosen]
        sums = rows.new_zeros(values.shape).index_add(0, systems, rows)
        torch.testing.assert_close(values, sums, rtol=1e-10, atol=1e-10)
    numbers = predict(model, atoms, (BAND_GAP, FERMI_LEVEL), "system", selected)
    assert all(values[:2].isfinite().all() and values[2].isnan() for values in numbers.values())


def test_no_neighbors(model):
    """Atoms far from each other are what they are alone."""
    alone = [Atoms("O"), Atoms("C")]
    both = Atoms("OC", positions=[[0, 0, 0], [0, 0, 100.0]])
    sums = {name: values.sum(dim=0, keepdim=True) for name, values in predict(model, alone, EXTENSIVE).items()}
    assert all(values.isfinite().all() for values in sums.values())
    assert_equal(predict(model, [both], EXTENSIVE), sums)


def test_no_atoms(model):
    """No rows per atom, no energy, no gap; the rest of the batch does not notice."""
    empty = System(
        types=torch.zeros(0, dtype=torch.int32),
        positions=torch.zeros(0, 3, dtype=torch.float64),
        cell=torch.zeros(3, 3, dtype=torch.float64),
        pbc=torch.tensor([False] * 3),
    )
    empty = get_system_with_neighbor_lists(empty, model.requested_neighbor_lists())
    (atoms,) = to_systems(FRAMES[:1], model)
    alone = {name: values.block().values for name, values in model([atoms], request(ALL_TARGETS)).items()}
    for systems, row in (([atoms, empty], 0), ([empty, atoms], 1), ([empty, atoms, empty], 1)):
        found = model(systems, request(ALL_TARGETS))
        for name in ALL_TARGETS:
            values = found[name].block().values
            assert len(values) == len(systems)
            torch.testing.assert_close(values[row : row + 1], alone[name], rtol=1e-10, atol=1e-10)
            others = torch.cat([values[:row], values[row + 1 :]])
            assert (others == 0).all() if name in EXTENSIVE else others.isnan().all()
        for values in model(systems, request(EXTENSIVE, "atom")).values():
            assert values.block().samples.column("system").tolist() == [row] * len(atoms)
    for kind, rows in (("system", 2), ("atom", 0)):
        for values in model([empty, empty], request(EXTENSIVE, kind)).values():
            assert len(values.block().values) == rows and (values.block().values == 0).all()


def test_properties_of_structures_have_no_atoms(model):
    with pytest.raises(ValueError, match="mtt::bandgap is a property of a whole structure"):
        model(to_systems(FRAMES[:1], model), request([BAND_GAP], "atom"))


def test_unknown_elements(model):
    with pytest.raises(ValueError, match="does not know the element with atomic number 79"):
        predict(model, [Atoms("Au")])


# --- one output, features --------------------------------------------------------------------------------------


def test_outputs_alone_are_those_together(model):
    names = (*ALL_TARGETS, *FEATURES)
    atoms = list(structures().values())
    together = predict(model, atoms, names)
    assert_equal({name: predict(model, atoms, [name])[name] for name in names}, together)


def test_heads_of_spectra_leave_the_network_alone(model):
    outputs = model(to_systems(FRAMES, model), request([BAND_GAP, FERMI_LEVEL]))
    sum(values.block().values.sum() for values in outputs.values()).backward()
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert all(parameter.grad is not None for parameter in model.spectrum_heads.parameters())


def test_what_training_leaves_out(model):
    """Baselines are for predictions, as is the cut of negative gaps, which would end their gradient."""
    for block in model.additive_models[0].model.weights["energy"].blocks():
        block.values[:] = 7.0
    with torch.no_grad():
        model.spectrum_heads[BAND_GAP].last.bias.fill_(-1e3)
    names = ("energy", BAND_GAP)
    predicted = predict(model, FRAMES, names)
    model.train()
    model.network.eval()
    trained = predict(model, FRAMES, names)
    sizes = torch.tensor([[len(atoms)] for atoms in FRAMES])
    assert_equal(predicted, {"energy": trained["energy"] + 7.0 * sizes, BAND_GAP: torch.zeros(len(FRAMES), 1).double()})
    assert (trained[BAND_GAP] < 0).all()


def test_last_layers_are_linear(model):
    """What uncertainties rely on: predictions are the weights times the features, and a constant per atom."""
    for name in EXTENSIVE:
        weights = model.last_layer_parameter_names[name]
        if not weights:
            continue
        ((_, weight),) = [item for item in model.named_parameters() if item[0] in weights]
        weight = weight.detach()
        features = last_layer_features_name(name)
        found = predict(model, [structures()["bulk"], structures()["one-atom cell"]], [name, features], "atom")
        assert found[features].shape[1] == model.last_layer_feature_size == weight.shape[1]
        rests = found[name] - found[features] @ weight.T
        pooled = predict(model, [structures()["bulk"]], [name, features])
        assert pooled[features].shape == (1, weight.shape[1])
        if rests.abs().max() > 1e-10:  # constants, of atoms or of the weights of their neighbors
            assert torch.linalg.matrix_rank(rests, atol=1e-8) <= 2


def test_forgotten_outputs(model):
    atoms = [structures()["molecule"]]
    expected = predict(model, atoms, ["energy", DENSITY_OF_STATES])
    model.remove_output(FERMI_LEVEL)
    model.remove_output(BAND_GAP)
    assert_equal(predict(model, atoms, ["energy", DENSITY_OF_STATES]), expected)
    model.remove_output(DENSITY_OF_STATES)
    assert set(model.supported_outputs()) == {"feature", "energy", last_layer_features_name("energy")}
    assert_equal(predict(model, atoms, ["energy"]), {"energy": expected["energy"]})


# --- training --------------------------------------------------------------------------------------------------


def test_it_learns(architecture, hypers, tmp_path):
    model = make_model(architecture)
    before = predict(model, FRAMES)
    hypers |= {"num_epochs": 15, "learning_rate": 1e-2, "rotational_augmentation": False}
    trainer = train(architecture, model, hypers, tmp_path)
    assert trainer.best_epoch > 5
    model.eval()
    assert all((predict(model, FRAMES)[name] - before[name]).abs().max() > 1e-6 for name in ALL_TARGETS)


def test_restart_bit_for_bit(architecture, hypers, tmp_path):
    whole, half = make_model(architecture), make_model(architecture)
    train(architecture, whole, hypers, tmp_path)
    trainer = train(architecture, half, {**hypers, "num_epochs": 1}, tmp_path)
    trainer.save_checkpoint(half, tmp_path / "half.ckpt")
    checkpoint = torch.load(tmp_path / "half.ckpt", weights_only=False)
    again = model_from_checkpoint(checkpoint, "restart").restart(half.dataset_info, {})
    train(architecture, again, hypers, tmp_path, trainer_from_checkpoint(checkpoint, "restart", hypers))
    expected = dict(whole.named_parameters())
    start = dict(make_model(architecture).named_parameters())
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter, expected[name]), name
    assert any(not torch.equal(parameter, start[name]) for name, parameter in again.named_parameters())
    assert_equal(predict(again.eval(), FRAMES), predict(whole.eval(), FRAMES), rtol=0, atol=0)


def test_two_processes(tmp_path):
    """All architectures, because processes take long to start: they share batches of 3, and learn the same as one."""
    rows = {**ROWS, "tiny_net, of the size of its data": {"num_hops": 2, "num_paths": None, "num_neighbors": None}}
    processes = train_together.start(tmp_path, list(rows), rows)
    alone = {}
    for name in rows:
        (tmp_path / name).mkdir()
        alone[name] = train_together.state(*train_together.train(name, tmp_path / name, rows))
    said = train_together.wait(processes)
    for name in rows:
        found = pickle.loads((tmp_path / f"{name}.0").read_bytes())
        assert isinstance(found, dict), f"{name}: {found}\n{said}"
        train_together.assert_close(found, alone[name], name)


def test_checkpoint(architecture, model):
    """Predictions are equal; a checkpoint without a way to the present version is refused."""
    atoms = list(structures().values())
    checkpoint = copy.deepcopy(model.get_checkpoint())
    assert checkpoint["architecture_name"] == name_of(architecture)
    checkpoint["model_state_dict"] = {}  # the latest state, to restart from; what is exported is the best one
    again = model_from_checkpoint(checkpoint, "export").eval()
    assert_equal(predict(again, atoms), predict(model, atoms), rtol=0, atol=0)
    checkpoint["model_ckpt_version"] = 0
    with pytest.raises(RuntimeError, match="Unable to "):
        type(model).upgrade_checkpoint(checkpoint)


@pytest.mark.parametrize("method", ["full", "heads", "lora"])
def test_fine_tuning(architecture, hypers, method, tmp_path):
    """A new target is learned; the rest changes as the method says, and goes on after a restart."""
    base = make_model(architecture)
    torch.save(base.get_checkpoint(), tmp_path / "base.ckpt")
    infos = {"energy": target_infos()["energy"], NEW: scalar_info(NEW)}
    info = DatasetInfo("angstrom", ELEMENTS, infos)
    model = model_from_checkpoint(torch.load(tmp_path / "base.ckpt", weights_only=False), "finetune")
    model = model.restart(info, {})
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    # all elements, because an architecture may have layers of each
    data = make_dataset(("energy",), [*FRAMES, molecule("SiH4")])
    of_new = [renamed(sample["energy"].block(), "new") for sample in data]
    columns = {name: [sample[name] for sample in data] for name in ("system", "energy")}
    both = Dataset.from_dict({**columns, NEW: of_new})
    hypers |= {"finetune": {"read_from": str(tmp_path / "base.ckpt"), "method": method}}
    train(architecture, model, hypers, tmp_path, dataset=both)
    assert set(model.dataset_info.targets) == ({*ALL_TARGETS, NEW} if method == "heads" else {"energy", NEW})
    heads = {id(parameter) for name in ("energy", NEW) for parameter in model.head(name).parameters()}
    changed = {
        name
        for name, parameter in model.named_parameters()
        if name in before and not torch.equal(parameter, before[name]) and id(parameter) not in heads
    }
    assert bool(changed) == (method == "full")
    assert (find_low_rank(model.network) is not None) == (method == "lora")
    updates = [parameter for name, parameter in model.named_parameters() if "low_rank_b" in name]
    assert all(update.abs().max() > 0 for update in updates), "a layer that LoRA updates is not called as a module"
    assert any(not torch.equal(p, before[n]) for n, p in model.named_parameters() if NEW in n and n in before)
    exported = model_from_checkpoint(copy.deepcopy(model.get_checkpoint()), "export").eval()
    assert find_low_rank(exported.network) is None
    assert_equal(predict(exported, FRAMES, ["energy", NEW]), predict(model.eval(), FRAMES, ["energy", NEW]))


# --- export ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["system", "atom"])
def test_exported_model(model, kind, tmp_path):
    """The file predicts what the model predicts, and says on which axis."""
    names = ALL_TARGETS if kind == "system" else EXTENSIVE
    model.export().save(tmp_path / "model.pt")
    exported = load_atomistic_model(tmp_path / "model.pt")
    atoms = list(structures().values())
    outputs = exported.module(to_systems(atoms, model), request(names, kind), None)
    assert_equal({name: outputs[name].block().values for name in names}, predict(model, atoms, names, kind))
    capabilities = exported.capabilities()
    assert set(ALL_TARGETS) <= set(capabilities.outputs)
    assert capabilities.interaction_range >= model.network.interaction_range()
    assert re.search(r'"start": -20.0.*"max_shift": 20', exported.metadata().extra["energy_grid"])


def test_in_ase(model, tmp_path):
    model.export().save(tmp_path / "model.pt")
    atoms = bulk("Si")
    atoms.calc = MetatomicCalculator(tmp_path / "model.pt")
    expected = float(predict(model, [bulk("Si")], ["energy"])["energy"])
    assert atoms.get_potential_energy() == pytest.approx(expected, abs=1e-8)
    assert np.isfinite(atoms.get_forces()).all() and np.isfinite(atoms.get_stress()).all()


@pytest.mark.parametrize("training", [False, True])
def test_unknown_outputs(model, training):
    """Before export as well as after it; metatrain's `llpr` asks for outputs of its own."""
    expected = r"the model has no output '{}'; it has feature, energy, mtt::aux::energy_last_layer_features, mtt::dos, "
    for name in ("mtt::dso", "energy_uncertainty", ""):
        with pytest.raises(ValueError, match=expected.format(name)):
            predict(model.train(training), FRAMES[:1], ["energy", name])


# --- uncertainties ---------------------------------------------------------------------------------------------


def test_uncertainties(architecture, tmp_path):
    """metatrain's `llpr` takes the model, is calibrated, exported, and calls a strange structure uncertain."""
    base = make_model(architecture)
    uncertain = LLPRUncertaintyModel({"num_ensemble_members": {DENSITY_OF_STATES: 4}}, dataset_info())
    uncertain.set_wrapped_model(base)
    assert isinstance(uncertain, SpectralUncertainty)
    uncertain.to(torch.float64)
    data = make_dataset(ALL_TARGETS, FRAMES)
    torch.manual_seed(0)
    uncertain.compute_covariance([data], 3, False)
    uncertain.compute_cholesky_decomposition(1e-3)
    uncertain.calibrate([data], 3, False, "squared_residuals")
    uncertain.generate_ensemble()
    names = [uncertainty_name(name) for name in ALL_TARGETS]
    known, strange = FRAMES[0], Atoms("Si2", positions=[[0, 0, 0], [0, 0, 1.6]])
    outputs = uncertain.eval()(to_systems([known, strange], base), request(names))
    for name in names:
        values = outputs[name].block().values
        assert values.isfinite().all() and (values >= 0).all(), name
    energy = outputs[uncertainty_name("energy")].block().values.flatten() / torch.tensor([len(known), len(strange)])
    assert energy[1] > energy[0]
    uncertain.export().save(str(tmp_path / "uncertain.pt"))
    again = load_atomistic_model(tmp_path / "uncertain.pt")
    exported = again.module(
        to_systems([known, strange], base), {name: ModelOutput(sample_kind="system") for name in names}, None
    )
    for name in names:
        torch.testing.assert_close(exported[name].block().values, outputs[name].block().values, rtol=1e-8, atol=1e-8)


# --- spectra on a fixed axis -----------------------------------------------------------------------------------


def make_phonon_model(architecture, **options):
    return make_model(architecture, **{"info": phonon_info(), "fixed_axes": FIXED_AXES, **options})


def with_axis(info, axis):
    """The target with the labels of an axis, as in data sets of TensorMaps."""
    block = info.layout.block()
    labelled = TensorBlock(
        torch.zeros(0, axis.size, dtype=torch.float64), block.samples, [], fixed_axis_to_labels(axis)
    )
    return TargetInfo(TensorMap(info.layout.keys, [labelled]), info.quantity, info.unit, info.description)


def test_sums_and_means(architecture):
    """A density of states grows with the structure, a normalised one does not; a batch is its structures."""
    model = make_phonon_model(architecture)
    frames = [structures()["bulk"], structures()["molecule"], structures()["isolated atom"]]
    alone = [predict(model, [atoms], PHONON_TARGETS) for atoms in frames]
    together = predict(model, frames, PHONON_TARGETS)
    assert_equal(together, {name: torch.cat([one[name] for one in alone]) for name in PHONON_TARGETS})
    # in some channels, heads that cannot be negative may predict nothing for all of them
    assert all(values.shape == (3, AXIS.size) and values.std(dim=0).mean() > 1e-4 for values in together.values())
    large = predict(model, [make_supercell(frames[0], 2 * np.eye(3))], PHONON_TARGETS)
    assert_equal(large, {PHONON_DOS: 8 * alone[0][PHONON_DOS], PHONON_DOS_NORMALIZED: alone[0][PHONON_DOS_NORMALIZED]})
    local = predict(model, [frames[1]], [PHONON_DOS], "atom")[PHONON_DOS]
    torch.testing.assert_close(local.sum(dim=0, keepdim=True), alone[1][PHONON_DOS])
    with pytest.raises(ValueError, match="mtt::phonon_dos_normalized is a property of a whole structure"):
        predict(model, [frames[1]], [PHONON_DOS_NORMALIZED], "atom")


def test_the_unit_of_the_axis_does_not_matter(architecture):
    """The same weights predict the same states, per THz as many as per cm^-1 times the factor between them."""
    found = []
    for unit in ("cm^-1", "THz"):
        axes = {name: AXIS.in_unit(unit).to_dict() for name in PHONON_TARGETS}
        found.append(predict(make_phonon_model(architecture, fixed_axes=axes), FRAMES, PHONON_TARGETS))
    factor = conversion_factor("cm^-1", "THz")
    assert_equal(found[0], {**found[1], PHONON_DOS: found[1][PHONON_DOS] * factor})


def test_exported_with_its_axis(architecture, tmp_path):
    model = make_phonon_model(architecture)
    model.export().save(tmp_path / "model.pt")
    exported = load_atomistic_model(tmp_path / "model.pt")
    atoms = list(structures().values())
    outputs = exported.module(to_systems(atoms, model), request(PHONON_TARGETS), None)
    found = {name: outputs[name].block().values for name in PHONON_TARGETS}
    assert_equal(found, predict(model, atoms, PHONON_TARGETS))
    assert outputs[PHONON_DOS].block().properties == fixed_axis_to_labels(AXIS)
    assert fixed_axes_of(exported) == dict.fromkeys(PHONON_TARGETS, AXIS)
    assert json.loads(exported.metadata().extra["fixed_axes"])[PHONON_DOS]["unit"] == "cm^-1"


def test_spectra_are_learned(architecture, hypers, tmp_path):
    """Spectra of both kinds come nearer; half of a training and the rest of it are the whole one, bit for bit."""
    hypers |= {"num_epochs": 10, "learning_rate": 1e-2, "rotational_augmentation": False}
    whole, half = make_phonon_model(architecture, varied=False), make_phonon_model(architecture, varied=False)
    expected, data = phonon_rows(FRAMES), phonon_dataset(FRAMES)
    before = predict(whole, FRAMES, PHONON_TARGETS)
    train(architecture, whole, hypers, tmp_path, dataset=data)
    after = predict(whole.eval(), FRAMES, PHONON_TARGETS)
    for name in PHONON_TARGETS:
        errors = [(values[name] - expected[name]).square().mean() for values in (before, after)]
        assert errors[1] < 0.7 * errors[0], name
    trainer = train(architecture, half, {**hypers, "num_epochs": 5}, tmp_path, dataset=data)
    trainer.save_checkpoint(half, tmp_path / "half.ckpt")
    checkpoint = torch.load(tmp_path / "half.ckpt", weights_only=False)
    again = model_from_checkpoint(checkpoint, "restart").restart(phonon_info(), {})
    train(architecture, again, hypers, tmp_path, trainer_from_checkpoint(checkpoint, "restart", hypers), data)
    assert_equal(predict(again.eval(), FRAMES, PHONON_TARGETS), after, rtol=0, atol=0)


def test_missing_targets_and_channels(architecture, hypers, tmp_path):
    """Structures without a spectrum, and channels without a value, train nothing."""
    rows = phonon_rows(FRAMES)
    for values in rows.values():
        values[1] = torch.nan
        values[2, 40:] = torch.nan
    dataset = phonon_dataset(FRAMES, rows=rows)
    model = make_phonon_model(architecture, varied=False)
    trainer = train(architecture, model, hypers, tmp_path, dataset=dataset)
    assert np.isfinite(trainer.best_metric)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_a_further_axis_for_a_trained_model(architecture, hypers, tmp_path):
    """A model of electrons learns phonons; their axis is then part of it."""
    model = make_model(architecture)
    torch.save(model.get_checkpoint(), tmp_path / "base.ckpt")
    before = predict(model, FRAMES, [DENSITY_OF_STATES])
    info = phonon_info((PHONON_DOS,))
    model.restart(info, {"fixed_axes": {PHONON_DOS: AXIS.to_dict()}})
    hypers |= {"finetune": {"read_from": str(tmp_path / "base.ckpt"), "method": "heads"}}
    train(architecture, model, hypers, tmp_path, dataset=phonon_dataset(FRAMES, (PHONON_DOS,)))
    again = model_from_checkpoint(copy.deepcopy(model.get_checkpoint()), "export").eval()
    assert again.fixed_axes == {PHONON_DOS: AXIS}
    assert_equal(predict(again, FRAMES, [DENSITY_OF_STATES]), before)
    assert_equal(predict(again, FRAMES, [PHONON_DOS]), predict(model.eval(), FRAMES, [PHONON_DOS]), rtol=0, atol=0)
    again.restart(info, {"fixed_axes": {PHONON_DOS: AXIS.to_dict()}})
    with pytest.raises(ValueError, match=r"(?s)differ; remove them.*fixed_axes.*'step': 20.0.*'step': 10.0"):
        again.restart(info, {"fixed_axes": {PHONON_DOS: {**AXIS.to_dict(), "step": 10.0}}})


@pytest.mark.parametrize("axis", [FixedAxis(0.0, 10.0, 51, "cm^-1"), FixedAxis(0.0, 20.0, 51, "meV")])
def test_data_on_another_axis(architecture, axis):
    """At the start of a training, and when a checkpoint is continued."""
    name = PHONON_DOS
    info = DatasetInfo("angstrom", ELEMENTS, {name: with_axis(scalar_info(name, AXIS.size, ""), axis)})
    came = rf"got 0 \.\.\. {axis.stop:g} {axis.unit.replace('^', '.')} \(51 channels\) in the dataset"
    expected = rf"expected target 'mtt::phonon_dos' on the axis in .*0 \.\.\. 1000 cm\^-1 in steps of 20 cm\^-1.*{came}"
    with pytest.raises(ValueError, match=expected):
        make_model(architecture, info=info, fixed_axes=FIXED_AXES)
    with pytest.raises(ValueError, match=expected):
        make_phonon_model(architecture).restart(info, {})


def test_other_numbers_of_channels(architecture):
    with pytest.raises(ValueError, match=r"expected 51 channels of target 'mtt::phonon_dos'.*, got 64 in the dataset"):
        make_phonon_model(architecture, info=phonon_info((PHONON_DOS,), 64))


def test_an_axis_is_needed(architecture):
    with pytest.raises(ValueError, match=r"target 'mtt::phonon_dos' needs an axis; set `fixed_axes`") as error:
        make_phonon_model(architecture, fixed_axes={})
    assert "mtt::phonon_dos: {start: 0.0, step: 20.0, size: 51, unit: cm^-1}" in str(error.value)


def test_electrons(architecture, tmp_path):
    """Relative to the Fermi level, on negative energies too, in eV and meV."""
    axes = {
        ELECTRONIC_DOS: {"start": -5.0, "step": 0.25, "size": 41, "unit": "eV"},
        ELECTRONIC_DOS_NORMALIZED: {"start": -50.0, "step": 2.5, "size": 41, "unit": "meV"},
    }
    infos = {name: scalar_info(name, 41, "") for name in axes}
    model = make_model(architecture, info=DatasetInfo("angstrom", ELEMENTS, infos), fixed_axes=axes)
    model.export().save(tmp_path / "model.pt")
    found = fixed_axes_of(load_atomistic_model(tmp_path / "model.pt"))
    assert {name: axis.to_dict() for name, axis in found.items()} == axes
    assert predict(model, FRAMES, list(axes))[ELECTRONIC_DOS].shape == (len(FRAMES), 41)
