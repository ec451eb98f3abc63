"""Tiny models and data sets with every electronic-structure target."""

import copy
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System, systems_to_torch
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset, DatasetInfo, TargetInfo
from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info
from metatrain.utils.data.writers import DiskDatasetWriter
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists

from electrain.architectures.pet_mad.model import PETMAD
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.spectra.grid import EnergyGrid
from electrain.training.losses import Objective

GRID = EnergyGrid(-20.0, 0.05, 760)
MAX_SHIFT = 20
GRID_HYPERS = {
    "start": GRID.start,
    "step": GRID.step,
    "size": GRID.size,
    "max_shift": MAX_SHIFT,
    "smearing": 0.3,
    "reference": "Fermi level",
}
ELEMENTS = [1, 6, 7, 8, 14]
SMALL = {
    "energy_grid": GRID_HYPERS,
    "cutoff": 3.0,
    "edge_width": 8,
    "node_width": 8,
    "head_width": 8,
    "feedforward_width": 8,
    "num_heads": 2,
    "num_message_passing_layers": 2,
    "num_attention_layers": 1,
}
ALL_TARGETS = ("energy", DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL)


def scalar_info(name: str, size: int = 1, unit: str = "eV", sample_kind: str = "system") -> TargetInfo:
    """A scalar target as the options file describes it."""
    return get_generic_target_info(
        name,
        {
            "quantity": "",
            "unit": unit,
            "type": "scalar",
            "sample_kind": sample_kind,
            "num_subtargets": size,
            "description": "",
        },
    )


def target_infos(names: tuple[str, ...] = ALL_TARGETS, forces: bool = False) -> dict[str, TargetInfo]:
    """The targets of the tiny data set."""
    infos = {
        "energy": get_energy_target_info(
            "energy",
            {"quantity": "energy", "unit": "eV", "description": ""},
            add_position_gradients=forces,
        ),
        DENSITY_OF_STATES: scalar_info(DENSITY_OF_STATES, GRID.size, ""),
        BAND_GAP: scalar_info(BAND_GAP),
        FERMI_LEVEL: scalar_info(FERMI_LEVEL),
    }
    return {name: infos[name] for name in names}


def dataset_info(names: tuple[str, ...] = ALL_TARGETS, forces: bool = False) -> DatasetInfo:
    return DatasetInfo("angstrom", ELEMENTS, target_infos(names, forces))


def model_hypers(**options) -> dict:
    return {**copy.deepcopy(get_default_hypers("pet_mad")["model"]), **copy.deepcopy(SMALL), **options}


def make_model(names: tuple[str, ...] = ALL_TARGETS, dtype=torch.float64, forces=False, **options) -> PETMAD:
    torch.manual_seed(0)
    return PETMAD(model_hypers(**options), dataset_info(names, forces)).to(dtype)


def make_objective(model: PETMAD, hypers: dict) -> Objective:
    """The loss as the trainer has it."""
    return Objective(Trainer(hypers).losses(model))


def make_varied(model: PETMAD) -> PETMAD:
    """Larger weights, a baseline and a scale, so that predictions differ well from structure to structure."""
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for parameter in model.spectrum_heads.parameters():
            parameter.mul_(2.0)
    for weights in model.additive_models[0].model.weights.values():
        for block in weights.blocks():
            block.values[:] = 7.0 * torch.arange(1.0, 1.0 + len(block.values), dtype=torch.float64).unsqueeze(1)
    return model


def structures() -> dict[str, Atoms]:
    """Molecules, an isolated atom, and periodic cells smaller than the cutoff."""
    random = np.random.default_rng(0)
    silicon = bulk("Si")
    silicon.positions += 0.05 * random.normal(size=silicon.positions.shape)
    ethanol = molecule("CH3CH2OH")
    ethanol.positions += 0.05 * random.normal(size=ethanol.positions.shape)
    return {
        "molecule": ethanol,
        "bulk": silicon,
        "isolated atom": Atoms("O", positions=[[0.0, 0.0, 0.0]]),
        "one-atom cell": bulk("C", "fcc", a=3.4),
        "small cell": Atoms("H", cell=[1.1, 1.3, 1.2], pbc=True),
    }


def to_systems(atoms: list[Atoms], model, dtype=torch.float64) -> list[System]:
    """Systems with neighbor lists in float64, then in the wanted precision."""
    systems = systems_to_torch(atoms, dtype=torch.float64)
    lists = model.requested_neighbor_lists()
    return [get_system_with_neighbor_lists(system, lists).to(dtype) for system in systems]


def request(names, sample_kind: str = "system") -> dict[str, ModelOutput]:
    return {name: ModelOutput(sample_kind=sample_kind) for name in names}


def system_map(rows: torch.Tensor, properties: Labels) -> TensorMap:
    """(num_structures, num_values) as a TensorMap."""
    samples = Labels(["system"], torch.arange(len(rows), dtype=torch.int32).reshape(-1, 1))
    return TensorMap(Labels.single(), [TensorBlock(rows, samples, [], properties)])


def dos_map(rows: torch.Tensor, grid: EnergyGrid = GRID) -> TensorMap:
    return system_map(rows, grid_to_labels(grid))


def spectrum(atoms: Atoms, shift: float = 0.0) -> torch.Tensor:
    """A density of states on the grid: two peaks whose places and heights depend on the structure."""
    energies = GRID.energies() - shift
    spread = float(np.std(atoms.get_all_distances())) if len(atoms) > 1 else 0.0
    values = torch.zeros(GRID.size, dtype=torch.float64)
    for charge in atoms.numbers:
        values += torch.exp(-0.5 * ((energies + 0.5 * charge + spread) / 0.6) ** 2)
        values += torch.exp(-0.5 * ((energies - 2.0) / 1.5) ** 2)
    values[:MAX_SHIFT] = 0.0
    values[energies > 10.0] = torch.nan
    return values


def training_structures(count: int = 6) -> list[Atoms]:
    random = np.random.default_rng(1)
    frames = []
    for i in range(count):
        atoms = molecule(["H2O", "CH4", "NH3", "CO2", "CH3OH"][i % 5])
        atoms.positions += 0.1 * random.normal(size=atoms.positions.shape)
        frames.append(atoms)
    return frames


def target_rows(frames: list[Atoms]) -> dict[str, torch.Tensor]:
    """Values of every target of every structure."""
    energies = [[-3.0 * float(a.numbers.sum()) + float(np.exp(-a.get_all_distances()).sum())] for a in frames]
    return {
        "energy": torch.tensor(energies, dtype=torch.float64),
        DENSITY_OF_STATES: torch.stack([spectrum(atoms) for atoms in frames]),
        BAND_GAP: torch.tensor([[0.1 * len(atoms)] for atoms in frames], dtype=torch.float64),
        FERMI_LEVEL: torch.tensor([[0.05 * len(atoms)] for atoms in frames], dtype=torch.float64),
    }


PROPERTIES = {
    "energy": Labels.range("energy", 1),
    DENSITY_OF_STATES: grid_to_labels(GRID),
    BAND_GAP: Labels.range("bandgap", 1),
    FERMI_LEVEL: Labels.range("efermi", 1),
}


def make_dataset(
    names: tuple[str, ...], frames: list[Atoms], forces: bool = False, rows: dict[str, torch.Tensor] | None = None
) -> Dataset:
    """A data set in memory, one TensorMap of each target a structure."""
    rows = target_rows(frames) if rows is None else rows
    data = {"system": systems_to_torch(frames, dtype=torch.float64)}
    for name in names:
        data[name] = []
        for i, atoms in enumerate(frames):
            samples = Labels(["system"], torch.tensor([[i]], dtype=torch.int32))
            properties = PROPERTIES[name]
            block = TensorBlock(rows[name][i : i + 1], samples, [], properties)
            if name == "energy" and forces:
                block.add_gradient("positions", _forces(atoms, i, properties))
            data[name].append(TensorMap(Labels.single(), [block]))
    return Dataset.from_dict(data)


def write_zip(path: Path, names: tuple[str, ...], frames: list[Atoms], grid: EnergyGrid = GRID) -> None:
    """The same data set on disk."""
    rows = target_rows(frames)
    writer = DiskDatasetWriter(str(path))
    for i, system in enumerate(systems_to_torch(frames, dtype=torch.float64)):
        maps = {}
        for name in names:
            row = rows[name][i : i + 1]
            maps[name] = dos_map(row, grid) if name == DENSITY_OF_STATES else system_map(row, PROPERTIES[name])
        writer.write([system], maps)
    writer.finish()


def _forces(atoms: Atoms, index: int, properties: Labels) -> TensorBlock:
    """Gradient of the sum of exp(-distance) over ordered pairs."""
    vectors = atoms.positions[:, None] - atoms.positions[None]
    distances = np.linalg.norm(vectors, axis=2) + np.eye(len(atoms))
    slope = -2.0 * np.exp(-distances) / distances * (1 - np.eye(len(atoms)))
    gradient = torch.tensor((slope[:, :, None] * vectors).sum(axis=1))
    number = torch.arange(len(atoms), dtype=torch.int32)
    return TensorBlock(
        gradient.unsqueeze(2),
        Labels(["sample", "atom"], torch.stack([torch.zeros_like(number), number], dim=1)),
        [Labels.range("xyz", 3)],
        properties,
    )
