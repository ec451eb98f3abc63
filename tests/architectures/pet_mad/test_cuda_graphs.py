"""Training steps that replay recordings give what steps without give; here the recordings are those of Python.

What a GPU does with a recording is in ``tests/use/test_on_gpu.py``.
"""

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from metatomic.torch import ModelOutput
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.evaluate_model import evaluate_model
from tiny_models import (
    ALL_TARGETS,
    ELEMENTS,
    make_dataset,
    make_model,
    make_varied,
    model_hypers,
    request,
    scalar_info,
    structures,
    target_infos,
    to_systems,
    training_structures,
)
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from electrain.architectures.pet_mad import cuda_graphs
from electrain.architectures.pet_mad.cuda_graphs import GraphedModel, Predictions
from electrain.architectures.pet_mad.model import PETMAD
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.interface.quantities import DENSITY_OF_STATES


def replay(module, tensors):
    """What a CUDA graph does: reads the tensors that it was recorded with, wherever they are by then."""

    def run(*given):
        assert all(tensor is known for tensor, known in zip(given, tensors, strict=True))
        return module(*tensors)

    return run


def batches():
    """Of several sizes, the sizes of some nearly those of others."""
    small = training_structures(12)
    crystals = [bulk("Si") * (2, 1, 1), bulk("C", cubic=True), bulk("SiC", "zincblende", a=4.4) * (2, 2, 1)]
    for seed, atoms in enumerate(crystals):
        atoms.rattle(0.05, seed=seed)
    everything = list(structures().values())
    alone = [Atoms("O", positions=[[0.0, 0.0, 0.0]]), Atoms("Si", positions=[[1.0, 0.0, 0.0]])]  # no edges
    return [alone, small[:4], small[4:8], [*small[8:], *crystals], everything, small[3:6], [*crystals, *small[:4]]]


def gradients(model, loss):
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.autograd.grad(loss, parameters, allow_unused=True)


def assert_same_step(model, graphed, systems, outputs):
    """Equal predictions, and gradients of a loss that weighs all of them differently."""
    results = []
    for called in (model, graphed):
        predictions = called(systems, outputs)
        loss = torch.zeros((), dtype=torch.float64)
        for name in outputs:
            values = predictions[name].block().values
            weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(0), dtype=values.dtype)
            loss = loss + (weights * values).sum() + (values**2).mean()
        results.append((predictions, gradients(model, loss)))
    for name in outputs:
        expected, found = (predictions[name].block() for predictions, _ in results)
        assert found.samples == expected.samples and found.properties == expected.properties
        torch.testing.assert_close(found.values, expected.values, rtol=1e-10, atol=1e-10)
    for expected, found in zip(*(gradient for _, gradient in results), strict=True):
        # a recording has gradients of all that any output needs
        if expected is None:
            assert found is None or not found.any()
        else:
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"featurizer": "feedforward", "node_width": 16},
        {"transformer_type": "PreLN", "normalization": "RMSNorm", "activation": "SwiGLU", "node_width": 16},
        {"num_neighbors_adaptive": 6.0},
        {"system_conditioning": True},
        {"band_gap_from": "atoms"},
    ],
    ids=lambda options: ", ".join(f"{name}={value}" for name, value in options.items()) or "default",
)
def test_the_same_step(options):
    model = make_varied(make_model(**options))
    graphed = GraphedModel(model, replay)
    for frames in batches():
        assert_same_step(model, graphed, to_systems(frames, model), request(ALL_TARGETS))
    assert 1 < len(graphed.recordings) < len(batches())


def test_values_of_atoms_and_other_requests():
    """Each set of outputs has a recording of its own, in whatever order it is asked for."""
    infos = {**target_infos(("energy", DENSITY_OF_STATES)), "mtt::charge": scalar_info("mtt::charge", 1, "e", "atom")}
    torch.manual_seed(0)
    model = make_varied(PETMAD(model_hypers(), DatasetInfo("angstrom", ELEMENTS, infos)).double())
    graphed = GraphedModel(model, replay)
    requests = [
        {"mtt::charge": ModelOutput(sample_kind="atom"), "energy": ModelOutput(sample_kind="system")},
        {"energy": ModelOutput(sample_kind="system"), "mtt::charge": ModelOutput(sample_kind="atom")},
        {"energy": ModelOutput(sample_kind="atom")},
    ]
    for outputs in requests:
        assert_same_step(model, graphed, to_systems(batches()[4], model), outputs)
    assert len(graphed.recordings) == 2


def test_when_there_are_enough_recordings(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MAX_RECORDINGS", 1)
    model = make_varied(make_model())
    graphed = GraphedModel(model, replay)
    for frames in batches():
        assert_same_step(model, graphed, to_systems(frames, model), request(ALL_TARGETS))
    assert len(graphed.recordings) == 1


def test_what_is_not_recorded():
    """Validation, gradients with respect to positions, and selected atoms."""
    model = make_varied(make_model())
    graphed = GraphedModel(model, replay)
    systems = to_systems(batches()[1], model)
    outputs = request(("energy",))
    with torch.no_grad():
        energies = [called(systems, outputs)["energy"].block().values for called in (graphed, model)]
    assert torch.equal(*energies)
    with_forces = target_infos(("energy",), forces=True)
    forces = [
        evaluate_model(called, systems, with_forces, is_training=True)["energy"].block().gradient("positions").values
        for called in (graphed, model)
    ]
    torch.testing.assert_close(*forces)
    assert graphed.recordings == []


def test_a_recording_asks_nothing():
    """While a CUDA graph is recorded, the host must not ask for numbers: tensors without numbers show it if it does."""
    model = make_model(system_conditioning=True)
    recorded = []

    def record(module, tensors):
        recorded.append((module, tensors))
        return replay(module, tensors)

    systems = to_systems(batches()[4], model)
    GraphedModel(model, record)(systems, request(ALL_TARGETS))
    ((module, tensors),) = recorded
    assert isinstance(module, Predictions)
    with FakeTensorMode(allow_non_fake_inputs=True):
        fake = [torch.empty_like(tensor) for tensor in tensors]
        predictions = module(*fake)
        assert [values.shape[1] for values in predictions] == [1, *(len(model.axis.grid.energies()),), 1, 1]
        sum(values.sum() for values in predictions).backward()
        with pytest.raises(DataDependentOutputException):
            model.network(model.read(systems)._replace(positions=torch.empty(sum(map(len, systems)), 3).double()))


def test_the_same_training(tmp_path, monkeypatch):
    """Two epochs with the trainer."""
    recorded = []

    def record(module, tensors):
        recorded.append(module)
        return replay(module, tensors)

    monkeypatch.setattr(cuda_graphs, "recorder_on_gpu", lambda: record)
    monkeypatch.setattr(Trainer, "check", lambda trainer, model, process: None)
    data = make_dataset(ALL_TARGETS, training_structures(10))
    results = []
    for with_graphs in (False, True):
        model = make_model()
        hypers = {**get_default_hypers("pet_mad")["training"], "batch_size": 3, "num_epochs": 2, "num_workers": 0}
        torch.manual_seed(0)
        trainer = Trainer({**hypers, "warmup_epochs": 0.0, "cuda_graphs": with_graphs})
        trainer.train(model, torch.float64, [torch.device("cpu")], [data], [data], str(tmp_path))
        assert bool(recorded) == with_graphs
        results.append(dict(model.named_parameters()))
    changed = 0
    for name, before in make_model().named_parameters():
        torch.testing.assert_close(results[1][name], results[0][name], rtol=1e-6, atol=1e-9)
        changed += not torch.equal(before, results[0][name])
    assert changed > 40


def test_what_is_refused(tmp_path):
    model = make_model()
    hypers = {**get_default_hypers("pet_mad")["training"], "cuda_graphs": True, "num_workers": 0, "batch_size": 2}
    data = make_dataset(ALL_TARGETS, training_structures(4))
    with pytest.raises(ValueError, match=r"training on one GPU, but this training uses 1 device\(s\) of type cpu"):
        Trainer(hypers).train(model, torch.float64, [torch.device("cpu")], [data], [data], str(tmp_path))
    model.add_element_spectra()
    with pytest.raises(ValueError, match="element spectra"):
        GraphedModel(model, replay)
