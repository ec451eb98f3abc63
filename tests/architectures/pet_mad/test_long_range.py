"""Long-range features: those of `metatrain.pet` at equal weights, in training and prediction, and what they do."""

import copy
import sys

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from metatomic.torch import ModelEvaluationOptions, ModelOutput, load_atomistic_model, systems_to_torch
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.io import model_from_checkpoint
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from peer_models import make_peer_model, target_info
from structures import example_structures
from tiny_models import dataset_info, make_dataset, make_model, make_varied, request, to_systems, training_structures

from electrain.architectures.pet_mad.from_pet.convert import convert
from electrain.architectures.pet_mad.trainer import Trainer

pytest.importorskip("torchpme")

LONG_RANGE = {**get_default_hypers("pet")["model"]["long_range"], "enable": True, "use_ewald": True}
STRUCTURES = {name: atoms for name, atoms in example_structures().items() if name != "slab"}
FAR = Atoms("HOH", positions=[[0, 0, 0], [0, 0, 12], [0, 9, 12]])  # beyond all cutoffs


def make_pair(names=("energy",), **options):
    peer = make_peer_model(names, long_range=LONG_RANGE, **options)
    with torch.no_grad():
        for parameter in peer.long_range_featurizer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return peer, convert(peer.get_checkpoint()).eval()


def energy_of(model, frames, is_training=False):
    lists = [options for part in (model, *model.additive_models) for options in part.requested_neighbor_lists()]
    systems = systems_to_torch(frames, dtype=torch.float64)
    systems = [get_system_with_neighbor_lists(system, lists) for system in systems]
    return evaluate_model(model, systems, {"energy": target_info("energy")}, is_training)["energy"].block()


def assert_equal_energies(ours, peer, is_training):
    frames = list(STRUCTURES.values())
    block, expected = (energy_of(model, frames, is_training) for model in (ours, peer))
    largest = float(expected.values.detach().abs().max())
    assert float((block.values - expected.values).detach().abs().max()) < 1e-10 * largest
    for name in ("positions", "strain"):
        found, theirs = (b.gradient(name).values.detach() for b in (block, expected))
        assert float((found - theirs).abs().max()) < 1e-8 * float(theirs.abs().max())
    return block.values.detach()


@pytest.mark.parametrize(
    "options",
    [
        {"featurizer_type": "residual", "num_gnn_layers": 3},
        {"featurizer_type": "feedforward", "d_node": 12},
        {"featurizer_type": "residual", "d_node": 12, "system_conditioning": True, "zbl": True},
    ],
    ids=["residual", "feedforward", "everything"],
)
def test_energies_and_forces_of_the_peer(options):
    """Crystals and molecules in one batch; with a mesh in prediction, Ewald's sum in training."""
    peer, ours = make_pair(**options)
    predicted = assert_equal_energies(ours, peer, is_training=False)
    for model in (ours, peer):
        model.train()
    in_training = assert_equal_energies(ours, peer, is_training=True)
    periodic = torch.tensor([bool(atoms.pbc.all()) for atoms in STRUCTURES.values()])
    assert (predicted != in_training).any(dim=1)[periodic].all()


def test_other_targets_and_features_of_the_peer():
    names = ("mtt::charge", "non_conservative_force", "mtt::tensor")
    peer, ours = make_pair(names)
    outputs = {**request(names, "atom"), "feature": ModelOutput(sample_kind="system")}
    systems = to_systems(list(STRUCTURES.values()), ours)
    with torch.no_grad():
        results, expected = (model(systems, outputs) for model in (ours, peer))
    for name in outputs:
        torch.testing.assert_close(results[name].block().values, expected[name].block().values, rtol=1e-9, atol=1e-10)


def test_atoms_far_away_are_felt():
    """Unlike in a model without these features, whose predictions know nothing beyond its cutoffs."""
    shifted = FAR.copy()
    shifted.positions[2] += [0.5, 1.0, 0.0]
    _, ours = make_pair()
    near, far = (energy_of(ours, [atoms]).values.item() for atoms in (FAR, shifted))
    assert abs(near - far) > 1e-6
    local = convert(make_peer_model(("energy",)).get_checkpoint()).eval()
    near, far = (energy_of(local, [atoms]).values.item() for atoms in (FAR, shifted))
    assert near == pytest.approx(far, abs=1e-12)


def test_forces_are_derivatives():
    _, ours = make_pair()
    crystal = STRUCTURES["bulk"]
    direction = np.random.default_rng(1).normal(size=crystal.positions.shape)
    gradient = energy_of(ours, [crystal]).gradient("positions").values.detach()[..., 0].numpy()
    moved = [crystal.copy(), crystal.copy()]
    for sign, atoms in zip((1, -1), moved, strict=True):
        atoms.positions += sign * 1e-4 * direction
    plus, minus = energy_of(ours, moved).values.detach().flatten().tolist()
    assert (plus - minus) / 2e-4 == pytest.approx(float((gradient * direction).sum()), rel=1e-5)


def test_with_adaptive_cutoffs():
    """The peer fails for crystals then: its list of pairs and its distances differ. A molecule is equal."""
    peer, ours = make_pair(num_neighbors_adaptive=4)
    ethanol = [STRUCTURES["molecule"]]
    torch.testing.assert_close(energy_of(ours, ethanol).values, energy_of(peer, ethanol).values, rtol=1e-10, atol=0)
    crystal = STRUCTURES["bulk"]
    energies = energy_of(ours, [crystal, crystal * (2, 1, 1)]).values.detach().flatten()
    # the mesh of the supercell is another one
    assert float(energies[1]) == pytest.approx(2 * float(energies[0]), rel=1e-3)


def test_batches_do_not_matter():
    _, ours = make_pair()
    frames = list(STRUCTURES.values())
    together = energy_of(ours, frames).values.detach()
    alone = torch.cat([energy_of(ours, [atoms]).values.detach() for atoms in frames])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


def test_exported_models_are_equal(tmp_path):
    """From files; no engine may split a structure."""
    peer, ours = make_pair()
    loaded = model_from_checkpoint(copy.deepcopy(ours.get_checkpoint()), "export").eval()
    loaded.export().save(tmp_path / "model.pt")
    compiled = load_atomistic_model(tmp_path / "model.pt")
    assert compiled.capabilities().interaction_range == float("inf")
    assert compiled.requested_neighbor_lists()[0].strict
    systems = to_systems(list(STRUCTURES.values()), peer)
    outputs = {"energy": ModelOutput(unit="eV", sample_kind="system")}
    with torch.no_grad():
        result = compiled(systems, ModelEvaluationOptions("angstrom", outputs), check_consistency=True)
        expected = peer(systems, outputs)["energy"].block().values
    torch.testing.assert_close(result["energy"].block().values, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("pbc", "number"), [([True, True, False], 2), ([False, False, True], 1)])
def test_slabs_and_wires(pbc, number):
    _, ours = make_pair()
    atoms = bulk("Si")
    atoms.set_cell(atoms.cell[:] * np.array(pbc)[:, None])
    atoms.pbc = pbc
    with pytest.raises(ValueError, match=rf"structure 1 of the batch is periodic in {number} direction\(s\)"):
        energy_of(ours, [molecule("H2O"), atoms])


def test_without_the_package(monkeypatch):
    """Models without these features do not need it."""
    monkeypatch.setitem(sys.modules, "torchpme", None)
    make_model(("energy",))
    with pytest.raises(ImportError, match="`torch-pme` is required for long-range models"):
        make_model(("energy",), long_range=LONG_RANGE)


def test_training(tmp_path):
    """All parts learn, are clipped together, and go on after a restart; fine-tuning of heads leaves them alone."""
    frames = [*training_structures(4), bulk("Si", cubic=True), bulk("C")]
    data = make_dataset(("energy",), frames)
    model = make_varied(make_model(("energy",), dtype=torch.float32, long_range=LONG_RANGE))
    before = copy.deepcopy(model.long_range.state_dict())
    run(model, data, tmp_path / "first.ckpt")
    changed = [name for name, value in model.long_range.state_dict().items() if not torch.equal(value, before[name])]
    assert len([name for name in changed if name.startswith("featurizer.")]) == 6

    checkpoint = torch.load(tmp_path / "first.ckpt", weights_only=False)
    model = model_from_checkpoint(checkpoint, "finetune").restart(dataset_info(("energy",)))
    before = copy.deepcopy(model.long_range.state_dict())
    run(model, data, tmp_path / "second.ckpt", finetune={"read_from": str(tmp_path / "first.ckpt"), "method": "heads"})
    torch.testing.assert_close(model.long_range.state_dict(), before, rtol=0, atol=0)


def run(model, data, path, **options):
    hypers = {"num_epochs": 2, "batch_size": 3, "num_workers": 0, "warmup_epochs": 0.0, "learning_rate": 1e-2}
    trainer = Trainer({**get_default_hypers("pet_mad")["training"], **hypers, **options})
    trainer.train(model, torch.float32, [torch.device("cpu")], [data], [data], str(path.parent))
    trainer.save_checkpoint(model, path)


def test_parts_that_are_clipped_together():
    """What shares gradients shares a norm."""
    model = make_model(("energy",), long_range=LONG_RANGE)
    (part,) = model.separate_parts()
    assert {id(p) for p in part.parameters()} == {id(p) for p in model.parameters()}
    assert make_model(("energy",)).separate_parts()[0].__class__.__name__ == "PointEdgeTransformer"
