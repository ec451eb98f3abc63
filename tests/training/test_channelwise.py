"""Losses and errors of spectra on a fixed axis."""

import copy

import pytest
import torch
from metatomic.torch import systems_to_torch
from phonons import AXIS, FIXED_AXES, PHONON_TARGETS, phonon_dataset, phonon_info, phonon_rows
from short_trainings import CPU, new_trainer, train
from tiny_models import model_hypers, system_map, training_structures

from electrain.architectures.pet_mad.model import PETMAD
from electrain.interface.fixed_axes import fixed_axis_to_labels
from electrain.interface.quantities import PHONON_DOS, PHONON_DOS_NORMALIZED
from electrain.spectra.units import conversion_factor
from electrain.training.channelwise import KINDS, ChannelwiseLoss
from electrain.training.errors import EpochErrors, selected_error
from electrain.training.losses import default_losses
from electrain.training.processes import Process
from electrain.training.progress import target_errors

FRAMES = training_structures()
SYSTEMS = systems_to_torch(FRAMES, dtype=torch.float64)
SIZES = torch.tensor([[len(atoms)] for atoms in FRAMES])
ALONE = Process(CPU)


def maps(name, rows, axis=AXIS):
    return {name: system_map(rows, fixed_axis_to_labels(axis))}


def spectra(name=PHONON_DOS):
    """Predictions and targets: one structure has none, another one only some channels."""
    target = phonon_rows(FRAMES)[name]
    torch.manual_seed(0)
    prediction = (target + 0.01 * torch.randn_like(target)).requires_grad_()
    target[1] = torch.nan
    target[2, 30:] = torch.nan
    return prediction, target


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PHONON_TARGETS)
def test_loss_is_a_mean_over_structures(kind, name):
    """A batch is the mean of its structures that have a spectrum, each by hand."""
    prediction, target = spectra(name)
    term = ChannelwiseLoss(name, AXIS, kind=kind, weight=0.5, per_atom=name == PHONON_DOS)
    found = term(maps(name, prediction), maps(name, target), SYSTEMS)
    to_thz = conversion_factor("cm^-1", "THz")
    by_hand = []
    for row in (0, 2, 3, 4, 5):
        y, t = prediction.detach()[row], target[row]
        if name == PHONON_DOS:
            y, t = (values / len(FRAMES[row]) / to_thz for values in (y, t))
        y, t = y[~t.isnan()], t[~t.isnan()]
        by_hand.append(
            {
                "mse": (y - t).square().mean(),
                "rmse": (y - t).square().mean().sqrt(),
                "mae": (y - t).abs().mean(),
                "wasserstein": 20.0 * to_thz * (y.cumsum(0) - t.cumsum(0)).abs().sum() / t.sum(),
            }[kind]
        )
    torch.testing.assert_close(found.means, 0.5 * torch.stack(by_hand).mean().unsqueeze(0))
    assert found.counts.tolist() == [5]
    (gradient,) = torch.autograd.grad(found.means.sum(), prediction)
    assert gradient.isfinite().all() and (gradient[1] == 0).all() and (gradient[2, 30:] == 0).all()
    assert gradient[0].abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_unit_of_the_axis_does_not_matter(kind):
    prediction, target = (rows.detach() for rows in spectra())
    found = []
    for unit in ("cm^-1", "meV", "THz"):
        axis = AXIS.in_unit(unit)
        factor = conversion_factor("cm^-1", unit)
        term = ChannelwiseLoss(PHONON_DOS, axis, kind=kind)
        found.append(
            float(term(maps(PHONON_DOS, prediction / factor), maps(PHONON_DOS, target / factor), SYSTEMS).means)
        )
    assert found == pytest.approx([found[0]] * 3, rel=1e-10)


def test_errors_are_means_of_those_of_structures():
    """The published protocol: an error of each structure, then their mean, whatever the batches."""
    prediction, target = spectra()
    term = ChannelwiseLoss(PHONON_DOS, AXIS, per_atom=True)
    errors = EpochErrors([term], ALONE)
    for rows in ([0, 1, 2, 3], [4], [5]):
        found = term(maps(PHONON_DOS, prediction[rows]), maps(PHONON_DOS, target[rows]), [SYSTEMS[i] for i in rows])
        errors.add([found])
    values = errors.finalize()
    y, t = (prediction.detach() / SIZES, target / SIZES)
    known = [0, 2, 3, 4, 5]
    rmse = torch.stack([(y[i] - t[i])[~t[i].isnan()].square().mean().sqrt() for i in known]).mean()
    mae = torch.stack([(y[i] - t[i])[~t[i].isnan()].abs().mean() for i in known]).mean()
    assert values["mtt::phonon_dos RMSE [states/cm^-1/atom]"] == pytest.approx(float(rmse), rel=1e-10)
    assert values["mtt::phonon_dos MAE [states/cm^-1/atom]"] == pytest.approx(float(mae), rel=1e-10)
    assert set(values) == {
        "loss",
        "mtt::phonon_dos RMSE [states/cm^-1/atom]",
        "mtt::phonon_dos MAE [states/cm^-1/atom]",
        "mtt::phonon_dos WD [cm^-1]",
        "R^2 of mtt::phonon_dos",
    }
    assert selected_error(values, "rmse_prod") == pytest.approx(float(rmse), rel=1e-10)


def test_errors_for_readers():
    info = phonon_info()
    errors = {
        "mtt::phonon_dos MAE [states/THz/atom]": 0.0123,
        "mtt::phonon_dos_normalized MAE": 0.0786,
        "mtt::phonon_dos WD [THz]": 0.2,
        "R^2 of mtt::phonon_dos": -3.0,
    }
    assert target_errors(errors, info) == [
        ("phonon DOS", 0.0123, "states/THz/atom"),
        ("normalised phonon DOS", 0.0786, ""),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_trainings(kind, tmp_path):
    """Each loss is learned, and the log has all errors, R^2 below zero included."""
    torch.manual_seed(0)
    hypers = model_hypers(fixed_axes=copy.deepcopy(FIXED_AXES), energy_grid=None)
    model = PETMAD(hypers, phonon_info((PHONON_DOS_NORMALIZED,)))
    loss = {PHONON_DOS_NORMALIZED: {"type": kind, "weight": 1.0, "reduction": "mean", "gradients": {}}}
    trainer = new_trainer(loss=loss, num_epochs=6, learning_rate=1e-2)
    train(trainer, model, phonon_dataset(FRAMES, (PHONON_DOS_NORMALIZED,)), tmp_path)
    assert trainer.best_epoch > 2 and trainer.best_metric < 0.4


def test_options_that_it_does_not_have():
    infos = phonon_info((PHONON_DOS,)).targets
    axes = {PHONON_DOS: AXIS}

    def check(options):
        default_losses(infos, {PHONON_DOS: options} if isinstance(options, dict) else options, axes, [], None)

    check({"type": "rmse", "weight": 2.0, "reduction": "mean", "gradients": {}})
    check("mae")
    with pytest.raises(ValueError, match=r"a spectrum on a fixed axis, must be one of 'rmse', .*, got 'huber'"):
        check("huber")
    with pytest.raises(ValueError, match="got 'self_aligning'"):
        check({"type": "self_aligning"})
    with pytest.raises(ValueError, match="is a mean over structures, got reduction 'sum'"):
        check({"type": "mse", "reduction": "sum"})
    with pytest.raises(ValueError, match=r"unknown option\(s\) \['gradient_weight'\] in the loss of 'mtt::phonon_dos'"):
        check({"gradient_weight": 1.0})


def test_per_structure_or_per_atom():
    infos = phonon_info(PHONON_TARGETS).targets
    terms = default_losses(infos, {}, dict.fromkeys(PHONON_TARGETS, AXIS), [PHONON_DOS_NORMALIZED], None)
    assert [term.per_atom for term in terms] == [True, False]
    terms = default_losses(infos, {}, dict.fromkeys(PHONON_TARGETS, AXIS), list(PHONON_TARGETS), None)
    assert [term.per_atom for term in terms] == [False, False]
