r"""Neighbors of an atom up to some number of bonds away, in a canonical order, in a frame that they make themselves.

**Order.** Neighbors come in ascending order of :math:`r - \ln W`, with their distance r in Angstrom and the weight W of
the best walk of bonds to them, which is one unless bonds fade out: a neighbor that leaves is the last one before it is
gone. Equal distances, as in crystals, are told apart by the first coordinate in the frame, then by the others.

**Frame.** The first axis points to the first neighbor, the second one to the first neighbor that is not on this axis,
made orthogonal, and the third one likewise. An axis that no neighbor defines is zero: all neighbors are on a line or in
a plane, so symmetry forbids a vector out of it. The axes turn with the structure and are inverted with it.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

from .bonds import Bonds, count_walks, next_hops, site_keys

# TorchScript: functions cannot read module-level numbers, so they are default arguments below.
_EQUAL = 1e-4  # Angstrom; shorter gaps between distances or coordinates are round-off
_LEAST_SINE = 0.1  # of the angle to the axes before, for a neighbor to define the next axis
_AT_ONCE = 1_000_000  # walks in memory at the same time
_FEW = 16  # first neighbors, among which the axes of the frame are looked for before all others


class Neighbors(NamedTuple):
    """The neighbors of all atoms of a batch; empty slots have a weight of zero."""

    vectors: torch.Tensor  # (num_atoms, length, 3) | Angstrom, from the atom to its neighbor
    weights: torch.Tensor  # (num_atoms, length)
    counts: torch.Tensor  # (num_atoms,) int64


class Surroundings(NamedTuple):
    """Neighbors in their frame."""

    frame: torch.Tensor  # (num_atoms, 3, 3) | an axis in each row, times the weight of the neighbor that defines it
    coordinates: torch.Tensor  # (num_atoms, length, 3) | Angstrom, in canonical order, times the weights
    counts: torch.Tensor  # (num_atoms,) int64 | number of neighbors


class _Reached(NamedTuple):
    """Sites that some atoms reach, each once, by the walk with the largest weight, in ascending order of the atoms."""

    atoms: torch.Tensor  # (num_rows,) int64
    rows: torch.Tensor  # (num_sites,) int64 | which of these atoms
    ends: torch.Tensor  # (num_sites,) int64
    images: torch.Tensor  # (num_sites,) int64
    bonds: torch.Tensor  # (num_sites, hops) int64 | of this walk; the number of bonds where it has fewer hops
    weights: torch.Tensor  # (num_sites,) | product of those of its bonds


class _Ties(NamedTuple):
    """An order of the neighbors of all atoms, and those of them that are equal so far."""

    order: torch.Tensor  # (num_slots,) int64 | slots of the neighbors of the first atom, then of the second one, ...
    places: torch.Tensor  # (num_ties,) int64 | of neighbors in this order that are equal to the last or the next one
    groups: torch.Tensor  # (num_ties,) int64 | ascending, the same number for equal ones


def find_neighbors(bonds: Bonds, order: int, at_once: int = _AT_ONCE) -> Neighbors:
    """Find the neighbors of all atoms that are up to so many bonds away.

    :param bonds: of the batch.
    :param order: largest number of bonds, at least 1.
    :param at_once: about so many walks are in memory at the same time.
    """
    num_atoms, device = len(bonds.degrees), bonds.degrees.device
    parts: list[_Reached] = []
    if num_atoms > 0:
        # in space, the number of sites grows at most with the third power of the number of bonds
        degree = float(bonds.degrees.max())
        most = min(float(count_walks(bonds, order).max()), max(1, order - 1) ** 3 * degree * degree)
        step = max(1, int(at_once / max(1.0, most)))
        for first in range(0, num_atoms, step):
            parts.append(_reach(torch.arange(first, min(first + step, num_atoms), device=device), bonds, order))
    none = torch.zeros(0, dtype=torch.int64, device=device)
    rows = torch.cat([none] + [part.atoms[part.rows] for part in parts])
    hops = torch.cat([none.reshape(0, order)] + [part.bonds for part in parts])
    one_more, factors = functional.pad(bonds.vectors, [0, 0, 0, 1]), functional.pad(bonds.weights, [0, 1], value=1.0)
    vectors, weights = bonds.vectors.new_zeros(len(rows), 3), bonds.weights.new_ones(len(rows))
    for hop in range(order):
        vectors = vectors + one_more.index_select(0, hops[:, hop])
        weights = weights * factors.index_select(0, hops[:, hop])
    counts = torch.zeros_like(bonds.degrees).index_add(0, rows, torch.ones_like(rows))
    length = int(counts.max()) if num_atoms > 0 else 0
    slots = rows * length + torch.arange(len(rows), device=device) - (torch.cumsum(counts, 0) - counts)[rows]
    return Neighbors(
        vectors=vectors.new_zeros(num_atoms * length, 3).index_copy(0, slots, vectors).reshape(num_atoms, length, 3),
        weights=weights.new_zeros(num_atoms * length).index_copy(0, slots, weights).reshape(num_atoms, length),
        counts=counts,
    )


def _reach(atoms: torch.Tensor, bonds: Bonds, order: int) -> _Reached:
    """Sites up to so many bonds away from some atoms, without the atoms themselves."""
    rows = torch.arange(len(atoms), device=atoms.device)
    no_hops = torch.zeros(len(atoms), 0, dtype=torch.int64, device=atoms.device)
    ones = bonds.weights.new_ones(len(atoms))
    known = _Reached(atoms, rows, atoms, torch.zeros_like(atoms), no_hops, ones)
    # the number behind the last bond stands for no hop
    images, weights = functional.pad(bonds.images, [0, 1]), functional.pad(bonds.weights.detach(), [0, 1], value=1.0)
    for _ in range(order):
        parents, hops = next_hops(known.ends, bonds)
        before = torch.cat([torch.arange(len(known.rows), device=hops.device), parents])
        last = torch.cat([torch.full_like(known.rows, len(bonds.neighbors)), hops])
        longer = _Reached(
            atoms=atoms,
            rows=known.rows.index_select(0, before),
            ends=torch.cat([known.ends, bonds.neighbors.index_select(0, hops)]),
            images=known.images.index_select(0, before) + images.index_select(0, last),
            bonds=torch.cat([known.bonds.index_select(0, before), last.unsqueeze(1)], dim=1),
            weights=known.weights.index_select(0, before) * weights.index_select(0, last),
        )
        known = _best(longer, bonds)
    others = torch.nonzero((known.images != 0) | (known.ends != atoms[known.rows])).squeeze(1)
    return _chosen(known, others)


def _best(reached: _Reached, bonds: Bonds) -> _Reached:
    """Of several walks to the same site, the one with the largest weight."""
    order = torch.argsort(reached.weights, descending=True, stable=True)
    keys = site_keys(reached.rows, reached.ends, reached.images, bonds).index_select(0, order)
    keys, by_site = torch.sort(keys, stable=True)
    first = torch.ones_like(keys, dtype=torch.bool)
    first[1:] = keys[1:] != keys[:-1]
    return _chosen(reached, order[by_site[first]])


def _chosen(reached: _Reached, index: torch.Tensor) -> _Reached:
    return _Reached(
        reached.atoms,
        reached.rows.index_select(0, index),
        reached.ends.index_select(0, index),
        reached.images.index_select(0, index),
        reached.bonds.index_select(0, index),
        reached.weights.index_select(0, index),
    )


def find_surroundings(neighbors: Neighbors) -> Surroundings:
    """Put neighbors in canonical order into their frame, both of which are differentiable where no order changes."""
    vectors, weights = neighbors.vectors, neighbors.weights
    num_atoms, length = weights.shape[0], weights.shape[1]
    if length == 0:
        return Surroundings(vectors.new_zeros(num_atoms, 3, 3), vectors, neighbors.counts)
    distances = torch.linalg.vector_norm(vectors.detach(), dim=2)
    keys = torch.where(weights.detach() > 0, distances - torch.log(weights.detach()), torch.inf)
    keys, order = torch.sort(keys, dim=1)
    vectors, weights = vectors.flatten(0, 1), weights.flatten()
    places = torch.arange(len(weights), device=weights.device)
    atoms = torch.div(places, length, rounding_mode="floor")
    ties = _ties(_Ties((order + length * atoms[::length].unsqueeze(1)).flatten(), places, atoms), keys.flatten())
    frame = vectors.new_zeros(num_atoms, 0, 3)
    axes: list[torch.Tensor] = []
    for _ in range(3):
        axis, factor = _first_axis(vectors, weights, ties.order.reshape(num_atoms, length), frame)
        frame = torch.cat([frame, axis.unsqueeze(1)], dim=1)
        axes.append(axis * factor.unsqueeze(1))
        # neighbors at equal distances are told apart by their coordinates along the new axis
        along = vectors.detach()[ties.order[ties.places]] * axis.detach()[atoms[ties.places]]
        ties = _refined(ties, -along.sum(dim=1))
    ordered = vectors.index_select(0, ties.order).reshape(num_atoms, length, 3)
    coordinates = torch.bmm(ordered, frame.transpose(1, 2))
    coordinates = coordinates * weights.index_select(0, ties.order).reshape(num_atoms, length, 1)
    return Surroundings(torch.stack(axes, dim=1), coordinates, neighbors.counts)


def _refined(ties: _Ties, keys: torch.Tensor) -> _Ties:
    """Sort equal neighbors by keys, (num_ties,), and keep those that are still equal."""
    by_key = torch.argsort(keys)
    groups, by_group = torch.sort(ties.groups[by_key], stable=True)
    sorting = by_key[by_group]
    order = ties.order.index_copy(0, ties.places, ties.order[ties.places[sorting]])
    return _ties(_Ties(order, ties.places, groups), keys[sorting])


def _ties(among: _Ties, keys: torch.Tensor, equal: float = _EQUAL) -> _Ties:
    """Of neighbors in ascending order of group and key, those whose keys have no gap.

    They are put in the order of their slots, whatever the round-off of their keys is. Empty slots have infinite keys,
    whose difference is not a number: they are not equal.
    """
    joined = (keys[1:] - keys[:-1] <= equal) & (among.groups[1:] == among.groups[:-1])
    no = torch.zeros_like(keys[:1], dtype=torch.bool)
    equals_last, equals_next = torch.cat([no, joined]), torch.cat([joined, no])
    tied = torch.nonzero(equals_last | equals_next).squeeze(1)
    groups = torch.cumsum((~equals_last[tied]).to(torch.int64), 0)
    places = among.places[tied]
    both = torch.sort(groups * len(among.order) + among.order[places])[0]
    order = among.order.index_copy(0, places, both % len(among.order))
    return _Ties(order, places, groups)


def _first_axis(
    vectors: torch.Tensor, weights: torch.Tensor, order: torch.Tensor, frame: torch.Tensor, few: int = _FEW
) -> tuple[torch.Tensor, torch.Tensor]:
    """The next axis of the neighbors (num_atoms * length) in an order (num_atoms, length); the first few mostly do."""
    first = order[:, :few]
    axis, factor = _next_axis(vectors[first], weights[first], frame)
    if few < order.shape[1] and not bool((factor > 0).all()):
        axis, factor = _next_axis(vectors[order], weights[order], frame)
    return axis, factor


def _next_axis(
    vectors: torch.Tensor, weights: torch.Tensor, frame: torch.Tensor, least: float = _LEAST_SINE
) -> tuple[torch.Tensor, torch.Tensor]:
    """The axis to the first neighbor that is not in the space of the axes so far, and the weight of this neighbor.

    :param vectors: (num_atoms, length, 3) in order.
    :param weights: (num_atoms, length), zero in empty slots.
    :param frame: (num_atoms, num_axes, 3) orthonormal axes, some of which may be zero.
    :return: axis (num_atoms, 3), zero if there is no such neighbor, and weight (num_atoms,).
    """
    rest = vectors - torch.bmm(torch.bmm(vectors, frame.transpose(1, 2)), frame)
    sines = torch.linalg.vector_norm(rest.detach(), dim=2)
    sines = sines / torch.linalg.vector_norm(vectors.detach(), dim=2).clamp_min(1e-10)
    open_slots = ((sines > least) & (weights > 0)).to(torch.int64)
    first = open_slots.argmax(dim=1, keepdim=True)
    found = open_slots.gather(1, first)
    chosen = rest.gather(1, first.unsqueeze(2).expand(-1, -1, 3)).squeeze(1)
    # a vector of zeros has no derivative of its length
    chosen = torch.where(found > 0, chosen, torch.ones_like(chosen))
    axis = chosen / torch.linalg.vector_norm(chosen, dim=1, keepdim=True)
    return axis * found, (weights.gather(1, first) * found).squeeze(1)
