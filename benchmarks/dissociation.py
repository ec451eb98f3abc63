"""How far the energy of a `tiny_net` jumps where bonds break, with and without a width of bonds.

    OMP_NUM_THREADS=1 python benchmarks/dissociation.py [--epochs 40]

Models with energies only learn 200 random copper clusters of 2 to 5 atoms, labelled by ASE's EMT; 60 others give the
error. Then one atom of a tetrahedron is pulled away from the other three, whose bonds to it break together. Prints the
largest change of the energy from one 10 mA to the next, and from one 1 mA to the next: a jump is the same in both, a
steep slope shrinks with the step. One seed; a minute for each model.
"""

import argparse
import copy
import tempfile
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, systems_to_torch
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import Dataset, DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists

TETRAHEDRON = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) * 1.75  # A
PULLED = 2.5  # A
ROOM = {"num_paths": [32, 64, 256], "num_neighbors": 128}  # of the vector, whatever the clusters need
TRAINING = {"batch_size": 32, "num_workers": 0, "learning_rate": 5e-3, "warmup_epochs": 1.0}


def cluster(random: np.random.Generator) -> Atoms:
    """Two to five copper atoms, each 2.2 to 4.2 A from one before it, no two nearer than 2.1 A."""
    number = random.integers(2, 6)
    positions = [np.zeros(3)]
    while len(positions) < number:
        direction = random.normal(size=3)
        step = direction / np.linalg.norm(direction) * random.uniform(2.2, 4.2)
        position = positions[random.integers(len(positions))] + step
        if min(np.linalg.norm(position - other) for other in positions) > 2.1:
            positions.append(position)
    return Atoms(f"Cu{number}", positions=positions)


def dissociation(number: int) -> list[Atoms]:
    """The tetrahedron with its last atom pulled away, in so many frames."""
    outwards = TETRAHEDRON[3] - TETRAHEDRON[:3].mean(axis=0)
    frames = []
    for distance in np.linspace(0.0, PULLED, number):
        frames.append(Atoms("Cu4", positions=TETRAHEDRON))
        frames[-1].positions[3] += distance * outwards / np.linalg.norm(outwards)
    return frames


def reference(frames: list[Atoms]) -> np.ndarray:
    """Energies of EMT in eV."""
    energies = []
    for atoms in frames:
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
    return np.array(energies)


def to_dataset(frames: list[Atoms]) -> Dataset:
    """Structures and their energies."""
    maps = []
    for index, energy in enumerate(reference(frames)):
        samples = Labels("system", torch.tensor([[index]], dtype=torch.int32))
        values = torch.tensor([[energy]], dtype=torch.float64)
        maps.append(TensorMap(Labels.single(), [TensorBlock(values, samples, [], Labels.range("energy", 1))]))
    return Dataset.from_dict({"system": systems_to_torch(frames, dtype=torch.float64), "energy": maps})


def trained(options: dict[str, Any], epochs: int, train: list[Atoms], validation: list[Atoms]) -> Any:
    """A model of the epoch with the smallest validation error."""
    torch.manual_seed(0)
    architecture, hypers = import_architecture("tiny_net"), copy.deepcopy(get_default_hypers("tiny_net"))
    target = get_energy_target_info("energy", {"quantity": "energy", "unit": "eV", "description": ""})
    info = DatasetInfo("angstrom", [29], {"energy": target})
    model = architecture.__model__({**hypers["model"], **options}, info).to(torch.float64)
    trainer = architecture.__trainer__({**hypers["training"], **TRAINING, "num_epochs": epochs})
    with tempfile.TemporaryDirectory() as folder:
        sets = [to_dataset(train)], [to_dataset(validation)]
        trainer.train(model, torch.float64, [torch.device("cpu")], *sets, folder)
    model.load_state_dict(trainer.best_model_state_dict)
    return model.eval()


def predicted(model: Any, frames: list[Atoms]) -> np.ndarray:
    """Energies in eV."""
    lists = model.requested_neighbor_lists()
    systems = systems_to_torch(frames, dtype=torch.float64)
    outputs = {"energy": ModelOutput(sample_kind="system")}
    with torch.no_grad():
        found = model([get_system_with_neighbor_lists(system, lists) for system in systems], outputs)["energy"]
    return found.block().values.flatten().numpy()


def largest_change(energies: np.ndarray) -> float:
    """From one frame to the next, in meV."""
    return 1000 * float(np.abs(np.diff(energies)).max())


def main() -> None:
    """Train the four models and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40)
    epochs = parser.parse_args().epochs
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    frames = [cluster(random) for _ in range(260)]
    train, others = frames[:200], frames[200:]
    coarse, fine = dissociation(1 + round(PULLED / 0.010)), dissociation(1 + round(PULLED / 0.001))
    print(f"EMT: {largest_change(reference(coarse)):.0f} meV in 10 mA")
    print("| N | `bond_width` (A) | error (meV/atom) | in 10 mA (meV) | in 1 mA (meV) |\n|---|---|---|---|---|")
    for order in (0, 2):
        for width in (0.0, 0.3):
            model = trained({**ROOM, "neighbor_order": order, "bond_width": width}, epochs, train, others)
            wrong = (predicted(model, others) - reference(others)) / [len(atoms) for atoms in others]
            changes = [largest_change(predicted(model, path)) for path in (coarse, fine)]
            error = 1000 * np.sqrt(np.mean(wrong**2))
            print(f"| {order} | {width} | {error:.0f} | {changes[0]:.0f} | {changes[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
