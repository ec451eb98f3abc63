"""The list of tasks, with the targets that were set for each."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ase.build import molecule
from jobs import Job, dynamics, evaluation, loss_alone, training
from models import SIDES, exported, make_models
from structures import copper, gallium_arsenide, mixed_batch, rattled, silicon, uneven

from electrain.interface.quantities import DENSITY_OF_STATES

ENERGY = ("energy",)
SPECTRUM = (DENSITY_OF_STATES,)
BOTH = ("energy", DENSITY_OF_STATES)


class Task(NamedTuple):
    """One comparison."""

    title: str
    make: Callable[[str, bool, str], Job]  # side, small network, device -> what is timed
    at_least: float | None = None  # times faster than the peer, on one CPU core
    aim: float | None = None
    memory_at_least: float | None = None  # times less memory
    memory_aim: float | None = None
    at_least_on_gpu: float | None = None  # times faster than the peer
    only_on_gpu: bool = False


def spectrum_of(structures: Callable[[], Any], sample_kind: str = "system") -> Callable[[str, bool, str], Job]:
    """Inference of the density of states."""

    def make(side: str, small: bool, device: str) -> Job:
        model = exported(SPECTRUM, small, side, device)
        return evaluation(model, structures(), DENSITY_OF_STATES, device, sample_kind)

    return make


def dynamics_of(structure: Callable[[], Any], names: tuple[str, ...]) -> Callable[[str, bool, str], Job]:
    """A step of molecular dynamics with a model of these targets."""

    def make(side: str, small: bool, device: str) -> Job:
        return dynamics(side, exported(names, small, side, device), structure(), device)

    return make


def training_on(name: str, size: int = 16, cuda_graphs: bool = False) -> Callable[[str, bool, str], Job]:
    """A training step on the mixed batch."""

    def make(side: str, small: bool, device: str) -> Job:
        model = make_models((name,), small=small, forces=name == "energy")[side].to(device)
        return training(side, model, mixed_batch(size), name, device, cuda_graphs)

    return make


def _loss(side: str, small: bool, device: str) -> Job:
    return loss_alone(side, mixed_batch(), device)


TASKS = {
    "dos-molecule": Task("DOS, isobutane", spectrum_of(lambda: [rattled(molecule("isobutane"))]), 1.7, 2.0),
    "dos-64": Task("DOS, Si, 64 atoms", spectrum_of(lambda: [silicon(2)]), 3.2, 4.0, 5.0, 8.0),
    "dos-108": Task("DOS, Cu, 108 atoms", spectrum_of(lambda: [copper(3)]), 3.2, 4.0, 5.0, 8.0),
    "dos-mixed": Task("DOS, mixed batch of 16", spectrum_of(mixed_batch), 4.5, 6.0, 5.0, 8.0),
    "dos-1000": Task("DOS, GaAs, 1000 atoms", spectrum_of(lambda: [gallium_arsenide(1000)]), 3.2, 4.0, 5.0, 8.0, 3.5),
    "dos-per-atom": Task("DOS of each atom, Si, 64 atoms", spectrum_of(lambda: [silicon(2)], "atom")),
    "train-dos": Task("DOS training step, mixed batch of 16", training_on(DENSITY_OF_STATES), 4.0, 5.0, 2.5, 4.0, 2.0),
    "train-dos-96": Task(
        "DOS training step, mixed batch of 96 (1134 atoms)",
        training_on(DENSITY_OF_STATES, 96),
        at_least_on_gpu=3.5,
        only_on_gpu=True,
    ),
    "train-dos-graphs": Task(
        "DOS training step, mixed batch of 16, `cuda_graphs`",
        training_on(DENSITY_OF_STATES, cuda_graphs=True),
        at_least_on_gpu=2.0,
        only_on_gpu=True,
    ),
    "train-dos-96-graphs": Task(
        "DOS training step, mixed batch of 96 (1134 atoms), `cuda_graphs`",
        training_on(DENSITY_OF_STATES, 96, cuda_graphs=True),
        at_least_on_gpu=3.5,
        only_on_gpu=True,
    ),
    "loss": Task("DOS loss and gradient, batch of 16", _loss, 15.0, 25.0, 5.0, 8.0),
    "md-crystal": Task("MD step, Si, 64 atoms, DOS head beside", dynamics_of(lambda: silicon(2), BOTH), 1.15, 1.5),
    "md-uneven": Task("MD step, Au slab with water, DOS head beside", dynamics_of(uneven, BOTH), 1.4, 2.0),
    "md-crystal-only": Task("MD step, Si, 64 atoms", dynamics_of(lambda: silicon(2), ENERGY), 1.15, 1.5),
    "md-uneven-only": Task("MD step, Au slab with water", dynamics_of(uneven, ENERGY), 1.4, 2.0),
    "train-energy": Task("Energy and forces training step, mixed batch of 16", training_on("energy"), 1.5, 2.0),
}


def both_jobs(task: Task, small: bool, device: str) -> dict[str, Job]:
    """The task for the peer and for us."""
    return {side: task.make(side, small, device) for side in SIDES}


def find_task(name: str) -> Task:
    """A task of the list, or ``scaling-atoms-N``, ``scaling-batch-N``."""
    if name in TASKS:
        return TASKS[name]
    _, kind, size = name.split("-")
    structures = [gallium_arsenide(int(size))] if kind == "atoms" else mixed_batch(int(size))
    return Task(name, spectrum_of(lambda: structures))
