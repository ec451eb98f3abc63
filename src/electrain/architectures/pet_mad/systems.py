"""metatomic systems -> plain tensors, and plain tensors -> metatensor."""

from typing import Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import NeighborListOptions, System

from electrain.pet.batch import Batch
from electrain.pet.heads import PooledFeatures, pool_systems


def check_elements(types: torch.Tensor, elements: torch.Tensor, known: list[int]) -> None:
    """Raise a ``ValueError`` that names the first atomic number the model does not know."""
    unknown = elements < 0
    if bool(unknown.any()):
        atomic_number = int(types[unknown][0])
        raise ValueError(
            "the model does not know the element with atomic number "
            + str(atomic_number)
            + "; it was trained on atomic numbers "
            + str(known)
        )


def systems_to_batch(
    systems: list[System],
    options: NeighborListOptions,
    element_of_type: torch.Tensor,
    known_types: list[int],
) -> Batch:
    """Concatenate systems with their neighbor lists.

    :param systems: at least one, none of them empty.
    :param options: which neighbor list to take.
    :param element_of_type: (largest atomic number + 1,) index of each element, -1 for unknown ones.
    :param known_types: atomic numbers that the model knows, for the error message.
    :raises ValueError: for an unknown element or a structure without atoms.
    """
    device = systems[0].positions.device
    positions: list[torch.Tensor] = []
    types: list[torch.Tensor] = []
    cells: list[torch.Tensor] = []
    pairs: list[torch.Tensor] = []
    sizes: list[int] = []
    first_atom = 0
    for i, system in enumerate(systems):
        if len(system) == 0:
            raise ValueError("structure " + str(i) + " of the batch has no atoms")
        samples = system.get_neighbor_list(options).samples.values.to(torch.int64)
        pairs.append(torch.cat([samples[:, :2] + first_atom, samples[:, 2:]], dim=1))
        positions.append(system.positions)
        types.append(system.types)
        cells.append(system.cell)
        sizes.append(len(system))
        first_atom += len(system)
    all_types = torch.cat(types).to(torch.int64)
    # Types beyond the table map onto its last entry, which stands for "unknown".
    elements = element_of_type[all_types.clamp(0, len(element_of_type) - 1)]
    check_elements(all_types, elements, known_types)
    table = torch.cat(pairs)
    return Batch(
        positions=torch.cat(positions),
        elements=elements,
        cells=torch.stack(cells),
        system_of_atom=torch.repeat_interleave(
            torch.arange(len(systems), device=device), torch.tensor(sizes, device=device)
        ),
        centers=table[:, 0],
        neighbors=table[:, 1],
        cell_shifts=table[:, 2:],
    )


def atom_samples(system_of_atom: torch.Tensor, num_systems: int) -> Labels:
    """Labels (system, atom) of every atom of a batch."""
    counts = torch.bincount(system_of_atom, minlength=num_systems)
    starts = torch.cumsum(counts, 0) - counts
    atoms = torch.arange(len(system_of_atom), device=system_of_atom.device) - starts[system_of_atom]
    values = torch.stack([system_of_atom, atoms], dim=1).to(torch.int32)
    return Labels(["system", "atom"], values)


def system_samples(num_systems: int, device: torch.device) -> Labels:
    """Labels (system) of a batch."""
    return Labels(["system"], torch.arange(num_systems, dtype=torch.int32, device=device).reshape(-1, 1))


def selected_indices(samples: Labels, selected_atoms: Optional[Labels]) -> torch.Tensor:
    """Which atoms of a batch were asked for, (num_selected,) in the order of the batch.

    TorchScript: ``Labels | None`` does not compile.
    """
    if selected_atoms is None:
        return torch.arange(len(samples), device=samples.values.device)
    return torch.sort(samples.select(selected_atoms).to(torch.int64))[0]


def _feature_map(values: torch.Tensor, samples: Labels) -> TensorMap:
    """Features as a TensorMap of one block."""
    columns = torch.arange(values.shape[1], dtype=torch.int32, device=values.device).reshape(-1, 1)
    block = TensorBlock(values, samples, [], Labels(["feature"], columns))
    return TensorMap(Labels(["_"], torch.zeros(1, 1, dtype=torch.int32, device=values.device)), [block])


def features_output(
    pooled: PooledFeatures,
    sample_kind: str,
    system_of_atom: torch.Tensor,
    per_atom: Labels,
    per_system: Labels,
) -> TensorMap:
    """Pooled features of atoms as an output, per atom or summed over each structure."""
    if sample_kind == "atom":
        return _feature_map(pooled.values, per_atom)
    return _feature_map(pool_systems(pooled, system_of_atom, len(per_system)).values, per_system)
