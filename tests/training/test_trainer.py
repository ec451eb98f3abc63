"""Training: it learns, restarts bit for bit, skips missing targets, and keeps the best model."""

import copy
import math

import pytest
import torch
from ase.build import bulk
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.utils.data import CollateFn, Dataset, DatasetInfo, DiskDataset, unpack_batch
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.io import model_from_checkpoint
from short_trainings import CPU, FRAMES, equal_states, load, new_trainer, train, training_hypers
from tiny_models import (
    ALL_TARGETS,
    ELEMENTS,
    GRID,
    MAX_SHIFT,
    dataset_info,
    make_dataset,
    make_model,
    make_objective,
    make_varied,
    model_hypers,
    request,
    scalar_info,
    target_infos,
    target_rows,
    to_systems,
    write_zip,
)

from electrain.architectures.pet_mad.model import PETMAD
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.spectra.losses import spectral_loss_terms
from electrain.training.batches import make_loaders
from electrain.training.epoch import OptimizerStep, run_epoch
from electrain.training.errors import EpochErrors, selected_error
from electrain.training.losses import Objective
from electrain.training.processes import Process
from electrain.training.schedule import make_schedule
from electrain.training.seeding import seed_epoch
from electrain.training.stopping import StopRequest

DOS = DENSITY_OF_STATES
PROCESS = Process(CPU)
ELECTRONIC = (DOS, BAND_GAP, FERMI_LEVEL)


class Losses:
    """Training losses of all epochs, read from what the trainer passes on."""

    def __init__(self, monkeypatch):
        self.training, self.validation = [], []
        original = Trainer._run_both_sets

        def recorded(trainer, *arguments):
            errors = original(trainer, *arguments)
            self.training.append(errors[0])
            self.validation.append(errors[1])
            return errors

        monkeypatch.setattr(Trainer, "_run_both_sets", recorded)


def test_learns(monkeypatch, tmp_path):
    """All targets together, with rotations."""
    record = Losses(monkeypatch)
    model = make_model(dtype=torch.float32)
    train(new_trainer(num_epochs=25), model, make_dataset(ALL_TARGETS, FRAMES), tmp_path)
    losses = [errors["loss"] for errors in record.validation]
    assert len(losses) == 25
    assert min(losses[-5:]) < 0.1 * losses[0]
    aligned = [errors[f"{DOS} aligned RMSE [eV^-1/2 per electron]"] for errors in record.validation]
    assert aligned[-1] < 0.4 * aligned[0]


def test_validation_without_dropout(tmp_path):
    """The network is in evaluation mode, but the model is not: targets lack baselines and scales."""
    model, modes = make_model(), []
    model.network.register_forward_hook(lambda network, *_: modes.append((network.training, torch.is_grad_enabled())))
    model.register_forward_hook(lambda model, *_: modes.append(model.training))
    train(new_trainer(num_epochs=2), model, make_dataset(ALL_TARGETS, FRAMES), tmp_path)
    assert set(modes) == {(True, True), (False, False), True}


def parameters_of(model):
    return dict(model.named_parameters())


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(
    ("names", "forces"), [((DOS,), False), (ALL_TARGETS, True)], ids=["density of states", "all, with forces"]
)
def test_restart_continues_bit_for_bit(tmp_path, names, forces, num_workers):
    dataset = [make_dataset(names, FRAMES[:4], forces)]
    if num_workers == 0:
        # in which order the batches of several data sets come is random, too
        dataset.append(make_dataset(names, FRAMES[2:], forces))
    options = {"num_workers": num_workers, "warmup_epochs": 1.0, "halving_epochs": 1.0}

    straight = make_model(names, torch.float32, forces)
    start = copy.deepcopy(parameters_of(straight))
    through = new_trainer(num_epochs=3, **options)
    train(through, straight, dataset, tmp_path)

    halfway = make_model(names, torch.float32, forces)
    assert equal_states(start, parameters_of(halfway))
    first = new_trainer(num_epochs=1, **options)
    train(first, halfway, dataset, tmp_path)
    first.save_checkpoint(halfway, tmp_path / "half.ckpt")
    torch.manual_seed(999)  # another process would begin with other random numbers
    model, second = load(tmp_path / "half.ckpt", num_epochs=3, **options)
    model.restart(dataset_info(names, forces), model_hypers())
    train(second, model, dataset, tmp_path)

    assert not equal_states(start, parameters_of(straight))
    assert through.epoch == second.epoch == 2
    assert equal_states(straight.state_dict(), model.state_dict())
    assert equal_states(through.optimizer_state_dict, second.optimizer_state_dict)
    assert equal_states(through.scheduler_state_dict, second.scheduler_state_dict)
    assert through.best_metric == second.best_metric
    assert through.best_epoch == second.best_epoch
    assert equal_states(through.best_model_state_dict, second.best_model_state_dict)


def test_number_of_epochs_includes_those_before_a_restart(monkeypatch, tmp_path):
    """Nothing is left to do, and no epoch is counted that was not run."""
    dataset = make_dataset((DOS,), FRAMES)
    model = make_model((DOS,), torch.float32)
    trainer = new_trainer(num_epochs=2)
    train(trainer, model, dataset, tmp_path)
    for _ in range(2):
        trainer.save_checkpoint(model, tmp_path / "model.ckpt")
        model, trainer = load(tmp_path / "model.ckpt", num_epochs=2)
        record = Losses(monkeypatch)
        train(trainer, model, dataset, tmp_path)
        assert record.training == []
        assert trainer.epoch == 1


def test_data_set_on_disk(monkeypatch, tmp_path):
    """The same training as from memory."""
    write_zip(tmp_path / "train.zip", ELECTRONIC, FRAMES)
    results = []
    for dataset in (DiskDataset(tmp_path / "train.zip"), make_dataset(ELECTRONIC, FRAMES)):
        record = Losses(monkeypatch)
        train(new_trainer(num_epochs=2), make_model(ELECTRONIC, torch.float32), dataset, tmp_path)
        results.append(record.validation[-1])
        monkeypatch.undo()
    assert results[0] == results[1]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_by_numbers_of_atoms(monkeypatch, tmp_path, num_workers):
    """Every structure is seen, in batches of at most that many atoms."""
    write_zip(tmp_path / "train.zip", (DOS,), FRAMES)
    sizes = []
    original = Objective.__call__

    def recorded(objective, predictions, targets, systems, *others):
        sizes.append(sum(len(system) for system in systems))
        return original(objective, predictions, targets, systems, *others)

    monkeypatch.setattr(Objective, "__call__", recorded)
    options = {"max_atoms_per_batch": 9, "num_epochs": 2, "num_workers": num_workers}
    train(new_trainer(**options), make_model((DOS,), torch.float32), DiskDataset(tmp_path / "train.zip"), tmp_path)
    assert max(sizes) <= 9
    # two epochs, training and validation each
    assert sum(sizes) == 4 * sum(len(atoms) for atoms in FRAMES)
    assert len(sizes) < 4 * len(FRAMES)


def test_batches_depend_on_the_seed_of_their_epoch_only():
    """Also while several data sets are mixed, and whatever was drawn before."""
    datasets = [make_dataset((BAND_GAP,), FRAMES[:4]), make_dataset((BAND_GAP,), FRAMES[1:])]
    model = make_model((DOS, BAND_GAP))
    targets = {BAND_GAP: model.dataset_info.targets[BAND_GAP]}
    loaders = make_loaders(model, targets, datasets, datasets, training_hypers(), PROCESS)
    assert len(loaders.train) == 2 + 2 and len(loaders.validation) == 2 + 3

    def drawn(seed):
        torch.rand(seed)
        seed_epoch(seed, 0)
        return torch.cat([torch.cat([s.positions for s in unpack_batch(batch)[0]]) for batch in loaders.train])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    expected = [len(atoms) for atoms in [*FRAMES[:4], *FRAMES[1:]]]
    for _ in range(2):
        assert [len(system) for batch in loaders.validation for system in unpack_batch(batch)[0]] == expected


# --- the objective ---------------------------------------------------------------------------------------------


def batch_of(model, names, frames, rows):
    """A batch as the loader makes it, without rotations, baselines and scales."""
    dataset = make_dataset(names, frames, rows=rows)
    _, targets, _ = unpack_batch(CollateFn(list(names))([dataset[i] for i in range(len(frames))]))
    return to_systems(frames, model), targets


def loss_and_errors(model, names, frames, rows, **options):
    objective = make_objective(model, training_hypers(**options))
    systems, targets = batch_of(model, names, frames, rows)
    errors = EpochErrors(objective.terms, PROCESS)
    infos = model.dataset_info.targets
    predictions = evaluate_model(model, systems, {name: infos[name] for name in names}, is_training=True)
    loss, evaluated = objective(predictions, targets, systems)
    errors.add(evaluated)
    return loss, errors


def gradients_of(model, names, frames, rows, **options):
    model.zero_grad()
    loss, _ = loss_and_errors(model, names, frames, rows, **options)
    loss.backward()
    return {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}


def without(rows, index):
    return {name: torch.cat([row[:index], row[index + 1 :]]) for name, row in rows.items()}


@pytest.mark.parametrize("name", ALL_TARGETS)
def test_a_missing_target_is_skipped(name):
    """The mean runs over the structures that have the target: as if the other one were not there."""
    model = make_varied(make_model()).train()
    rows = target_rows(FRAMES)
    missing = {**rows, name: rows[name].clone()}
    missing[name][2] = torch.nan
    names = (name,) if name in ("energy", DOS) else (DOS, name)
    found = gradients_of(model, names, FRAMES, missing)
    fewer = [atoms for i, atoms in enumerate(FRAMES) if i != 2]
    expected = gradients_of(model, names, fewer, without(rows, 2))
    part = {DOS: "network", "energy": "network"}.get(name, "spectrum_heads")
    keys = [key for key in expected if key.startswith(part)]
    assert len(keys) > 4
    for key in keys:
        size = float(expected[key].abs().max())
        torch.testing.assert_close(found[key], expected[key], rtol=0, atol=1e-11 * max(size, 1.0))


def test_a_missing_spectrum_leaves_other_targets_alone():
    """Only the Fermi level cannot be located without it."""
    model = make_varied(make_model()).train()
    rows = target_rows(FRAMES)
    missing = {**rows, DOS: rows[DOS].clone()}
    missing[DOS][2] = torch.nan
    all_there = gradients_of(model, (DOS, BAND_GAP, FERMI_LEVEL), FRAMES, rows)
    one_missing = gradients_of(model, (DOS, BAND_GAP, FERMI_LEVEL), FRAMES, missing)
    fewer = [atoms for i, atoms in enumerate(FRAMES) if i != 2]
    without_it = gradients_of(model, (DOS, BAND_GAP, FERMI_LEVEL), fewer, without(rows, 2))
    for key in all_there:
        expected = all_there[key] if BAND_GAP in key else without_it[key]
        size = float(expected.abs().max())
        torch.testing.assert_close(one_missing[key], expected, rtol=0, atol=1e-11 * max(1.0, size))


@pytest.mark.parametrize("name", [DOS, BAND_GAP, FERMI_LEVEL])
def test_a_target_missing_in_the_whole_batch(name):
    model = make_varied(make_model()).train()
    rows = target_rows(FRAMES)
    rows[name][:] = torch.nan
    loss, errors = loss_and_errors(model, ELECTRONIC, FRAMES, rows)
    assert math.isfinite(float(loss.detach()))
    loss.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    results = errors.finalize()
    assert all(math.isfinite(value) for value in results.values())
    assert not any(key.startswith(name) for key in results)
    present = {DOS, BAND_GAP, FERMI_LEVEL} - {name} - ({FERMI_LEVEL} if name == DOS else set())
    assert all(any(key.startswith(other) for key in results) for other in present)


def test_training_on_batches_without_any_target(tmp_path):
    """Nothing to learn from a batch is no error."""
    rows = target_rows(FRAMES)
    for name in ALL_TARGETS:
        rows[name][:2] = torch.nan
    for names in (ELECTRONIC, ("energy",)):
        model = make_model(names, torch.float32)
        trainer = new_trainer(num_epochs=2, batch_size=1, atomic_baseline={"energy": 0.0} if "energy" in names else {})
        train(trainer, model, make_dataset(names, FRAMES, rows=rows), tmp_path)
        assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_missing_energies_leave_the_baseline_of_the_others(tmp_path):
    rows = target_rows(FRAMES)
    rows["energy"][2] = torch.nan
    model, reference = make_model(("energy",), torch.float32), make_model(("energy",), torch.float32)
    dataset = make_dataset(("energy",), FRAMES, rows=rows)
    train(new_trainer(num_epochs=1), model, dataset, tmp_path)
    known = [frame for index, frame in enumerate(FRAMES) if index != 2]
    train(new_trainer(num_epochs=1), reference, make_dataset(("energy",), known), tmp_path)
    expected = reference.additive_models[0].model.weights["energy"].block().values
    assert torch.isfinite(expected).all()
    torch.testing.assert_close(model.additive_models[0].model.weights["energy"].block().values, expected)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_a_baseline_that_no_structure_can_give(tmp_path):
    rows = target_rows(FRAMES)
    rows["energy"][:] = torch.nan
    model = make_model(("energy",), torch.float32)
    expected = r"target 'energy' has no value \(NaN\) in any training structure.*`atomic_baseline: \{energy: 0.0\}`"
    with pytest.raises(ValueError, match=expected):
        train(new_trainer(num_epochs=1), model, make_dataset(("energy",), FRAMES, rows=rows), tmp_path)


@pytest.mark.parametrize("count", [2, 6])
def test_energies_that_the_baseline_fits_exactly(tmp_path, count, caplog):
    """Two structures of silicon and carbon have as many energies as elements, six of them have more."""
    frames = [bulk(symbol, "diamond", length) for length in (3.6, 4.2, 5.4) for symbol in ("Si", "C")][:count]
    model = make_model(("energy",), torch.float32)
    train(new_trainer(num_epochs=1), model, make_dataset(("energy",), frames), tmp_path)
    assert ("fits 'energy' of all training structures exactly" in caplog.text) == (count == 2)


def test_gaps_from_atoms_are_scaled(tmp_path):
    """As every target with a head of its own; without a baseline, and counted per structure."""
    rows = target_rows(FRAMES)
    rows[BAND_GAP][1] = torch.nan
    model = make_model(ALL_TARGETS, torch.float32, band_gap_from="atoms")
    train(new_trainer(num_epochs=1), model, make_dataset(ALL_TARGETS, FRAMES, rows=rows), tmp_path)
    known = torch.cat([rows[BAND_GAP][:1], rows[BAND_GAP][2:]]).double()
    scale = model.scaler.model.scales[BAND_GAP].block().values.flatten().double()
    torch.testing.assert_close(scale, known.square().mean().sqrt().reshape(1), rtol=1e-6, atol=0)
    assert BAND_GAP not in model.additive_models[0].outputs
    systems = [system.to(torch.float32) for system in to_systems(FRAMES, model)]
    raw = model.train()(systems, request([BAND_GAP]))[BAND_GAP].block().values.detach()
    predicted = model.eval()(systems, request([BAND_GAP]))[BAND_GAP].block().values.detach()
    torch.testing.assert_close(predicted.double(), raw.clamp_min(0.0) * scale, rtol=1e-6, atol=1e-6)
    assert (predicted > 0).any()


def test_no_value_to_select_the_best_model_by(tmp_path):
    rows = target_rows(FRAMES)
    rows[BAND_GAP][:] = torch.nan
    rows[DOS][:] = torch.nan
    rows[FERMI_LEVEL][:] = torch.nan
    with pytest.raises(ValueError, match="the validation set has no value of any target"):
        train(new_trainer(num_epochs=1), make_model(), make_dataset(ELECTRONIC, FRAMES, rows=rows), tmp_path)


@pytest.mark.parametrize("channels", [1, 7, MAX_SHIFT])
def test_the_fermi_level_is_sought_where_the_spectrum_was_found(channels):
    """Target spectra that lie n channels further up on the prediction's own axis move their Fermi level along."""
    model = make_varied(make_model((DOS, FERMI_LEVEL))).train()
    frames = FRAMES[:1]
    with torch.no_grad():
        predicted = model(to_systems(frames, model), request([DOS]))[DOS].block().values
    # the target is the prediction itself, read from `channels` below its own end
    start = MAX_SHIFT - channels
    target = torch.zeros_like(predicted)
    with torch.no_grad():
        spectrum = predicted.clone()
    target[:, MAX_SHIFT:] = spectrum[:, start : start + GRID.size - MAX_SHIFT]
    target[:, -50:] = torch.nan
    with torch.no_grad():
        level = model(to_systems(frames, model), request([FERMI_LEVEL]))[FERMI_LEVEL].block().values
    # a Fermi level that the model hits exactly if the shift is accounted for: it sits `channels` lower
    rows = {DOS: target, FERMI_LEVEL: level + channels * GRID.step}
    _, errors = loss_and_errors(model, (DOS, FERMI_LEVEL), frames, rows)
    results = errors.finalize()
    assert results[f"{FERMI_LEVEL} RMSE"] < 1e-12
    rows[FERMI_LEVEL] = level
    _, errors = loss_and_errors(model, (DOS, FERMI_LEVEL), frames, rows)
    assert errors.finalize()[f"{FERMI_LEVEL} RMSE"] == pytest.approx(channels * GRID.step, abs=1e-12)


def best_alignment(prediction, target, trusted, step):
    """The alignment term by trying every shift."""
    costs = []
    for shift in range(MAX_SHIFT + 1):
        inside = sum((float(prediction[shift + i]) - float(target[i])) ** 2 for i in range(len(target)) if trusted[i])
        below = sum(float(value) ** 2 for value in prediction[:shift])
        costs.append(step * (inside + below))
    return min(costs)


def test_aligned_errors_of_an_epoch():
    """Over batches of different sizes, one without a target: equal to a double loop over shifts and structures."""
    model = make_varied(make_model((DOS,))).train()
    rows = target_rows(FRAMES)
    rows[DOS][3] = torch.nan
    objective = make_objective(model, training_hypers())
    errors = EpochErrors(objective.terms, PROCESS)
    per_electron, per_atom = [], []
    for indices in ([0, 1], [2, 3, 4], [5]):
        frames = [FRAMES[i] for i in indices]
        systems, targets = batch_of(model, (DOS,), frames, {DOS: rows[DOS][indices]})
        predictions = model(systems, request([DOS]))
        errors.add(objective(predictions, targets, systems)[1])
        for row, i in enumerate(indices):
            target = rows[DOS][i, MAX_SHIFT:]
            trusted = ~torch.isnan(target)
            if not trusted.any():
                continue
            alignment = best_alignment(predictions[DOS].block().values[row].detach(), target, trusted, GRID.step)
            per_electron.append(alignment / (GRID.step * float(target[trusted].sum())))
            per_atom.append(alignment / len(FRAMES[i]) ** 2)
    results = errors.finalize()
    assert len(per_electron) == 5
    found = results[f"{DOS} aligned RMSE [eV^-1/2 per electron]"]
    assert found == pytest.approx((sum(per_electron) / 5) ** 0.5, rel=1e-10)
    found = results[f"{DOS} aligned RMSE [states eV^-1/2 per atom]"]
    assert found == pytest.approx((sum(per_atom) / 5) ** 0.5, rel=1e-10)


def test_the_loss_is_per_atom_and_a_mean_over_structures():
    """The self-aligning loss of a batch is the mean of those of its structures."""
    model = make_varied(make_model((DOS,))).train()
    rows = target_rows(FRAMES)
    together = float(loss_and_errors(model, (DOS,), FRAMES, rows)[0].detach())
    alone = [
        float(loss_and_errors(model, (DOS,), [atoms], {DOS: rows[DOS][i : i + 1]})[0].detach())
        for i, atoms in enumerate(FRAMES)
    ]
    assert together == pytest.approx(sum(alone) / len(alone), rel=1e-12)
    doubled = {DOS: {"weight": 2.0}}
    assert float(loss_and_errors(model, (DOS,), FRAMES, rows, loss=doubled)[0].detach()) == pytest.approx(
        2 * together, rel=1e-12
    )


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_the_loss_of_an_epoch_is_a_mean_over_structures(batch_size):
    """Whatever the batches; the last one is smaller."""
    model = make_varied(make_model((DOS, BAND_GAP)))
    hypers = training_hypers(batch_size=batch_size, rotational_augmentation=False)
    dataset, objective = make_dataset((DOS, BAND_GAP), FRAMES[:5]), make_objective(model, hypers)
    targets = model.dataset_info.targets
    loaders = make_loaders(model, targets, [dataset], [dataset], hypers, PROCESS)
    errors = EpochErrors(objective.terms, PROCESS)
    found = run_epoch(model, loaders.validation, targets, objective, errors, torch.float64, None, StopRequest())
    rows = target_rows(FRAMES[:5])
    expected, _ = loss_and_errors(model.train(), (DOS, BAND_GAP), FRAMES[:5], rows)
    assert found["loss"] == pytest.approx(float(expected.detach()), rel=1e-10)


def test_weights_of_the_loss_terms():
    """Loss with one term at a time: linear in both weights."""
    model = make_varied(make_model((DOS,))).train()
    rows = target_rows(FRAMES)

    def loss(gradient, cumulative):
        config = {DOS: {"gradient_weight": gradient, "cumulative_weight": cumulative}}
        return float(loss_and_errors(model, (DOS,), FRAMES, rows, loss=config)[0].detach())

    base, with_gradient, with_cumulative = loss(0.0, 0.0), loss(0.3, 0.0), loss(0.0, 0.2)
    assert with_gradient > base and with_cumulative > base
    assert loss(0.6, 0.6) == pytest.approx(base + 2 * (with_gradient - base) + 3 * (with_cumulative - base), rel=1e-12)


def test_parts_are_clipped_on_their_own():
    """A network that reads the spectrum and has large gradients does not slow the others down."""
    model = make_varied(make_model()).train()
    rows = target_rows(FRAMES)
    rows[BAND_GAP] = 1e3 * rows[BAND_GAP]
    loss, _ = loss_and_errors(model, (DOS, BAND_GAP), FRAMES, rows)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    OptimizerStep(model, optimizer, scheduler, 1e-2, PROCESS)(loss)
    norms = [
        math.sqrt(sum(float(p.grad.square().sum()) for p in part.parameters() if p.grad is not None))
        for part in (model.network, model.spectrum_heads[BAND_GAP])
    ]
    assert norms == pytest.approx([1e-2, 1e-2], rel=1e-3)


# --- schedule, seeds, checkpoints ------------------------------------------------------------------------------


def learning_rates(steps_per_epoch, warmup, halving, num_steps, schedule="step_halving", num_epochs=10):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8)
    hypers = {
        "learning_rate_schedule": schedule,
        "warmup_epochs": warmup,
        "halving_epochs": halving,
        "num_epochs": num_epochs,
    }
    scheduler = make_schedule(optimizer, steps_per_epoch, hypers)
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_learning_rate():
    """Linear over two epochs of four steps, then halved every three epochs."""
    rates = learning_rates(4, 2.0, 3.0, 8 + 3 * 12)
    expected = [0.8 * step / 8 for step in range(8)]
    expected += [0.8] * 12 + [0.4] * 12 + [0.2] * 12
    assert rates == pytest.approx(expected, rel=1e-14)


def test_learning_rate_without_warm_up():
    assert learning_rates(2, 0.0, 1.0, 5) == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2], rel=1e-14)
    assert learning_rates(3, 0.5, 0.0, 4)[0] == 0.0  # half an epoch: two of three steps


def test_learning_rate_along_a_cosine():
    """Linear over one epoch of four steps, then half a period of a cosine over the other five; 0 beyond the end."""
    rates = learning_rates(4, 1.0, 3.0, 26, "cosine", num_epochs=6)
    expected = [0.8 * step / 4 for step in range(4)]
    expected += [0.4 * (1 + math.cos(math.pi * step / 20)) for step in range(20)] + [0.0, 0.0]
    assert rates == pytest.approx(expected, abs=1e-15)


def test_unknown_schedule():
    with pytest.raises(ValueError, match="must be 'step_halving' or 'cosine', got 'linear'"):
        learning_rates(4, 1.0, 3.0, 1, "linear")


def test_seeds_differ_between_epochs():
    numbers = set()
    for seed in range(3):
        for epoch in range(3):
            seed_epoch(seed, epoch)
            numbers.add(float(torch.rand(())))
    assert len(numbers) == 9
    seed_epoch(1, 2)
    first = torch.rand(3)
    seed_epoch(1, 2)
    assert torch.equal(first, torch.rand(3))


def test_a_checkpoint_appears_only_when_complete(monkeypatch, tmp_path):
    model, trainer = make_model((DOS,), torch.float32), new_trainer(num_epochs=1)
    path = tmp_path / "model.ckpt"
    path.write_text("the old file")
    original = torch.save

    def interrupted(checkpoint, target):
        target.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.save_checkpoint(model, path)
    assert path.read_text() == "the old file"
    monkeypatch.setattr(torch, "save", original)
    train(trainer, model, make_dataset((DOS,), FRAMES), tmp_path)
    trainer.save_checkpoint(model, path)
    assert sorted(file.name for file in tmp_path.glob("model.ckpt*")) == ["model.ckpt"]
    restored, _ = load(path)
    assert equal_states(dict(restored.state_dict()), dict(model.state_dict()))


def test_checkpoints_at_intervals(tmp_path):
    trainer = new_trainer(num_epochs=5, checkpoint_interval=2)
    train(trainer, make_model((DOS,), torch.float32), make_dataset((DOS,), FRAMES), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model_1.ckpt", "model_3.ckpt"]


ALIGNED = f"{DOS} aligned RMSE [eV^-1/2 per electron]"


def test_selected_error():
    errors = {
        "loss": 7.0,
        ALIGNED: 2.0,
        f"{DOS} aligned RMSE [states eV^-1/2 per atom]": 100.0,
        "mtt::bandgap RMSE": 3.0,
        "energy RMSE (per atom)": 5.0,
        "energy_positions_gradients RMSE": 0.5,
        "mtt::bandgap MAE": 50.0,
    }
    assert selected_error(errors, "rmse_prod") == 2.0 * 3.0 * 5.0 * 0.5
    assert selected_error(errors, "loss") == 7.0
    errors[f"{DOS}_center RMSE (per atom)"] = 4.0
    assert selected_error(errors, "rmse_prod") == 2.0 * 3.0 * 5.0 * 0.5 * 4.0
    perfect = {"gap RMSE": 0.0, "energy RMSE": 2.0}
    better = {"gap RMSE": 0.0, "energy RMSE": 1.0}
    assert selected_error(better, "rmse_prod") < selected_error(perfect, "rmse_prod")


def test_the_best_model_has_the_lowest_aligned_error(monkeypatch, tmp_path):
    """A lower loss or pointwise error does not count."""
    scripted = [(5.0, 0.9), (4.0, 0.3), (1.0, 0.8), (2.0, 0.4)]
    states = []

    def run(trainer, run):
        model = run.model
        with torch.no_grad():
            model.network.heads[DOS].last.bias.fill_(float(len(states)))
        states.append(copy.deepcopy(model.state_dict()))
        loss, aligned = scripted[len(states) - 1]
        errors = {"loss": loss, ALIGNED: aligned, f"{DOS} aligned RMSE [states eV^-1/2 per atom]": 1 / aligned}
        return [errors, errors]

    monkeypatch.setattr(Trainer, "_run_both_sets", run)
    model, trainer = make_model((DOS,), torch.float32), new_trainer(num_epochs=4)
    train(trainer, model, make_dataset((DOS,), FRAMES), tmp_path)
    assert trainer.best_epoch == 1 and trainer.best_metric == 0.3
    assert equal_states(dict(trainer.best_model_state_dict), dict(states[1]))
    trainer.save_checkpoint(model, tmp_path / "model.ckpt")
    latest, _ = load(tmp_path / "model.ckpt", "restart")
    best = model_from_checkpoint(torch.load(tmp_path / "model.ckpt", weights_only=False), "export")
    assert float(latest.network.heads[DOS].last.bias[0].detach()) == 3.0
    assert float(best.network.heads[DOS].last.bias[0].detach()) == 1.0


def test_validation_loss_changes_nothing(tmp_path):
    """No optimizer step, no dropped structure: the same errors twice."""
    model = make_varied(make_model((DOS,)))
    objective = make_objective(model, training_hypers())
    state = copy.deepcopy(model.state_dict())
    targets, dataset = model.dataset_info.targets, make_dataset((DOS,), FRAMES)
    batches = make_loaders(model, targets, [dataset], [dataset], training_hypers(), PROCESS).validation
    results = []
    for _ in range(2):
        errors = EpochErrors(objective.terms, PROCESS)
        results.append(run_epoch(model, batches, targets, objective, errors, torch.float64, None, StopRequest()))
    assert results[0] == results[1]
    assert results[0]["loss"] > 0
    assert equal_states(state, dict(model.state_dict()))


# --- new targets -----------------------------------------------------------------------------------------------


def trained_checkpoint(folder, names):
    model, trainer = make_model(names, torch.float32), new_trainer(num_epochs=1)
    train(trainer, model, make_dataset(names, FRAMES), folder)
    trainer.save_checkpoint(model, folder / "first.ckpt")
    return folder / "first.ckpt"


@pytest.mark.parametrize("context", ["restart", "finetune"])
def test_new_targets_get_new_heads(tmp_path, context):
    """A model for energies learns the density of states, too, and its checkpoint can be exported."""
    path = trained_checkpoint(tmp_path, ("energy",))
    model, trainer = load(path, context, num_epochs=3)
    model.restart(dataset_info(ALL_TARGETS), model_hypers())
    assert set(ALL_TARGETS) <= set(model.outputs)
    trunk = copy.deepcopy(model.network.layers.state_dict())
    if context == "finetune":  # `mtt` makes a new trainer
        trainer = new_trainer(num_epochs=2)
    train(trainer, model, make_dataset(ALL_TARGETS, FRAMES), tmp_path)
    assert not equal_states(dict(trunk), dict(model.network.layers.state_dict()))
    trainer.save_checkpoint(model, tmp_path / "second.ckpt")
    checkpoint = torch.load(tmp_path / "second.ckpt", weights_only=False)
    exported = model_from_checkpoint(checkpoint, "export").eval()
    results = exported(to_systems(FRAMES, exported, torch.float32), request(ALL_TARGETS))
    assert sorted(results) == sorted(ALL_TARGETS)


def test_old_targets_keep_their_predictions(tmp_path):
    path = trained_checkpoint(tmp_path, ("energy",))
    before, _ = load(path)
    after, _ = load(path)
    after.restart(dataset_info(ALL_TARGETS), model_hypers())
    energies = [
        model.eval()(to_systems(FRAMES, model, torch.float32), request(["energy"]))["energy"].block().values
        for model in (before, after)
    ]
    assert torch.equal(*energies)


def test_restart_with_fewer_targets(tmp_path):
    """The others stay in the model."""
    path = trained_checkpoint(tmp_path, ELECTRONIC)
    model, trainer = load(path, num_epochs=2)
    model.restart(dataset_info((DOS,)), model_hypers())
    train(trainer, model, make_dataset((DOS,), FRAMES), tmp_path)
    assert set(ELECTRONIC) <= set(model.outputs)


def test_other_targets_beside_a_density_of_states(tmp_path):
    """A vector of several values per structure has a baseline and scales, the density of states has none."""
    infos = {**target_infos((DOS,)), "mtt::charges": scalar_info("mtt::charges", 3, "e")}
    torch.manual_seed(0)
    model = PETMAD(model_hypers(), DatasetInfo("angstrom", ELEMENTS, infos))
    assert list(model.additive_models[0].outputs) == ["mtt::charges"]
    assert list(model.scaler.outputs) == ["mtt::charges"]
    train(new_trainer(num_epochs=1), model, _with_charges(), tmp_path)
    predicted = model.eval()(to_systems(FRAMES, model, torch.float32), request(infos))
    assert tuple(predicted["mtt::charges"].block().values.shape) == (len(FRAMES), 3)


def _with_charges():
    """Three values per structure, most of them given by the composition."""
    dataset = make_dataset((DOS,), FRAMES)
    info = scalar_info("mtt::charges", 3, "e")
    rows = torch.tensor([[a.numbers.sum(), len(a), 0.1 * i] for i, a in enumerate(FRAMES)], dtype=torch.float64)
    maps = []
    for i in range(len(FRAMES)):
        samples = Labels(["system"], torch.tensor([[i]], dtype=torch.int32))
        block = TensorBlock(rows[i : i + 1], samples, [], info.layout.block().properties)
        maps.append(TensorMap(info.layout.keys, [block]))
    rows = [dataset[i] for i in range(len(FRAMES))]
    return Dataset.from_dict(
        {"system": [row["system"] for row in rows], DOS: [row[DOS] for row in rows], "mtt::charges": maps}
    )


def test_restart_takes_the_learning_rate_of_the_options(tmp_path):
    model, dataset = make_model((DOS,), torch.float32), make_dataset((DOS,), FRAMES)
    trainer = new_trainer(num_epochs=2, learning_rate=1e-3, warmup_epochs=0)
    train(trainer, model, dataset, tmp_path)
    trainer.save_checkpoint(model, tmp_path / "two.ckpt")
    checkpoint = torch.load(tmp_path / "two.ckpt", weights_only=False)
    hypers = training_hypers(num_epochs=3, learning_rate=5e-4, warmup_epochs=0)
    again = Trainer.load_checkpoint(checkpoint, hypers, "restart")
    train(again, PETMAD.load_checkpoint(checkpoint, "restart"), dataset, tmp_path)
    assert again.optimizer_state_dict["param_groups"][0]["lr"] == 5e-4
    assert again.optimizer_state_dict["param_groups"][0]["initial_lr"] == 5e-4


def test_a_loss_that_is_not_finite_leaves_weights_and_best_model(tmp_path, monkeypatch):
    model, dataset = make_model((DOS,), torch.float32), make_dataset((DOS,), FRAMES)
    trainer = new_trainer(num_epochs=5)
    calls = 0

    def fail_later(*arguments, **options):
        nonlocal calls
        calls += 1
        terms = spectral_loss_terms(*arguments, **options)
        return terms if calls < 8 else terms._replace(alignment=terms.alignment * torch.nan)

    monkeypatch.setattr("electrain.training.losses.spectral_loss_terms", fail_later)
    with pytest.raises(FloatingPointError):
        train(trainer, model, dataset, tmp_path)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    checkpoint = torch.load(tmp_path / "model_before_failure.ckpt", weights_only=False)
    assert checkpoint["best_epoch"] == 0
