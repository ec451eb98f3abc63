"""metatomic systems -> plain tensors, and plain tensors -> metatensor."""

from typing import NamedTuple, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import NeighborListOptions, System

from electrain.nn.batch import Batch
from electrain.nn.pooling import PooledFeatures, pool_systems
from electrain.nn.selection import Selection

from .states import Inputs


def check_elements(types: torch.Tensor, elements: torch.Tensor, known: list[int]) -> None:
    """Raise a ``ValueError`` with the first atomic number that the model does not know."""
    unknown = elements < 0
    if bool(unknown.any()):
        atomic_number = int(types[unknown][0])
        raise ValueError(
            "the model does not know the element with atomic number "
            + str(atomic_number)
            + "; it was trained on atomic numbers "
            + str(known)
        )


def element_table(atomic_types: list[int]) -> torch.Tensor:
    """Return the index of every atomic number among ascending types, (largest type + 2,) int64, -1 for all others.

    The last entry stays -1, for all atomic numbers beyond the table.
    """
    elements = torch.full((max(atomic_types) + 2,), -1, dtype=torch.int64)
    elements[torch.tensor(atomic_types)] = torch.arange(len(atomic_types))
    return elements


class Gathered(NamedTuple):
    """Tensors and sizes of several systems."""

    positions: list[torch.Tensor]
    types: list[torch.Tensor]
    cells: list[torch.Tensor]
    pairs: list[torch.Tensor]  # (num_pairs, 5) each | first and second atom, cell shift
    num_atoms: list[int]
    num_pairs: list[int]


# Compiled in training as well: reading a system's tensors from Python takes 0.1 ms, longer than its share of the
# network on a GPU.
@torch.jit.script
def gather(systems: list[System], options: NeighborListOptions) -> Gathered:
    """Read the data that the network needs from metatomic's systems."""
    positions: list[torch.Tensor] = []
    types: list[torch.Tensor] = []
    cells: list[torch.Tensor] = []
    pairs: list[torch.Tensor] = []
    num_atoms: list[int] = []
    num_pairs: list[int] = []
    for system in systems:
        positions.append(system.positions)
        types.append(system.types)
        cells.append(system.cell)
        pairs.append(system.get_neighbor_list(options).samples.values)
        num_atoms.append(len(positions[-1]))
        num_pairs.append(len(pairs[-1]))
    return Gathered(positions, types, cells, pairs, num_atoms, num_pairs)


def systems_to_batch(
    systems: list[System],
    options: NeighborListOptions,
    element_of_type: torch.Tensor,
    known_types: list[int],
    inputs: Optional[Inputs] = None,
) -> Batch:
    """Concatenate systems with their neighbor lists.

    :param systems: at least one; a structure may have no atoms.
    :param options: the neighbor list to use.
    :param element_of_type: (largest atomic number + 1,) index of each element, -1 for unknown elements.
    :param known_types: atomic numbers that the model knows, for the error message.
    :param inputs: what else the network reads.
    :raises ValueError: for an unknown element.
    """
    device = systems[0].positions.device
    read = Inputs() if inputs is None else inputs
    gathered = gather(systems, options)
    first_atoms: list[int] = []
    num_atoms = 0
    for size in gathered.num_atoms:
        first_atoms.append(num_atoms)
        num_atoms += size
    all_types = torch.cat(gathered.types).to(torch.int64)
    # Types beyond the table map to its last entry, which means "unknown".
    elements = element_of_type[all_types.clamp(0, len(element_of_type) - 1)]
    check_elements(all_types, elements, known_types)
    table = torch.cat(gathered.pairs).to(torch.int64)
    counts = torch.tensor([first_atoms, gathered.num_atoms, gathered.num_pairs]).to(device)
    ends = table[:, :2] + torch.repeat_interleave(counts[0], counts[2], output_size=len(table)).unsqueeze(1)
    return Batch(
        positions=torch.cat(gathered.positions),
        elements=elements,
        cells=torch.stack(gathered.cells),
        system_of_atom=torch.repeat_interleave(
            torch.arange(len(systems), device=device), counts[1], output_size=num_atoms
        ),
        centers=ends[:, 0],
        neighbors=ends[:, 1],
        cell_shifts=table[:, 2:],
        states=read.states,
        crystal_systems=read.crystal_systems,
        k_points=read.k_points,
    )


class SampleLabels(NamedTuple):
    """Labels of the rows of outputs."""

    per_atom: Labels  # samples (system, atom)
    per_system: Labels  # samples (system)


def select(batch: Batch, selected_atoms: Optional[Labels]) -> tuple[Selection, SampleLabels]:
    """Find the atoms with the given labels (system, atom).

    TorchScript: ``Labels | None`` does not compile.
    """
    num_systems = len(batch.cells)
    device = batch.positions.device
    counts = _count(batch.system_of_atom, num_systems)
    starts = torch.cumsum(counts, 0) - counts
    atoms = torch.arange(len(batch.positions), device=device)
    values = torch.stack([batch.system_of_atom, atoms - starts[batch.system_of_atom]], dim=1).to(torch.int32)
    samples = Labels(["system", "atom"], values, assume_unique=True)
    system_of_atom = batch.system_of_atom
    if selected_atoms is not None:
        atoms = torch.sort(samples.select(selected_atoms).to(torch.int64))[0]
        samples = Labels(["system", "atom"], values[atoms], assume_unique=True)
        system_of_atom = system_of_atom[atoms]
        counts = _count(system_of_atom, num_systems)
    systems = torch.arange(num_systems, dtype=torch.int32, device=device).reshape(-1, 1)
    labels = SampleLabels(per_atom=samples, per_system=Labels(["system"], systems, assume_unique=True))
    return Selection(atoms, system_of_atom, counts.unsqueeze(1), all_atoms=selected_atoms is None), labels


def _count(system_of_atom: torch.Tensor, num_systems: int) -> torch.Tensor:
    """Number of atoms of each structure, without waiting for a GPU to return the largest number, as `bincount` does."""
    counts = torch.zeros(num_systems, dtype=torch.int64, device=system_of_atom.device)
    return counts.index_add(0, system_of_atom, torch.ones_like(system_of_atom))


def count_selected_atoms(systems: list[System], selected_atoms: Optional[Labels]) -> torch.Tensor:
    """Count the selected atoms of each structure, by default all its atoms: (num_systems,) int64."""
    device = systems[0].positions.device
    sizes = torch.tensor([len(system) for system in systems], device=device)
    if selected_atoms is None:
        return sizes
    # Labels may name atoms that do not exist.
    pairs = selected_atoms.values.to(device=device, dtype=torch.int64)
    pairs = pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] < len(systems)) & (pairs[:, 1] >= 0)]
    pairs = pairs[pairs[:, 1] < sizes[pairs[:, 0]]]
    return torch.bincount(pairs[:, 0], minlength=len(systems))


def features_output(pooled: PooledFeatures, sample_kind: str, selection: Selection, labels: SampleLabels) -> TensorMap:
    """Return the pooled features of the selected atoms as an output, per atom or summed over each structure."""
    if sample_kind == "atom":
        return _feature_map(pooled.values, labels.per_atom)
    summed = pool_systems(pooled, selection.system_of_atom, len(selection.num_atoms))
    return _feature_map(summed.values, labels.per_system)


def _feature_map(values: torch.Tensor, samples: Labels) -> TensorMap:
    """Features as a TensorMap with one block."""
    columns = torch.arange(values.shape[1], dtype=torch.int32, device=values.device).reshape(-1, 1)
    block = TensorBlock(values, samples, [], Labels(["feature"], columns))
    return TensorMap(Labels(["_"], torch.zeros(1, 1, dtype=torch.int32, device=values.device)), [block])
