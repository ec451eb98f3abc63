"""What is timed: one evaluation, one training step, one step of molecular dynamics, for one model each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import AtomisticModel, ModelEvaluationOptions, ModelOutput, System
from metatomic_ase import MetatomicCalculator
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.loss import LossAggregator
from metatrain.utils.per_atom import average_by_num_atoms
from models import GRID, MAX_SHIFT, OURS, to_systems
from peer_loss import brute_force_loss

from electrain.architectures.pet_mad.cuda_graphs import GraphedModel
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.calculators import ElectronicStructureCalculator
from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.quantities import DENSITY_OF_STATES
from electrain.spectra.losses import CUMULATIVE_WEIGHT, GRADIENT_WEIGHT, spectral_loss
from electrain.training.epoch import OptimizerStep
from electrain.training.errors import EpochErrors
from electrain.training.losses import Objective
from electrain.training.processes import Process

LEARNING_RATE = 1e-5
POINTWISE = {"type": "mse", "weight": 1.0, "reduction": "mean"}
LOSS = {"step": GRID.step, "gradient_weight": GRADIENT_WEIGHT, "cumulative_weight": CUMULATIVE_WEIGHT}
CONFIG: dict[str, Any] = {"energy": {**POINTWISE, "gradients": {"positions": POINTWISE}}}


class Job:
    """A call that can be repeated, and the model that it calls, if any."""

    def __init__(self, run: Callable[[], torch.Tensor], model: torch.nn.Module | None = None) -> None:
        self.run, self.model = run, model

    def __call__(self) -> torch.Tensor:
        """Run it; returns what the two sides are to agree on."""
        return self.run()


def evaluation(
    model: AtomisticModel, structures: list[Atoms], name: str, device: str, sample_kind: str = "system"
) -> Job:
    """One output of an exported model; neighbor lists are there already."""
    systems = to_systems(structures, model, device)
    options = ModelEvaluationOptions("angstrom", {name: ModelOutput(sample_kind=sample_kind)})

    def run() -> torch.Tensor:
        with torch.no_grad():
            return model(systems, options, check_consistency=False)[name].block().values

    return Job(run, model)


def dynamics(side: str, model: AtomisticModel, atoms: Atoms, device: str) -> Job:
    """Energy and forces of a new geometry through the ASE calculator, neighbor list included."""
    # ours needs the density of states among the outputs
    ours = side == OURS and DENSITY_OF_STATES in model.capabilities().outputs
    calculator = (ElectronicStructureCalculator if ours else MetatomicCalculator)(model, device=device)
    moved = atoms.copy()
    random = np.random.default_rng(0)

    def run() -> torch.Tensor:
        moved.positions = atoms.positions + 0.01 * random.normal(size=atoms.positions.shape)
        calculator.calculate(moved, ["energy", "forces"], ["positions"])
        return torch.cat(
            [torch.tensor([calculator.results["energy"]]), torch.tensor(calculator.results["forces"]).ravel()]
        )

    return Job(run, model)


def spectra(structures: list[Atoms], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Made-up targets (number of structures, channels) in states/eV, and the trusted channels."""
    generator = torch.Generator().manual_seed(0)
    width = 0.3 / GRID.step
    kernel = torch.exp(-0.5 * (torch.arange(-30.0, 31.0) / width) ** 2)
    counts = torch.poisson(torch.full((len(structures), GRID.size), 0.02), generator)
    counts *= torch.tensor([len(atoms) for atoms in structures]).unsqueeze(1)
    values = torch.nn.functional.conv1d(counts.unsqueeze(1), kernel.reshape(1, 1, -1), padding="same").squeeze(1)
    ends = GRID.size - torch.randint(0, 1500, (len(structures), 1), generator=generator)
    channels = torch.arange(GRID.size)
    values[:, :MAX_SHIFT] = 0.0
    return values.to(device), (channels < ends).to(device)


def spectrum_map(values: torch.Tensor, trusted: torch.Tensor) -> TensorMap:
    """Targets as our loaders hand them to the trainer: NaN where they are not trusted."""
    rows = torch.arange(len(values), dtype=torch.int32, device=values.device).reshape(-1, 1)
    block = TensorBlock(
        torch.where(trusted, values, torch.nan), Labels(["system"], rows), [], grid_to_labels(GRID).to(values.device)
    )
    return TensorMap(Labels.single().to(values.device), [block])


def energy_map(structures: list[Atoms], device: str) -> TensorMap:
    """Made-up energies and forces."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(len(structures), dtype=torch.int32).reshape(-1, 1)
    properties = Labels.range("energy", 1)
    block = TensorBlock(torch.randn(len(structures), 1, generator=generator), Labels(["system"], rows), [], properties)
    pairs = [[i, atom] for i, atoms in enumerate(structures) for atom in range(len(atoms))]
    block.add_gradient(
        "positions",
        TensorBlock(
            torch.randn(len(pairs), 3, 1, generator=generator),
            Labels(["sample", "atom"], torch.tensor(pairs, dtype=torch.int32)),
            [Labels.range("xyz", 3)],
            properties,
        ),
    )
    return TensorMap(Labels.single(), [block]).to(device)


def our_step(
    model: Any, systems: list[System], targets: dict[str, TensorMap], device: str, cuda_graphs: bool = False
) -> Job:
    """A step of our trainer without the loader: network, loss, errors, gradients, clipping, Adam."""
    infos = {name: model.dataset_info.targets[name] for name in targets}
    objective = Objective(Trainer({"loss": CONFIG, "per_structure_targets": []}).losses(model))
    process = Process(torch.device(device))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    errors = EpochErrors(objective.terms, process)
    step = OptimizerStep(model, optimizer, scheduler, 1.0, process)
    model.train()
    called = GraphedModel(model) if cuda_graphs else model

    def run() -> torch.Tensor:
        predictions = evaluate_model(called, systems, infos, is_training=True)
        loss, evaluated = objective(predictions, targets, systems)
        step(loss)
        errors.add(evaluated)
        return loss.detach()

    return Job(run, model)


def peer_step(
    model: Any, systems: list[System], targets: dict[str, TensorMap], structures: list[Atoms], device: str
) -> Job:
    """The same for the peer: its trainer's steps; the spectrum's loss as it was published."""
    infos = {name: model.dataset_info.targets[name] for name in targets}
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    with_spectrum = DENSITY_OF_STATES in targets
    values, trusted = spectra(structures, device)
    num_atoms = torch.tensor([len(atoms) for atoms in structures], device=device)
    loss_of_energy = None if with_spectrum else LossAggregator(targets=infos, config=CONFIG)
    model.train()

    def run() -> torch.Tensor:
        optimizer.zero_grad()
        predictions = evaluate_model(model, systems, infos, is_training=True)
        if with_spectrum:
            prediction = predictions[DENSITY_OF_STATES].block().values
            loss = brute_force_loss(prediction, values[:, MAX_SHIFT:], trusted[:, MAX_SHIFT:], num_atoms, **LOSS)
        else:
            averaged = average_by_num_atoms(predictions, systems, [])
            averaged = model.scaler.apply_scales(
                systems, averaged, remove=False, use_per_target_scales=False, use_per_property_scales=True
            )
            loss = loss_of_energy(averaged, average_by_num_atoms(targets, systems, []), {})
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    return Job(run, model)


def training(side: str, model: Any, structures: list[Atoms], name: str, device: str, cuda_graphs: bool = False) -> Job:
    """A training step on densities of states, or on energies and forces; ours with CUDA graphs, if asked for."""
    systems = to_systems(structures, model, device)
    if name == DENSITY_OF_STATES:
        targets = {name: spectrum_map(*spectra(structures, device))}
    else:
        targets = {name: energy_map(structures, device)}
    if side == OURS:
        return our_step(model, systems, targets, device, cuda_graphs)
    return peer_step(model, systems, targets, structures, device)


def loss_alone(side: str, structures: list[Atoms], device: str) -> Job:
    """Loss of predicted spectra, and its gradient."""
    values, trusted = spectra(structures, device)
    num_atoms = torch.tensor([len(atoms) for atoms in structures], device=device)
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(1)).to(device)
    prediction = (values.roll(-40, dims=1) + 0.1 * noise).requires_grad_()
    loss_function = spectral_loss if side == OURS else brute_force_loss

    def run() -> torch.Tensor:
        loss = loss_function(prediction, values[:, MAX_SHIFT:], trusted[:, MAX_SHIFT:], num_atoms, **LOSS)
        return torch.autograd.grad(loss, prediction)[0]

    return Job(run)
