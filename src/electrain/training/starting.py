"""What a network takes from the training set before the first step: statistics, spectra of elements, and means."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from ase.data import chemical_symbols
from metatensor.torch import TensorMap
from metatomic.torch import System
from metatrain.utils.data import CollateFn, unpack_batch
from metatrain.utils.neighbor_lists import get_requested_neighbor_lists, get_system_with_neighbor_lists_transform
from torch.utils.data import DataLoader

from electrain.interface.quantities import quantity_of
from electrain.nn.batch import Batch
from electrain.spectra.element_spectra import at_middle_shift, element_spectra

from .composition import Datasets

# So many structures, drawn evenly, are enough for each of them.
MAX_STRUCTURES = 5000


@torch.no_grad()
def start_network(
    model: Any, train_datasets: Datasets, targets: list[str], *, with_descriptors: bool, again: bool = False
) -> None:
    """Standardise descriptors, and begin with spectra of the elements and with means, if the network needs it.

    :param model: the model, changed in place.
    :param train_datasets: the training set.
    :param targets: targets that are new to the model.
    :param with_descriptors: whether the descriptors are new, too.
    :param again: whether spectra of electrons on the energy axis that are not new begin again, for the elements of this
        training set, because it was computed with other valence electrons.
    """
    network = model.network
    if with_descriptors and network.descriptors is not None:
        _standardise(model, train_datasets)
    for name in network.spectra_to_start():
        if name in targets:
            _start_spectra(model, train_datasets, name)
        elif again and quantity_of(name).is_on_energy_grid and name in model.dataset_info.targets:
            _start_spectra(model, train_datasets, name, those_in_data=True)
    for name in network.means_to_start():
        if name in targets:
            _start_mean(model, train_datasets, name)


def _standardise(model: Any, datasets: Datasets) -> None:
    descriptors = model.network.descriptors
    num_elements = len(model.atomic_types)
    counts = torch.zeros(num_elements, 1, dtype=torch.float64)
    sums, squares = torch.zeros(2, num_elements, descriptors.size, dtype=torch.float64)
    for batch, found in of_each_structure(model, datasets, descriptors.raw, "training set"):
        raw, elements = found.double().cpu(), batch.elements.cpu()
        counts.index_add_(0, elements, torch.ones_like(raw[:, :1]))
        sums.index_add_(0, elements, raw)
        squares.index_add_(0, elements, raw.square())
    of_all = [values.sum(dim=0, keepdim=True) for values in (counts, sums, squares)]
    if descriptors.by_element:
        unknown = [model.atomic_types[element] for element in (counts == 0).flatten().nonzero().flatten().tolist()]
        if unknown:
            symbols = ", ".join(chemical_symbols[number] for number in unknown)
            logging.warning(f"No structure of the training set has {symbols}: predictions for such atoms are random")
        # an element that is not in the data has the statistics of all others
        pairs = zip((counts, sums, squares), of_all, strict=True)
        counts, sums, squares = (torch.where(counts > 0, own, others) for own, others in pairs)
    else:
        counts, sums, squares = (values[0] for values in of_all)
    mean = sums / counts
    descriptors.fit(mean, squares / counts - mean.square())


def of_each_structure(
    model: Any,
    datasets: Datasets,
    compute: Callable[[Batch], Any],
    part: str,
    *,
    everything: bool = False,
) -> Iterator[tuple[Batch, Any]]:
    """Read structures one at a time, in the precision of the model, and compute something of each.

    :param model: reads the structures.
    :param datasets: with the structures.
    :param compute: function of a batch of one structure.
    :param part: what messages call the data sets.
    :param everything: whether it is all structures; by default, some thousands are drawn evenly if there are more.
    :return: each structure with what was computed.
    :raises ValueError: as ``compute``, with the number of the structure.
    """
    like = next(model.network.parameters())
    for index, systems, _ in _batches(datasets, [], model, everything=everything):
        try:
            batch = model.read([system.to(dtype=like.dtype, device=like.device) for system in systems])
            found = compute(batch)
        except ValueError as error:
            raise ValueError(f"structure {index} of the {part}, in a batch of its own: {error}") from error
        yield batch, found


def _start_spectra(model: Any, datasets: Datasets, name: str, *, those_in_data: bool = False) -> None:
    counts, spectra = [], []
    quantity = quantity_of(name)
    for _, systems, targets in _batches(datasets, [name]):
        if name not in targets:
            continue
        elements = model.element_of_type.cpu()
        # the batches have one structure each
        known, target = elements[systems[0].types.long()], targets[name].block().values
        if len(known) == 0:
            continue
        of_atoms = torch.nn.functional.one_hot(known, len(model.atomic_types))
        counts.append(of_atoms if quantity.per == "atom" else of_atoms.sum(dim=0, keepdim=True))
        spectra.append((target * len(known) if quantity.intensive else target) / model.factors[name])
    if not spectra:
        raise ValueError(f"target {name!r} has no value in the training set, from which its spectra could begin")
    rows, of_elements = torch.cat(spectra), torch.cat(counts)
    values, trusted = model.axis.window(rows) if quantity.is_on_energy_grid else (rows, ~torch.isnan(rows))
    what = "atoms" if quantity.per == "atom" else "structures"
    logging.info(f"Fitting a spectrum of each element to {len(values)} {what}")
    found = element_spectra(of_elements, values, trusted)
    chosen = of_elements.sum(dim=0).nonzero().squeeze(1) if those_in_data else None
    placed = at_middle_shift(found, model.axis) if quantity.is_on_energy_grid else found
    model.network.start_spectra(name, placed, chosen)


def _start_mean(model: Any, datasets: Datasets, name: str) -> None:
    sums: Any = 0.0
    for _, _, targets in _batches(datasets, [name]):
        if name in targets:
            row = targets[name].block().values[0].double()
            sums = sums + torch.stack([row.nan_to_num(), (~torch.isnan(row)).double()])
    if isinstance(sums, float):
        raise ValueError(f"target {name!r} has no value in the training set, from whose mean it could begin")
    model.network.start_mean(name, sums[0] / sums[1].clamp_min(1.0))


def _batches(
    datasets: Datasets, names: list[str], with_pairs_of: Any = None, *, everything: bool = False
) -> Iterator[tuple[int, list[System], dict[str, TensorMap]]]:
    """All structures, or evenly drawn ones, one at a time, with their numbers and some of their targets."""
    lists = [] if with_pairs_of is None else get_requested_neighbor_lists(with_pairs_of)
    collate = CollateFn(names, callables=[get_system_with_neighbor_lists_transform(lists)] if lists else [])
    total = sum(len(dataset) for dataset in datasets)
    stride = 1 if everything else max(1, -(-total // MAX_STRUCTURES))
    before = 0
    for dataset in datasets:
        numbers = range(0, len(dataset), stride)
        loader = DataLoader(torch.utils.data.Subset(dataset, numbers), batch_size=1, collate_fn=collate)
        for number, batch in zip(numbers, loader, strict=True):
            systems, targets, _ = unpack_batch(batch)
            yield before + number, systems, targets
        before += len(dataset)
