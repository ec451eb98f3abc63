"""What runs on a CPU runs on a GPU and gives the same; skipped on machines without one."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from metatomic.torch import ModelOutput, System, systems_to_torch
from metatomic_ase import MetatomicCalculator
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from real_calculations import SEMICONDUCTORS_AND_MOLECULES
from small_models import ALL_TARGETS, make_model

from electrain.architectures.pet_mad.cuda_graphs import GraphedModel
from electrain.architectures.pet_mad.model import PETMAD
from electrain.calculators import ElectronicStructureCalculator, ElectronicStructureModel
from electrain.data import prepare_dataset
from electrain.nn.point_edge_transformer.buckets import make_buckets
from electrain.spectra.alignment import best_shift
from electrain.spectra.losses import spectral_loss

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def structures() -> list[Atoms]:
    found = [bulk("Si", cubic=True), molecule("C2H6"), bulk("Al") * (2, 2, 1), Atoms("O", positions=[[0.0, 0.0, 0.0]])]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.05, seed=seed)
    return found


def on_gpu(frames: list[Atoms], model: PETMAD, dtype: torch.dtype) -> list[System]:
    lists = model.requested_neighbor_lists()
    systems = systems_to_torch(frames, dtype=torch.float64)
    return [get_system_with_neighbor_lists(system, lists).to(dtype).to("cuda") for system in systems]


def exported(path: Path, dtype: torch.dtype) -> Path:
    """A model of all targets whose untrained heads do not predict zero."""
    model = make_model(ALL_TARGETS, dtype)
    torch.manual_seed(1)
    for head in model.network.heads.values():
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    model.export().save(path)
    return path


@pytest.fixture(scope="module")
def double_file(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("double") / "model.pt", torch.float64)


@pytest.fixture(scope="module")
def single_file(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("single") / "model.pt", torch.float32)


def test_electronic_structure(double_file):
    """The same model, in float64, through the predictor: all targets, per atom, in one batch."""
    on_cpu, on_gpu = (
        list(ElectronicStructureModel(double_file, device).predict_many(structures(), per_atom=True))
        for device in ("cpu", "cuda")
    )
    for expected, found in zip(on_cpu, on_gpu, strict=True):
        np.testing.assert_allclose(found.density_of_states, expected.density_of_states, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.band_gap, expected.band_gap, atol=1e-9)
        np.testing.assert_allclose(found.fermi_level, expected.fermi_level, atol=1e-9)


def test_energies_forces_and_stresses(double_file):
    for atoms in structures():
        results = []
        for device in ("cpu", "cuda"):
            atoms.calc = MetatomicCalculator(str(double_file), device=device)
            stress = atoms.get_stress() if atoms.pbc.all() else np.zeros(6)
            results.append((atoms.get_potential_energy(), atoms.get_forces(), stress))
        for expected, found in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("precision", "tolerance"), [("highest", 1e-5), ("high", 1e-2), ("medium", 0.1)])
def test_precisions(single_file, precision, tolerance):
    expected = list(ElectronicStructureModel(single_file, "cpu").predict_many(structures()))
    model = ElectronicStructureModel(single_file, "cuda", matmul_precision=precision)
    for reference, result in zip(expected, model.predict_many(structures()), strict=True):
        change = np.linalg.norm(result.density_of_states - reference.density_of_states)
        assert 0.0 < change < tolerance * np.linalg.norm(reference.density_of_states)
    atoms = structures()[0]
    atoms.calc = ElectronicStructureCalculator(single_file, device="cuda", matmul_precision=precision)
    assert np.isfinite(atoms.get_forces()).all()


def test_loss_and_its_gradient():
    generator = torch.Generator().manual_seed(0)
    prediction = torch.rand(6, 500, generator=generator, dtype=torch.float64)
    target = prediction[:, 37:437] + 0.1 * torch.rand(6, 400, generator=generator, dtype=torch.float64)
    trusted = torch.arange(400) < torch.tensor([[400], [350], [10], [0], [200], [399]])
    results = []
    for device in ("cpu", "cuda"):
        arguments = [tensor.to(device, copy=True) for tensor in (prediction, target, trusted)]
        assert best_shift(*arguments).tolist()[:2] == [37, 37]
        arguments[0].requires_grad_()
        loss = spectral_loss(
            *arguments, torch.arange(1, 7).to(device), step=0.05, gradient_weight=1e-4, cumulative_weight=1e-2
        )
        loss.backward()
        results.append((loss.detach().cpu(), arguments[0].grad.cpu()))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_few_buckets():
    """Every bucket is several launches: small batches get one, however uneven they are."""
    centers = torch.repeat_interleave(torch.arange(8), torch.tensor([0, 3, 5, 9, 20, 40, 41, 60]))
    assert len(make_buckets(centers, 8).lengths) > 3
    assert make_buckets(centers.cuda(), 8).lengths == [64]


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_batches_of_several_buckets(single_file, precision):
    """Kernels of fused attention want rows aligned in memory, wherever a bucket begins."""
    crystal = bulk("Al", cubic=True) * (3, 3, 3)
    molecules = [molecule(name) for name in ("C2H6", "CH4", "H2O", "CH3CH2OH")]
    batch = [crystal, *molecules * 20]
    for seed, atoms in enumerate(batch):
        atoms.rattle(0.05, seed=seed)
    counts = [np.bincount(neighbor_list("i", atoms, 4.5), minlength=len(atoms)) for atoms in batch]
    centers = torch.repeat_interleave(torch.tensor(np.concatenate(counts))).cuda()
    assert len(make_buckets(centers, sum(len(atoms) for atoms in batch)).lengths) > 1
    expected = list(ElectronicStructureModel(single_file, "cpu").predict_many(batch, batch_size=10_000))
    model = ElectronicStructureModel(single_file, "cuda", matmul_precision=precision)
    for reference, result in zip(expected, model.predict_many(batch, batch_size=10_000), strict=True):
        change = np.linalg.norm(result.density_of_states - reference.density_of_states)
        assert change < {"highest": 1e-5, "medium": 0.1}[precision] * np.linalg.norm(reference.density_of_states)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cuda_graphs(dtype):
    """A training step by replaying is one without: batches of several sizes, in turn, since recordings share memory."""
    model = make_model(ALL_TARGETS, dtype).to("cuda").train()
    torch.manual_seed(1)
    for head in model.network.heads.values():
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    graphed = GraphedModel(model)
    few, many = structures(), [*structures(), bulk("Al", cubic=True) * (2, 2, 2), *structures() * 3]
    moved = [atoms.copy() for atoms in few]
    for seed, atoms in enumerate(moved):
        atoms.rattle(0.02, seed=seed)
    batches = [few, many, moved]
    names = {name: ModelOutput(sample_kind="system") for name in ALL_TARGETS}
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    for frames in batches * 3:
        systems = on_gpu(frames, model, dtype)
        results = []
        for called in (model, graphed):
            predictions = {name: tensor_map.block().values for name, tensor_map in called(systems, names).items()}
            optimizer.zero_grad()
            sum((values**2).mean() for values in predictions.values()).backward()
            gradients = [parameter.grad.clone() for parameter in parameters]
            results.append([*(values.detach().clone() for values in predictions.values()), *gradients])
        for expected, found in zip(*results, strict=True):
            tolerance = (1e-9 if dtype == torch.float64 else 1e-3) * float(expected.abs().max())
            torch.testing.assert_close(found, expected, rtol=0.0, atol=tolerance)
        optimizer.step()  # recordings read the parameters as they are
    assert 0 < len(graphed.recordings) <= 2


@pytest.mark.parametrize("options", [{}, {"matmul_precision": "medium"}, {"cuda_graphs": "true"}], ids=str)
def test_training(tmp_path, options):
    """Two epochs of plain `mtt` on the packaged data, a restart for a third; the exported model answers."""
    prepared = prepare_dataset([SEMICONDUCTORS_AND_MOLECULES], tmp_path)
    command = [sys.executable, "-m", "metatrain", "train", "options.yaml"]
    overrides = ["-r", "device=cuda"]
    for name, value in options.items():
        overrides += ["-r", f"architecture.training.{name}={value}"]
    for epochs, more in ((2, []), (3, ["--restart", "auto"])):
        more = [*more, "-r", f"architecture.training.num_epochs={epochs}"]
        run = subprocess.run(
            [*command, *overrides, *more], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert run.returncode == 0, run.stdout
    assert "of type cuda" in run.stdout
    assert re.search("epoch +3/3 ", run.stdout)
    atoms = next(prepared.calculations("test")).atoms
    result = ElectronicStructureModel(tmp_path / "model.pt", "cuda").predict(atoms)
    assert np.isfinite(result.density_of_states).all()
