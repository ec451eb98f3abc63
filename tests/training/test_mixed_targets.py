"""One model for everything, trained on structures that each carry only some of the targets."""

import math

import numpy as np
import pytest
import torch
from metatensor.torch import Labels, TensorBlock
from metatomic.torch import systems_to_torch
from metatrain.utils.data import CollateFn, unpack_batch
from metatrain.utils.evaluate_model import evaluate_model
from mixed_targets import (
    NAMES,
    NAN,
    frames,
    hypers,
    infos,
    loss_options,
    make_everything,
    mixed_dataset,
    some_missing,
)
from targets import STRESS
from tiny_models import (
    ELEMENTS,
    make_objective,
    target_rows,
    to_systems,
)

from electrain.architectures.pet_mad.model import PETMAD
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.training.batches import check_volumes
from electrain.training.errors import EpochErrors
from electrain.training.processes import Process

PROCESS = Process(torch.device("cpu"))


def test_everything_at_once(tmp_path, monkeypatch):
    structures = frames()
    model = make_everything(torch.float32)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    losses = []
    monkeypatch.setattr(EpochErrors, "add_loss", lambda self, loss, num_structures: losses.append(loss))
    trainer = Trainer(hypers(num_epochs=12))
    dataset = mixed_dataset(some_missing(structures), structures)
    trainer.train(model, torch.float32, [torch.device("cpu")], [dataset], [dataset], str(tmp_path))
    assert all(math.isfinite(loss) for loss in losses)
    batches = len(structures) // 4
    assert sum(losses[-batches:]) < 0.6 * sum(losses[:batches])
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), name
        assert not torch.equal(parameter, before[name]), f"{name} was never trained"
    exported = model.export()
    assert set(NAMES) <= set(exported.capabilities().outputs)


def test_each_energy_has_the_baseline_of_its_own_structures(tmp_path):
    """Although no structure has both: least squares on those that have it."""
    structures = frames()
    missing = some_missing(structures)
    model = make_everything()
    dataset = mixed_dataset(missing, structures)
    Trainer(hypers(num_epochs=1)).train(
        model, torch.float64, [torch.device("cpu")], [dataset], [dataset], str(tmp_path)
    )
    rows = target_rows(structures)["energy"][:, 0].numpy()
    for name, factor in (("energy", 3.0), ("energy/pbe", -2.0)):
        present = [i for i in range(len(structures)) if i not in missing[name]]
        counts = np.array([[float((structures[i].numbers == z).sum()) for z in ELEMENTS] for i in present])
        weights = model.additive_models[0].model.weights[name].block().values[:, 0].numpy()
        residual = counts.T @ (counts @ weights - factor * rows[present])  # of the normal equations
        assert np.abs(residual).max() < 1e-3 * np.abs(counts.T @ rows[present]).max()
    # what a checkpoint keeps
    model.load_state_dict(PETMAD.load_checkpoint(model.get_checkpoint(), "export").state_dict())


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_missing_forces_are_left_out_of_the_mean(kind):
    """Loss of energies and forces by hand, one structure without forces, one without anything."""
    structures = frames()[:4]
    missing = {name: set(range(4)) if name != "energy" else {1} for name in NAMES}
    dataset = mixed_dataset(missing, structures)
    extra = {"delta": 0.05} if kind == "huber" else {}
    model = make_everything().train()
    objective = make_objective(model, hypers(loss=loss_options(kind, **extra)))
    _, targets, _ = unpack_batch(CollateFn(["energy"])([dataset[i] for i in range(4)]))
    block = targets["energy"].block()
    of_second = block.gradient("positions").samples.column("sample") == 2
    block.gradient("positions").values[of_second] = NAN
    systems = to_systems(structures, model)
    predictions = evaluate_model(model, systems, {"energy": infos()["energy"]}, is_training=True)
    loss, _ = objective(predictions, targets, systems)

    def mean(difference):
        difference = difference[~torch.isnan(difference)]
        if kind == "mse":
            return difference.square().mean()
        if kind == "mae":
            return difference.abs().mean()
        size = difference.abs()
        return torch.where(size < 0.05, 0.5 * size**2, 0.05 * (size - 0.025)).mean()

    counts = torch.tensor([[len(atoms)] for atoms in structures])
    predicted = predictions["energy"].block()
    expected = 0.1 * mean((predicted.values - block.values) / counts)
    expected = expected + mean(predicted.gradient("positions").values - block.gradient("positions").values)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


def test_a_stress_without_volume_is_refused():
    structures = frames()[:1]
    values = torch.ones(1, 3, 3, 1, dtype=torch.float64)
    components = [Labels.range("xyz_1", 3), Labels.range("xyz_2", 3)]
    block = TensorBlock(values, Labels.range("system", 1), components, Labels.range(STRESS, 1))
    systems = systems_to_torch(structures, dtype=torch.float64)
    expected = rf"target '{STRESS}' has a value for H2O, .* directions \(pbc \[False, False, False\]\) and"
    with pytest.raises(ValueError, match=expected):
        check_volumes(STRESS, systems, block)
    block.values[:] = NAN
    check_volumes(STRESS, systems, block)


def test_training_refuses_a_stress_without_volume(tmp_path):
    structures = frames()
    dataset = mixed_dataset({name: set() for name in NAMES}, structures)
    dataset[0][STRESS].block().values[:] = 1.0
    with pytest.raises(ValueError, match="has no volume; leave the value out"):
        Trainer(hypers(num_epochs=1)).train(
            make_everything(), torch.float64, [torch.device("cpu")], [dataset], [dataset], str(tmp_path)
        )
