r"""Self-returning paths of bonds, from which an atom knows its chemical bonding.

A path of k hops leads from an atom over bonds back to the same atom, in the same periodic image. Its value is
:math:`\prod_b w_b e^{-r_b}` with the lengths r of its bonds in Angstrom and their weights w, which are one unless bonds
fade out: :math:`e^{-\sum_b r_b}`. A path and its reverse have the same bonds and are one path.

Paths are not searched for hop by hop: most walks never return. Walks of at most half the hops are joined in pairs that
start at the same atom and meet at the same site, so that every pair is a path.

Source: Shafir and Grinberg, "Bonding-aware materials representation for deep learning atomistic models".
"""

from typing import NamedTuple

import torch
from torch.nn import functional

from .bonds import Bonds, Walks, count_walks, extend_walks, name_of, site_keys, start_walks

# TorchScript: functions cannot read module-level numbers, so they are default arguments below.
_AT_ONCE = 1_000_000  # walks, and slots for paths, in memory at the same time
_MAX_PER_ATOM = 10_000_000  # walks or paths; more would need gigabytes


class PathRule(NamedTuple):
    """Which paths there are, and how many of them are kept."""

    max_hops: int  # 0, or an even number
    simple: bool  # whether paths may visit no site twice; a bond forth and back is such a path
    num_paths: list[int]  # how many with the largest values are kept, for 2, 3, ... hops up to the largest number


class Paths(NamedTuple):
    """Paths of the atoms of a batch."""

    values: torch.Tensor  # (num_atoms, sum of num_paths) | by hops, then descending, padded with zero
    counts: torch.Tensor  # (num_atoms, max_hops - 1) int64 | how many paths there are, also those that are not kept


class _Joined(NamedTuple):
    """Paths of some atoms with one number of hops."""

    values: torch.Tensor  # (num_rows, num_paths of this number of hops)
    counts: torch.Tensor  # (num_rows,) int64


class _Sites(NamedTuple):
    """Where the walks of a set end."""

    keys: torch.Tensor  # (num_walks,) int64 | of row and site, ascending
    order: torch.Tensor  # (num_walks,) int64 | the walks in this order


class _Meetings(NamedTuple):
    """For each walk of a set, the walks of another one that end at the same site."""

    order: torch.Tensor  # of the others by site
    first: torch.Tensor  # (num_walks,) int64 | where the ones at the same site begin in this order
    number: torch.Tensor  # (num_walks,) int64 | and how many they are


def find_paths(
    bonds: Bonds, rule: PathRule, system_of_atom: torch.Tensor, at_once: int = _AT_ONCE, limit: int = _MAX_PER_ATOM
) -> Paths:
    """Find the paths of all atoms with the largest values.

    Which paths these are is found without gradients and piece by piece, so that memory does not grow with the number of
    paths; the values of the ones that are kept are differentiable.

    :param bonds: of the batch.
    :param rule: which paths are kept.
    :param system_of_atom: (num_atoms,) int64, for messages.
    :param at_once: largest number of walks in memory at the same time, if one atom has no more.
    :param limit: largest number of walks or paths of an atom.
    :raises ValueError: for an atom with more of them.
    """
    num_atoms, num_counts = len(bonds.degrees), max(0, rule.max_hops - 1)
    if num_counts == 0 or num_atoms == 0:
        none = bonds.values.new_zeros(num_atoms, sum(rule.num_paths))
        return Paths(none, torch.zeros(num_atoms, num_counts, dtype=torch.int64, device=none.device))
    num_walks = count_walks(bonds, rule.max_hops // 2)
    largest = float(num_walks.max())
    if largest > limit:
        raise ValueError(_too_many("walks", largest, rule.max_hops // 2, int(num_walks.argmax()), system_of_atom, rule))
    step = max(1, int(at_once / max(1.0, largest)))
    # atoms with similar numbers of paths follow each other, because those in one piece get a table of equal rows
    order = torch.argsort(num_walks, descending=True, stable=True)
    values: list[torch.Tensor] = []
    counts: list[torch.Tensor] = []
    for first in range(0, num_atoms, step):
        atoms = order[first : first + step]
        walks = [start_walks(atoms, bonds)]
        sites = [_sites(walks[0], bonds)]
        for _ in range(rule.max_hops // 2):
            walks.append(extend_walks(walks[-1], bonds, atoms, rule.simple))
            sites.append(_sites(walks[-1], bonds))
        found: list[_Joined] = []
        for hops in range(2, rule.max_hops + 1):
            half = hops // 2
            met = _meetings(sites[half], sites[hops - half], hops == 2 * half)
            found.append(
                _join(walks[half], walks[hops - half], met, atoms, bonds, rule, system_of_atom, at_once, limit)
            )
        values.append(torch.cat([one.values for one in found], dim=1))
        counts.append(torch.stack([one.counts for one in found], dim=1))
    rows = torch.argsort(order)
    return Paths(torch.cat(values)[rows], torch.cat(counts)[rows])


def _sites(walks: Walks, bonds: Bonds) -> _Sites:
    """Sort the sites where walks end."""
    keys, order = torch.sort(site_keys(walks.rows, walks.ends, walks.images, bonds))
    return _Sites(keys, order)


def _meetings(ends: _Sites, others: _Sites, same: bool) -> _Meetings:
    """Pairs of walks that meet; of two walks in the same set, the first with itself and those behind it."""
    if same:
        _, site, number = torch.unique_consecutive(ends.keys, return_inverse=True, return_counts=True)
        first = torch.arange(len(site), device=site.device)
        number = torch.cumsum(number, 0)[site] - first
    else:
        first = torch.searchsorted(others.keys, ends.keys)
        number = torch.searchsorted(others.keys, ends.keys, right=True) - first
    both = torch.stack([first, number])
    both = torch.empty_like(both).index_copy(1, ends.order, both)
    return _Meetings(others.order, both[0], both[1])


def _join(
    walks: Walks,
    longer: Walks,
    met: _Meetings,
    atoms: torch.Tensor,
    bonds: Bonds,
    rule: PathRule,
    system_of_atom: torch.Tensor,
    at_once: int,
    limit: int,
) -> _Joined:
    """Paths out along a walk, and back along another one that has as many hops or one more."""
    per_row = torch.zeros_like(atoms).index_add(0, walks.rows, met.number)
    hops = walks.bonds.shape[1] + longer.bonds.shape[1]
    numbers: list[int] = per_row.tolist()  # TorchScript: `tolist` needs its type spelled out
    if max(numbers) > limit:
        row = int(per_row.argmax())
        raise ValueError(_too_many("paths", float(numbers[row]), hops, int(atoms[row]), system_of_atom, rule))
    values: list[torch.Tensor] = []
    counts: list[torch.Tensor] = []
    first = 0
    for last in _ends_of_pieces(numbers, at_once):
        ends = torch.searchsorted(walks.rows, torch.tensor([first, last], device=atoms.device))
        chosen = torch.arange(int(ends[0]), int(ends[1]), device=atoms.device)
        found = _largest_paths(walks, longer, chosen, met, first, per_row[first:last], bonds, rule)
        values.append(found.values)
        counts.append(found.counts)
        first = last
    return _Joined(torch.cat(values), torch.cat(counts))


def _ends_of_pieces(numbers: list[int], at_once: int) -> list[int]:
    """Divide rows with so many paths into pieces whose tables are not large, and not mostly empty."""
    ends: list[int] = []
    first, largest = 0, 0
    for row, number in enumerate(numbers):
        largest = max(largest, number)
        if row > first and ((row + 1 - first) * largest > at_once or 4 * number < largest):
            ends.append(row)
            first, largest = row, number
    ends.append(len(numbers))
    return ends


def _largest_paths(
    walks: Walks,
    longer: Walks,
    chosen: torch.Tensor,
    met: _Meetings,
    first_row: int,
    per_row: torch.Tensor,
    bonds: Bonds,
    rule: PathRule,
) -> _Joined:
    """The largest values of the paths of some rows, which go out along the chosen walks."""
    # the only large tensors have an entry for each path; `index_select` is much faster for them than brackets
    count = met.number[chosen]
    starts = torch.cumsum(per_row, 0) - per_row
    total, length = int(count.sum()), max(1, int(per_row.max()))
    number = torch.arange(total, device=count.device)
    which = torch.repeat_interleave(count, output_size=total)
    out = chosen.index_select(0, which)
    shift = met.first[chosen] - (torch.cumsum(count, 0) - count)
    back = met.order.index_select(0, number + shift.index_select(0, which))
    values = walks.values.index_select(0, out) * longer.values.index_select(0, back)
    if walks.bonds.shape[1] < longer.bonds.shape[1]:
        # one of the two directions: the two walks out begin differently, because no bond leads from a site to itself
        values = torch.where(out < longer.parents.index_select(0, back), values, 0.0)
    if rule.simple:
        for i in range(walks.sites.shape[1] - 1):
            for j in range(longer.sites.shape[1] - 1):
                values = torch.where(walks.sites[out, i] == longer.sites[back, j], 0.0, values)
    rows = walks.rows[chosen] - first_row
    slots = number + (rows * length - starts[rows]).index_select(0, which)
    table = values.new_zeros(len(per_row) * length).scatter(0, slots, values).reshape(-1, length)
    room = rule.num_paths[walks.bonds.shape[1] + longer.bonds.shape[1] - 2]
    largest, columns = torch.topk(table, min(room, length), dim=1)
    counts = (table > 0).sum(dim=1)
    if total > 0:
        paths = (starts.unsqueeze(1) + columns).clamp_max(total - 1).flatten()
        out, back = out.index_select(0, paths), back.index_select(0, paths)
        ways = [walks.bonds.index_select(0, out), longer.bonds.index_select(0, back)]
        product = torch.ones_like(largest).flatten()
        for way in ways:
            for hop in range(way.shape[1]):
                product = product * bonds.values.index_select(0, way[:, hop])
        largest = _mean_of_equal(torch.where(largest > 0, product.reshape(largest.shape), 0.0))
    return _Joined(functional.pad(largest, [0, room - largest.shape[1]]), counts)


def _mean_of_equal(values: torch.Tensor) -> torch.Tensor:
    """Replace values in descending rows that are equal, but for round-off, by their mean.

    It has their values, and the mean of their derivatives. In a perfect crystal, many paths are equal, and which of
    them round-off puts first would otherwise decide about forces and stress.
    """
    numbers = values.detach()
    equal = 1e-9 if numbers.dtype == torch.float64 else 1e-5
    gaps = numbers[:, :-1] - numbers[:, 1:] > equal * numbers[:, 1:]
    first = torch.ones_like(numbers[:, :1], dtype=torch.bool)
    groups = torch.cumsum(torch.cat([first, gaps], dim=1).flatten().to(torch.int64), 0) - 1
    sizes = torch.zeros_like(numbers.flatten()).index_add(0, groups, torch.ones_like(numbers.flatten()))
    sums = torch.zeros_like(numbers.flatten()).index_add(0, groups, values.flatten())
    return (sums / sizes.clamp_min(1.0))[groups].reshape(values.shape)


def _too_many(what: str, number: float, hops: int, atom: int, system_of_atom: torch.Tensor, rule: PathRule) -> str:
    """Message about an atom that has more walks or paths than fit into memory."""
    return (
        name_of(atom, system_of_atom)
        + " has "
        + str(int(number))
        + " "
        + what
        + " of "
        + str(hops)
        + " hops, too many for memory with `num_hops: "
        + str(rule.max_hops)
        + "`: choose fewer hops, `paths: simple_cycles`, or a definition of bonds with fewer of them"
    )
