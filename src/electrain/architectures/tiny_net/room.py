"""Room in the vector of an atom for all paths and neighbors of a data set."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from electrain.nn.batch import Batch
from electrain.training.composition import Datasets
from electrain.training.starting import of_each_structure

from .model import make_vector

_LEAST, _MOST = 4, 4096  # entries for paths with one number of hops, and for neighbors


def fit_room(model: Any, sets: Mapping[str, Datasets]) -> None:
    r"""Make room for the paths and neighbors of all atoms of a data set, where the options leave it to the data.

    If an atom has at most n of them, there are :math:`\lceil 5 n / 4 \rceil` entries, at least 4 and at most 4096: a
    quarter more, because structures to come may be denser. These numbers become hyperparameters of the model, which
    its checkpoints have. The layers that read the vector begin anew.

    :param model: a new TinyNet, changed in place.
    :param sets: all data of its training, by what messages call them.
    :raises ValueError: with the number of the structure, for an atom with more than 4096 of them, unless they are
        truncated, and as :func:`~.network.paths.find_paths`.
    """
    vector, hypers = model.network.descriptors, model.hypers
    counters: dict[str, Callable[[Batch], torch.Tensor]] = {}
    if hypers["num_paths"] is None and vector.paths.max_hops > 0:
        counters["paths"] = vector.count_paths
    if hypers["num_neighbors"] is None and vector.neighbors.order > 0:
        counters["neighbors"] = vector.count_neighbors
    if not counters:
        return
    found = _largest_numbers(model, counters, sets)
    room = {what: [min(max(_LEAST, -(-5 * n // 4)), _MOST) for n in numbers] for what, numbers in found.items()}
    hops = _listed(range(2, vector.paths.max_hops + 1))
    names = {"paths": f"paths of {hops} hops", "neighbors": f"neighbors up to {vector.neighbors.order} bonds away"}
    parts = [f"{_listed(room[what])} {names[what]} (at most {_listed(found[what])} in the data)" for what in room]
    logging.info(f"The vector of an atom has room for {'; '.join(parts)}")
    changed = dict(hypers)
    if "paths" in room:
        changed["num_paths"] = room["paths"]
    if "neighbors" in room:
        (changed["num_neighbors"],) = room["neighbors"]
    model.hypers = changed
    model.network.replace_vector(make_vector(changed, model.atomic_types))


def _largest_numbers(
    model: Any, counters: Mapping[str, Callable[[Batch], torch.Tensor]], sets: Mapping[str, Datasets]
) -> dict[str, list[int]]:
    """Largest numbers of an atom: of paths of 2, 3, ... hops, and of neighbors."""
    vector = model.network.descriptors

    def count(batch: Batch) -> dict[str, torch.Tensor]:
        found = {what: counts(batch) for what, counts in counters.items()}
        for what, numbers in found.items():
            if not vector.truncate:
                vector.check_room(numbers, [_MOST] * numbers.shape[1], what, batch.system_of_atom)
        return found

    total = sum(len(dataset) for datasets in sets.values() for dataset in datasets)
    logging.info(f"Counting the {' and '.join(counters)} of each atom in {total} structures")
    largest: dict[str, list[int]] = {}
    for part, datasets in sets.items():
        for _, found in of_each_structure(model, datasets, count, part, everything=True):
            for what, numbers in found.items():
                known = numbers.new_tensor([largest.get(what, [0] * numbers.shape[1])])
                largest[what] = torch.cat([known, numbers]).amax(dim=0).tolist()
    return largest


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
