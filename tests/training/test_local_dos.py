"""Local densities of states: a spectrum of each atom, whose sum is that of the structure."""

import logging

import pytest
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import systems_to_torch
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import Dataset, DatasetInfo
from short_trainings import CPU
from tiny_models import ELEMENTS, request, scalar_info, to_systems, training_structures

from electrain.interface.fixed_axes import fixed_axis_to_labels
from electrain.interface.quantities import LOCAL_DOS
from electrain.spectra.fixed_axis import FixedAxis
from electrain.training.channelwise import KINDS, ChannelwiseLoss
from electrain.training.losses import default_losses
from electrain.training.processes import Process

AXIS = FixedAxis(-10.0, 0.5, 41, "eV")
FRAMES = training_structures()
SYSTEMS = systems_to_torch(FRAMES, dtype=torch.float64)


def local_dos(atoms, shifted=True):
    """A peak for each atom, at an energy of its element, in states/eV; moved by its nearest neighbor if asked for."""
    nearest = torch.tensor(atoms.get_all_distances() + 10.0 * torch.eye(len(atoms)).numpy()).min(dim=1).values
    centres = 1.0 - 0.8 * torch.tensor(atoms.numbers) + (2.0 * (nearest - 1.1) if shifted else 0.0)
    return torch.exp(-0.5 * (AXIS.values() - centres.unsqueeze(1)) ** 2)


def to_map(rows, index):
    atoms = torch.arange(len(rows), dtype=torch.int32)
    samples = Labels(["system", "atom"], torch.stack([torch.full_like(atoms, index), atoms], dim=1))
    return TensorMap(Labels.single(), [TensorBlock(rows, samples, [], fixed_axis_to_labels(AXIS))])


def dataset(spectra):
    return Dataset.from_dict({"system": SYSTEMS, LOCAL_DOS: [to_map(rows, i) for i, rows in enumerate(spectra)]})


def make_model(**options):
    torch.manual_seed(0)
    hypers = get_default_hypers("dos_baseline")["model"]
    hypers.update({"cutoff": 3.0, "width": 8, "num_message_passing_layers": 1, "num_gaussians": 10, **options})
    hypers["fixed_axes"] = {LOCAL_DOS: AXIS.to_dict()}
    info = DatasetInfo("angstrom", ELEMENTS, {LOCAL_DOS: scalar_info(LOCAL_DOS, AXIS.size, "", "atom")})
    return import_architecture("dos_baseline").__model__(hypers, info).to(torch.float64)


def train(model, folder, spectra, num_epochs=20):
    hypers = get_default_hypers("dos_baseline")["training"]
    hypers.update({"batch_size": 3, "num_workers": 0, "warmup_epochs": 0.0, "learning_rate": 1e-2})
    trainer = import_architecture("dos_baseline").__trainer__({**hypers, "num_epochs": num_epochs})
    data = dataset(spectra)
    trainer.train(model.train(), torch.float64, [CPU], [data], [data], str(folder))
    return trainer


def predict(model, kind):
    values = model.eval()(to_systems(FRAMES, model), request([LOCAL_DOS], kind))[LOCAL_DOS].block().values
    return values.detach()


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_a_mean_over_atoms(kind):
    """Of those that have a spectrum, in whatever structures they are."""
    target = torch.cat([local_dos(atoms) for atoms in FRAMES])
    torch.manual_seed(0)
    prediction = target + 0.01 * torch.randn_like(target)
    target[1] = torch.nan
    term = ChannelwiseLoss.from_options(LOCAL_DOS, AXIS, {"type": kind}, False)
    found = term({LOCAL_DOS: to_map(prediction, 0)}, {LOCAL_DOS: to_map(target, 0)}, SYSTEMS)
    rows = [row for row in range(len(target)) if row != 1]
    alone = [term({LOCAL_DOS: to_map(prediction[[r]], 0)}, {LOCAL_DOS: to_map(target[[r]], 0)}, SYSTEMS) for r in rows]
    torch.testing.assert_close(found.means, torch.stack([one.means for one in alone]).mean(dim=0))
    assert found.counts.tolist() == [len(rows)]
    if kind == "mse":
        torch.testing.assert_close(found.means[0], (prediction - target)[rows].square().mean())
    errors = term.new_errors(Process(CPU))
    errors.add(*found.errors)
    assert f"{LOCAL_DOS} RMSE [states/eV]" in errors.finalize()


def test_it_is_the_default_loss():
    (term,) = default_losses({LOCAL_DOS: scalar_info(LOCAL_DOS, 41, "", "atom")}, {}, {LOCAL_DOS: AXIS}, [], None)
    assert isinstance(term, ChannelwiseLoss) and not term.per_atom


def test_training(tmp_path):
    """Atoms of an element learn to differ, and the total is their sum."""
    spectra = [local_dos(atoms) for atoms in FRAMES]
    model, expected = make_model(), torch.cat(spectra)
    before = (predict(model, "atom") - expected).square().mean()
    trainer = train(model, tmp_path, spectra)
    assert trainer.best_epoch > 5
    found = predict(model, "atom")
    assert (found - expected).square().mean() < 0.5 * before
    sums = torch.stack([part.sum(dim=0) for part in found.split([len(atoms) for atoms in FRAMES])])
    torch.testing.assert_close(predict(model, "system"), sums)


def test_spectra_of_elements(tmp_path, caplog):
    """Where each element has a single spectrum, networks that begin with spectra of elements know it at once."""
    spectra = [local_dos(atoms, shifted=False) for atoms in FRAMES]
    model = make_model(network="two_layer", energy_embeddings=False)
    with caplog.at_level(logging.INFO):
        train(model, tmp_path, spectra, num_epochs=1)
    num_atoms = sum(map(len, FRAMES))
    assert f"Fitting a spectrum of each element to {num_atoms} atoms" in caplog.text
    assert (predict(model, "atom") - torch.cat(spectra)).abs().max() < 0.1


def test_samples_are_atoms():
    """A local density of states of a whole structure is refused."""
    info = DatasetInfo("angstrom", ELEMENTS, {LOCAL_DOS: scalar_info(LOCAL_DOS, AXIS.size, "", "system")})
    hypers = {**get_default_hypers("dos_baseline")["model"], "fixed_axes": {LOCAL_DOS: AXIS.to_dict()}}
    with pytest.raises(ValueError, match="target 'mtt::local_dos' must be a list of scalars per atom"):
        import_architecture("dos_baseline").__model__(hypers, info)
