"""What helps with few data: the start of a network, the loss per electron, gaps of metals, decaying weights."""

import copy

import numpy as np
import pytest
import torch
from ase import Atoms
from metatensor.torch import Labels
from short_trainings import FRAMES, training_hypers
from tiny_models import (
    ALL_TARGETS,
    ELEMENTS,
    GRID,
    MAX_SHIFT,
    make_dataset,
    make_model,
    make_objective,
    request,
    system_map,
    target_rows,
    to_systems,
)

from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES
from electrain.spectra.element_spectra import at_middle_shift, element_spectra
from electrain.spectra.losses import spectral_loss_terms
from electrain.training.schedule import make_optimizer
from electrain.training.starting import start_network

DOS = DENSITY_OF_STATES
FEW_DATA = {"spectrum_head": "shifted_parts", "radial_descriptors": 3.0, "element_properties": True}


@pytest.fixture(scope="module")
def started():
    """A network that has seen the training set, with a structure without atoms, but not learned from it."""
    frames = [*FRAMES, Atoms()]
    rows = {DOS: torch.cat([target_rows(FRAMES)[DOS], torch.zeros(1, GRID.size, dtype=torch.float64)])}
    model = make_model((DOS,), **FEW_DATA)
    start_network(model, [make_dataset((DOS,), frames, rows=rows)], [DOS], with_descriptors=True)
    return model.eval()


def test_descriptors_are_standardised(started):
    systems = to_systems(FRAMES, started)
    rows = torch.cat([started.network.descriptors(started.read([system])) for system in systems])
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros_like(rows[0]), rtol=0, atol=1e-9)
    varying = rows.std(dim=0, unbiased=False) > 0.9
    assert varying.sum() > 20  # the others hardly vary, and are not blown up


def test_predictions_begin_with_spectra_of_the_elements(started):
    counts = torch.tensor([[int((atoms.numbers == number).sum()) for number in ELEMENTS] for atoms in FRAMES])
    values, trusted = started.axis.window(target_rows(FRAMES)[DOS])
    expected = counts.double() @ at_middle_shift(element_spectra(counts, values, trusted), started.axis)
    found = started(to_systems(FRAMES, started), request([DOS]))[DOS].block().values.detach()
    # the same states, a little broader, and a floor that keeps gradients of the square root finite
    torch.testing.assert_close(found.sum(dim=1), expected.sum(dim=1), rtol=0.01, atol=0.0)
    assert (found - expected).norm() < 0.15 * expected.norm()


def test_models_of_before_keep_their_spectra(started):
    """What is squared had no floor before version 7: it could be negative."""
    model = copy.deepcopy(started)
    head = model.network.head(DOS).last
    with torch.no_grad():
        head.elements.sub_(1.0)
    expected = model(to_systems(FRAMES, model), request([DOS]))[DOS].block().values
    head.floor.fill_(-torch.inf)
    before = model(to_systems(FRAMES, model), request([DOS]))[DOS].block().values
    assert (before - expected).norm() > 0.1 * expected.norm()
    checkpoint = model.get_checkpoint()
    checkpoint["model_ckpt_version"] = 6
    for key in ("model_state_dict", "best_model_state_dict"):
        checkpoint[key] = {name: value for name, value in checkpoint[key].items() if not name.endswith(".floor")}
    upgraded = type(model).load_checkpoint(type(model).upgrade_checkpoint(checkpoint), "export")
    found = upgraded.eval()(to_systems(FRAMES, upgraded), request([DOS]))[DOS].block().values
    torch.testing.assert_close(found, before.to(found))


def test_nothing_known_is_started_again(started):
    before = {name: value.clone() for name, value in started.state_dict().items()}
    start_network(started, [make_dataset((DOS,), FRAMES[:2])], [], with_descriptors=False)
    after = started.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_elements_of_other_calculations_begin_again(started):
    """With other valence electrons, those that are in the data; all others stay."""
    model = copy.deepcopy(started)
    chosen = [atoms for atoms in FRAMES if set(atoms.numbers) == set(FRAMES[0].numbers)]
    present = torch.tensor([number in FRAMES[0].numbers for number in ELEMENTS])
    assert present.any() and not present.all()
    before = model.network.head(DOS).last.elements.detach().clone()
    rows = {DOS: 2.0 * target_rows(chosen)[DOS]}
    start_network(model, [make_dataset((DOS,), chosen, rows=rows)], [], with_descriptors=False, again=True)
    after = model.network.head(DOS).last.elements.detach()
    assert torch.equal(after[~present], before[~present])
    found = model(to_systems(chosen, model), request([DOS]))[DOS].block().values.sum(dim=1).detach()
    values, trusted = model.axis.window(rows[DOS])
    counts = torch.tensor([[int((atoms.numbers == number).sum()) for number in ELEMENTS] for atoms in chosen])
    expected = counts.double() @ at_middle_shift(element_spectra(counts, values, trusted), model.axis)
    torch.testing.assert_close(found, expected.sum(dim=1), rtol=0.02, atol=0.0)


@pytest.mark.parametrize("per", ["atom", "electron"])
def test_loss_per_atom_or_electron(per):
    model = make_model((DOS,))
    loss = {DOS: {"type": "mse", "weight": 1.0, "reduction": "mean", "gradients": {}, "per": per}}
    rows = target_rows(FRAMES)[DOS]
    predicted = rows.nan_to_num() * 1.1 + 0.01
    systems = to_systems(FRAMES, model)
    labels = grid_to_labels(GRID)
    found, _ = make_objective(model, training_hypers(loss=loss))(
        {DOS: system_map(predicted, labels)}, {DOS: system_map(rows, labels)}, systems
    )
    expected = []
    for prediction, row, atoms in zip(predicted, rows, FRAMES, strict=True):
        target, trusted = row[MAX_SHIFT:], ~row[MAX_SHIFT:].isnan()
        terms = spectral_loss_terms(prediction[None], target[None], trusted[None], GRID.step)
        total = terms.alignment + 1e-4 * terms.gradient + 2e-4 * terms.cumulative
        size = len(atoms) if per == "atom" else GRID.step * float(target[trusted].sum())
        expected.append(float(total) / size)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-10)


def test_metals_predicted_as_metals_have_no_error():
    model = make_model((DOS, BAND_GAP), band_gap_from="atoms")
    labels = Labels.range("bandgap", 1)
    gaps = torch.tensor([[0.0], [0.0], [2.0], [torch.nan]], dtype=torch.float64)
    predicted = torch.tensor([[-5.0], [0.5], [-1.0], [-3.0]], dtype=torch.float64, requires_grad=True)
    mse = {"type": "mse", "weight": 1.0, "reduction": "mean", "gradients": {}}
    objective = make_objective(model, training_hypers(loss={DOS: mse, BAND_GAP: mse}))
    systems = to_systems(FRAMES[:4], model)
    loss, _ = objective({BAND_GAP: system_map(predicted, labels)}, {BAND_GAP: system_map(gaps, labels)}, systems)
    assert float(loss.detach()) == pytest.approx((0.0 + 0.5**2 + 3.0**2) / 3)
    loss.backward()
    torch.testing.assert_close(predicted.grad.flatten(), torch.tensor([0.0, 1.0, -6.0, 0.0]).double() / 3)


def test_weights_decay_but_not_what_is_known():
    model = make_model(ALL_TARGETS, **FEW_DATA)
    assert len(make_optimizer(model, training_hypers()).param_groups) == 1
    decaying, kept = make_optimizer(model, training_hypers(weight_decay=0.01)).param_groups
    assert (decaying["weight_decay"], kept["weight_decay"]) == (0.01, 0.0)
    kept_names = {name for name, p in model.named_parameters() if any(p is other for other in kept["params"])}
    assert f"network.heads.{DOS}.last.elements" in kept_names
    assert f"network.heads.{DOS}.last.linear.weight" not in kept_names
    assert len(decaying["params"]) + len(kept["params"]) == len(list(model.parameters()))
