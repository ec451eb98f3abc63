"""Bonds between atoms, and walks from bond to bond.

A site is an atom in one of its periodic images. In a walk from atom i, the sites that it visits are numbered relative
to the image of i from which it starts, so that two walks of the same atom meet where these numbers are equal.
"""

from typing import NamedTuple

import torch

from electrain.nn.batch import Batch
from electrain.nn.cutoff import Cutoff, cutoff_weights
from electrain.nn.edges import find_edges

# TorchScript: functions cannot read module-level numbers, so it is a default argument below.
# Largest product of numbers that make up an index of a site, in which 64 bits must not overflow.
_LARGEST_INDEX = 4e18


class BondRule(NamedTuple):
    """Which pairs of atoms are bonds."""

    lengths: torch.Tensor  # (num_elements, num_elements) | Angstrom, of the longest bond between two elements
    width: float  # Angstrom, of the step to zero of a bond's weight below this length; 0 for none


class Bonds(NamedTuple):
    """All bonds i -> j of a batch in ascending order of i; each comes with its reverse."""

    neighbors: torch.Tensor  # (num_bonds,) int64 | atom j
    images: torch.Tensor  # (num_bonds,) int64 | shift of the periodic image, as a number; those of a walk add up
    vectors: torch.Tensor  # (num_bonds, 3) | Angstrom, from i to j
    weights: torch.Tensor  # (num_bonds,) | 1, or less near the length at which the bond breaks
    values: torch.Tensor  # (num_bonds,) | weight times exp(-length in Angstrom)
    first: torch.Tensor  # (num_atoms,) int64 | first bond of each atom
    degrees: torch.Tensor  # (num_atoms,) int64 | number of its bonds
    num_images: int  # `images` of walks are within +-(num_images - 1) / 2


class Walks(NamedTuple):
    """Walks of equally many hops, in ascending order of the atoms from which they start."""

    rows: torch.Tensor  # (num_walks,) int64 | index of the first atom among those for which walks were asked
    ends: torch.Tensor  # (num_walks,) int64 | last atom
    images: torch.Tensor  # (num_walks,) int64 | and its image
    bonds: torch.Tensor  # (num_walks, hops) int64
    sites: torch.Tensor  # (num_walks, hops) int64 | after each hop; (num_walks, 0) if walks may visit a site again
    parents: torch.Tensor  # (num_walks,) int64 | index of the walk without the last hop
    values: torch.Tensor  # (num_walks,) | product of those of the bonds


def find_bonds(batch: Batch, pairs: Cutoff, rule: BondRule, hops: int) -> Bonds:
    """Find the bonds of a batch.

    :param batch: structures with all pairs within the radius of ``pairs``.
    :param pairs: the pairs that are looked at.
    :param rule: those that are bonds.
    :param hops: largest number of hops of a walk.
    :raises ValueError: as :func:`~electrain.nn.edges.find_edges`.
    """
    edges = find_edges(batch, pairs)
    shifts = edges.cell_shifts
    assert shifts is not None
    longest = rule.lengths[batch.elements[edges.centers], batch.elements[edges.neighbors]].to(edges.distances.dtype)
    inside = edges.distances < longest
    kept = torch.nonzero(inside & inside[edges.reverse]).squeeze(1)  # round-off must not leave half a bond
    centers, lengths, shifts = edges.centers[kept], edges.distances[kept], shifts[kept]
    weights = torch.ones_like(lengths)
    if rule.width > 0.0:
        weights = cutoff_weights(lengths, longest[kept], rule.width, "cosine")
    reach = hops * int(shifts.abs().max()) if len(kept) > 0 else 0
    base = 2 * reach + 1
    num_atoms = len(batch.positions)
    degrees = torch.zeros(num_atoms, dtype=torch.int64, device=kept.device)
    degrees = degrees.index_add(0, centers, torch.ones_like(centers))
    return Bonds(
        neighbors=edges.neighbors[kept],
        images=(shifts[:, 0] * base + shifts[:, 1]) * base + shifts[:, 2],
        vectors=edges.vectors[kept],
        weights=weights,
        values=weights * torch.exp(-lengths),
        first=torch.cumsum(degrees, 0) - degrees,
        degrees=degrees,
        num_images=base * base * base,
    )


def site_keys(
    rows: torch.Tensor, ends: torch.Tensor, images: torch.Tensor, bonds: Bonds, largest: float = _LARGEST_INDEX
) -> torch.Tensor:
    """One number for each pair of row and site, ascending with the row.

    :raises ValueError: if sites are too many to be numbered.
    """
    num_atoms = len(bonds.degrees)
    num_rows = int(rows.max()) + 1 if len(rows) > 0 else 1
    if float(bonds.num_images) * num_atoms * num_rows > largest:
        raise ValueError("bonded atoms are too many cells apart to number all sites: wrap the positions into the cell")
    return (rows * bonds.num_images + images + (bonds.num_images - 1) // 2) * num_atoms + ends


def start_walks(atoms: torch.Tensor, bonds: Bonds) -> Walks:
    """Walks without hops from these atoms."""
    rows = torch.arange(len(atoms), device=atoms.device)
    none = torch.zeros(len(atoms), 0, dtype=torch.int64, device=atoms.device)
    ones = torch.ones(len(atoms), dtype=bonds.values.dtype, device=atoms.device)
    return Walks(rows, atoms, torch.zeros_like(atoms), none, none, rows, ones)


def next_hops(ends: torch.Tensor, bonds: Bonds) -> tuple[torch.Tensor, torch.Tensor]:
    """All bonds that lead on from walks with these last atoms: indices of the walks, ascending, and of the bonds."""
    count = bonds.degrees[ends]
    parents = torch.repeat_interleave(count, output_size=int(count.sum()))
    shift = bonds.first[ends] - (torch.cumsum(count, 0) - count)
    return parents, torch.arange(len(parents), device=count.device) + shift.index_select(0, parents)


def extend_walks(walks: Walks, bonds: Bonds, atoms: torch.Tensor, simple: bool) -> Walks:
    """All walks with one hop more, without gradients.

    :param walks: those so far.
    :param bonds: of the batch.
    :param atoms: (num_rows,) from which the walks start.
    :param simple: leave out walks that visit a site twice, or return to their start.
    """
    parents, hops = next_hops(walks.ends, bonds)
    ends = bonds.neighbors.index_select(0, hops)
    images = walks.images.index_select(0, parents) + bonds.images.index_select(0, hops)
    sites = walks.sites.index_select(0, parents)
    if simple:
        site = images * len(bonds.degrees) + ends
        new = site != atoms[walks.rows[parents]]
        for column in range(sites.shape[1]):
            new = new & (site != sites[:, column])
        kept = torch.nonzero(new).squeeze(1)
        parents, hops, ends, images = parents[kept], hops[kept], ends[kept], images[kept]
        sites = torch.cat([sites[kept], site[kept].unsqueeze(1)], dim=1)
    return Walks(
        rows=walks.rows.index_select(0, parents),
        ends=ends,
        images=images,
        bonds=torch.cat([walks.bonds.index_select(0, parents), hops.unsqueeze(1)], dim=1),
        sites=sites,
        parents=parents,
        values=walks.values.index_select(0, parents) * bonds.values.detach().index_select(0, hops),
    )


def count_walks(bonds: Bonds, hops: int) -> torch.Tensor:
    """Number of walks of so many hops from each atom, (num_atoms,) float64."""
    num_atoms = len(bonds.degrees)
    centers = torch.repeat_interleave(torch.arange(num_atoms, device=bonds.degrees.device), bonds.degrees)
    number = torch.ones(num_atoms, dtype=torch.float64, device=bonds.degrees.device)
    for _ in range(hops):
        number = torch.zeros_like(number).index_add(0, centers, number[bonds.neighbors])
    return number


def name_of(atom: int, system_of_atom: torch.Tensor) -> str:
    """Name an atom of a batch, for messages."""
    system = int(system_of_atom[atom])
    number = int((system_of_atom[:atom] == system).sum())
    return "atom " + str(number) + " of structure " + str(system) + " (numbered through the batch)"
