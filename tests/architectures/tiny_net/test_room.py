"""Room for the paths and neighbors of the data: its numbers, what they outlive, and structures beyond them."""

import copy
import functools
import logging

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from metatomic.torch import systems_to_torch
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset, DatasetInfo
from metatrain.utils.io import model_from_checkpoint, trainer_from_checkpoint
from short_trainings import CPU, equal_states
from slow_paths import bonded, paths_of
from tiny_models import make_dataset, request, target_infos, to_systems

from electrain.architectures.tiny_net import room
from electrain.architectures.tiny_net.model import TinyNet
from electrain.architectures.tiny_net.network import vector
from electrain.architectures.tiny_net.network.paths import find_paths
from electrain.architectures.tiny_net.room import fit_room
from electrain.architectures.tiny_net.trainer import Trainer
from electrain.training import starting

ELEMENTS = [8, 22, 29, 56]
# the default definition of bonds
LONGEST = {(a, b): 1.3 * (covalent_radii[a] + covalent_radii[b]) for a in ELEMENTS for b in ELEMENTS if a <= b}
WIDTH = 0.3
INFO = DatasetInfo("angstrom", ELEMENTS, target_infos(("energy",)))


def barium_titanate(constant=4.0):
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    atoms = Atoms("BaTiO3", scaled_positions=sites, cell=[constant] * 3, pbc=True)
    atoms.rattle(0.1, seed=1)
    return atoms


COPPER = bulk("Cu")
FRAMES = [COPPER, barium_titanate()]


def make_model(**options):
    torch.manual_seed(0)
    return TinyNet({**copy.deepcopy(get_default_hypers("tiny_net")["model"]), **options}, INFO)


def hypers_of_training(**options):
    hypers = copy.deepcopy(get_default_hypers("tiny_net")["training"])
    return {**hypers, "batch_size": 1, "num_workers": 0, "warmup_epochs": 0.0, "num_epochs": 1, **options}


def train(model, folder, trainer, frames=FRAMES):
    data = make_dataset(("energy",), frames)
    trainer.train(model.train(), torch.float64, [CPU], [data], [data], str(folder))
    return trainer


def of(frames):
    """A data set without targets."""
    return [Dataset.from_dict({"system": systems_to_torch(frames, dtype=torch.float64)})]


def numbers_of(atoms, hops=4):
    """Largest numbers of paths of 2, 3, ... hops, and of neighbors up to two bonds away, by recursion."""
    paths = paths_of(atoms, hops, simple=False, width=WIDTH, longest=LONGEST)
    neighbors = bonded(atoms, WIDTH, LONGEST)
    sites = []
    for i, near in neighbors.items():
        reached = {(j, shift) for j, shift, _ in near}
        for j, shift, _ in near:
            reached |= {(k, tuple(a + b for a, b in zip(shift, far, strict=True))) for k, far, _ in neighbors[j]}
        sites.append(len(reached - {(i, (0, 0, 0))}))
    return [max(len(values) for values in column) for column in zip(*paths, strict=True)], max(sites)


def room_of(model):
    return model.hypers["num_paths"], model.hypers["num_neighbors"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model after one epoch with the default options, and its checkpoint."""
    folder, model = tmp_path_factory.mktemp("trained"), make_model()
    train(model, folder, Trainer(hypers_of_training())).save_checkpoint(model, folder / "model.ckpt")
    return model, folder / "model.ckpt"


def test_default_options_suit_dense_crystals(trained):
    """A quarter more than the atom of copper or barium titanate with most of them, and at least four."""
    model, _ = trained
    of_copper, of_titanate = map(numbers_of, FRAMES)
    assert of_copper[0] == [12, 24, 342] and of_titanate[0][2] > 1000
    assert room_of(model) == ([33, 105, 1762], 155)
    most = [max(numbers) for numbers in zip(*(paths for paths, _ in (of_copper, of_titanate)), strict=True)]
    assert [-(-5 * n // 4) for n in most] == [33, 105, 1762]
    assert -(-5 * max(of_copper[1], of_titanate[1]) // 4) == 155
    assert model.network.descriptors.size == 33 + 105 + 1762 + 3 * 155
    assert {layers.first.weight.shape for layers in model.network.elements} == {(16, model.network.descriptors.size)}
    energies = model.eval()(to_systems(FRAMES, model), request(["energy"]))["energy"].block().values
    assert energies.isfinite().all() and energies[0] != energies[1]


def test_restarts_keep_the_numbers(trained, tmp_path):
    """Options may leave them open, as those that metatrain writes for restarts do."""
    whole = make_model()
    train(whole, tmp_path, Trainer(hypers_of_training(num_epochs=2)))
    checkpoint = torch.load(trained[1], weights_only=False)
    again = model_from_checkpoint(checkpoint, "restart").restart(INFO, {"num_paths": None, "num_neighbors": None})
    train(again, tmp_path, trainer_from_checkpoint(checkpoint, "restart", hypers_of_training(num_epochs=2)))
    assert room_of(again) == room_of(trained[0])
    assert equal_states(dict(again.state_dict()), dict(whole.state_dict()))
    assert not equal_states(dict(again.state_dict()), dict(trained[0].state_dict()))
    with pytest.raises(ValueError, match=r"num_neighbors: 155 in the checkpoint, 20 in the options"):
        again.restart(INFO, {"num_paths": None, "num_neighbors": 20})


def test_fine_tuning_keeps_the_numbers(trained, tmp_path):
    """The data need not have as many; structures beyond them are refused."""
    model, path = trained
    tuned = model_from_checkpoint(torch.load(path, weights_only=False), "finetune").restart(INFO, {"num_paths": None})
    hypers = hypers_of_training(finetune={"read_from": str(path), "method": "full"})
    train(tuned, tmp_path, Trainer(hypers), [COPPER, barium_titanate(4.3)])
    assert room_of(tuned) == room_of(model)
    first, before = (one.network.elements[3].first.weight for one in (tuned, model))
    assert first.shape == before.shape and 0 < (first - before).abs().max() < 0.1
    message = r"atom \d of structure 1 .* has \d+ paths of 4 hops .* room for 1762 \(`num_paths`\): train a model with "
    with pytest.raises(ValueError, match=message):
        tuned(to_systems([COPPER, barium_titanate(3.4)], tuned), request(["energy"]))


def test_numbers_of_the_options_stay():
    """Nothing is counted if there is nothing to choose; a model that the data has not seen has the numbers of none."""
    given = {"num_paths": [40, 120, 2000], "num_neighbors": 200}
    model = make_model(**given)
    state = copy.deepcopy(model.state_dict())
    fit_room(model, {"training set": None})
    assert equal_states(dict(model.state_dict()), dict(state)) and room_of(model) == tuple(given.values())
    model = make_model(num_paths=[40, 120, 2000])
    fit_room(model, {"training set": of([COPPER])})
    assert room_of(model) == ([40, 120, 2000], 68) and numbers_of(COPPER, 2)[1] == 54
    model = make_model(num_neighbors=200, num_hops=2)
    fit_room(model, {"training set": of([COPPER])})
    assert room_of(model) == ([15], 200) and model.network.descriptors.size == 15 + 600
    for options, expected in (({"num_hops": 0}, (None, 68)), ({"neighbor_order": 0}, ([15, 30, 428], None))):
        model = make_model(**options)
        fit_room(model, {"training set": of([COPPER])})
        assert room_of(model) == expected


def test_all_structures_are_counted(monkeypatch, caplog):
    """Those of both sets, however many there are; an atom without bonds has some room, too."""
    monkeypatch.setattr(starting, "MAX_STRUCTURES", 1)
    caplog.set_level(logging.INFO)
    alone = Atoms("Cu")
    for training, validation in (([alone, COPPER], [alone]), ([alone], [alone, COPPER])):
        model = make_model(num_hops=2)
        fit_room(model, {"training set": of(training), "validation set": of(validation)})
        assert room_of(model) == ([15], 68)
    assert "Counting the paths and neighbors of each atom in 3 structures" in caplog.text
    expected = (
        "The vector of an atom has room for 15 paths of 2 hops (at most 12 in the data); 68 neighbors up to 2 bonds "
        "away (at most 54 in the data)"
    )
    assert expected in caplog.text
    model = make_model()
    fit_room(model, {"training set": of([alone])})
    assert room_of(model) == ([4, 4, 4], 4)


def test_too_many(monkeypatch, tmp_path):
    """Room has an end; beyond it, an error names the structure, or the largest are kept with a warning."""
    monkeypatch.setattr(room, "_MOST", 100)
    sets = {"training set": of([Atoms("Cu"), Atoms("Cu")]), "validation set": of([Atoms("Cu"), COPPER])}
    message = (
        r"^structure 1 of the validation set, in a batch of its own: atom 0 of structure 0 .* has 342 paths of 4 hops "
        r"\(`num_hops: 4`\), but the vector has room for 100 \(`num_paths`\): train a model with more room, or with "
    )
    with pytest.raises(ValueError, match=message):
        fit_room(make_model(), sets)
    model = make_model(too_many="truncate")
    with pytest.warns(UserWarning, match=r"has 342 paths of 4 hops .* room for 100 .*; some are left out for 1 atoms"):
        train(model, tmp_path, Trainer(hypers_of_training()), [COPPER])
    assert room_of(model) == ([15, 30, 100], 68)
    monkeypatch.setattr(vector, "find_paths", functools.partial(find_paths, limit=200))
    with pytest.raises(ValueError, match=r"^structure 1 of the validation set, .* of 4 hops, too many for memory"):
        fit_room(make_model(), sets)
