"""The vector of an atom: its self-returning paths, and the coordinates of its neighbors in their own frame."""

import warnings
from typing import NamedTuple

import torch
from torch import nn

from electrain.nn.batch import Batch
from electrain.nn.cutoff import Cutoff

from .bonds import BondRule, Bonds, find_bonds, name_of
from .neighbors import find_neighbors, find_surroundings
from .paths import PathRule, find_paths

# A standard deviation below this share of the root mean square says nothing: crystals that are nearly perfect.
_LEAST_DEVIATION = 0.01
_ROUND_OFF = 1e-4  # Angstrom, of coordinates that are zero, such as two of the neighbor to which an axis points


class NeighborRule(NamedTuple):
    """Which neighbors have coordinates in the vector."""

    order: int  # neighbors up to so many bonds away; 0 for none
    num_neighbors: int  # that have coordinates, the first ones in the order of `find_surroundings`


class Vectors(NamedTuple):
    """What the network reads of each atom."""

    values: torch.Tensor  # (num_atoms, size)
    frame: torch.Tensor  # (num_atoms, 3, 3) | axes of neighbors in rows; zero where no frame was asked for


class BondingVector(nn.Module):
    r"""The vector :math:`L_n^{(N)}` of each atom.

    Paths of 2 to n hops (:mod:`~.paths`) are followed by the coordinates of neighbors up to N bonds away
    (:mod:`~.neighbors`). Entries are standardised with mean and deviation over the atoms of the same element in the
    training set (:meth:`fit`). Those that are zero for all of them, but for round-off, are ignored from then on.

    :param lengths: (num_elements, num_elements) longest bonds in Angstrom.
    :param width: of the step to zero of a bond's weight, in Angstrom; 0 for none.
    :param paths: which paths are kept.
    :param neighbors: which neighbors have coordinates.
    :param truncate: leave out what does not fit into the vector, with a warning, instead of an error.
    :raises ValueError: for a vector without entries.
    """

    # TorchScript: the types of named tuples are read from the class
    paths: PathRule
    neighbors: NeighborRule
    pairs: Cutoff
    lengths: torch.Tensor  # (num_elements, num_elements) | Angstrom
    mean: torch.Tensor  # (num_elements, size)
    scale: torch.Tensor  # (num_elements, size) | one divided by the deviation, zero for ignored entries

    by_element = True  # `fit` takes statistics of each element

    def __init__(
        self, lengths: torch.Tensor, width: float, paths: PathRule, neighbors: NeighborRule, *, truncate: bool
    ) -> None:
        super().__init__()
        self.size: int = sum(paths.num_paths) + (3 * neighbors.num_neighbors if neighbors.order > 0 else 0)
        if self.size == 0:
            raise ValueError("expected `num_hops` or `neighbor_order` above 0, got 0 for both: atoms would see nothing")
        self.paths, self.neighbors, self.truncate = paths, neighbors, truncate
        self.width = width
        # all pairs that may be bonded; their weights are not used, so the width does not matter
        self.pairs = Cutoff(radius=float(lengths.max()), width=1.0)
        self.has_warned = False
        dtype = torch.get_default_dtype()
        self.register_buffer("lengths", lengths.to(dtype))
        self.register_buffer("mean", torch.zeros(len(lengths), self.size, dtype=dtype))
        self.register_buffer("scale", torch.ones(len(lengths), self.size, dtype=dtype))

    @torch.jit.unused
    @torch.no_grad()
    def fit(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Set mean and variance (num_elements, size) of the raw vectors of a training set."""
        variance = variance.clamp_min(0.0)
        sizes = (variance + mean.square()).sqrt()
        is_path = torch.arange(self.size, device=mean.device) < sum(self.paths.num_paths)
        known = sizes > torch.where(is_path, 0.0, _ROUND_OFF)
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(known, 1.0 / (variance.sqrt() + _LEAST_DEVIATION * sizes), 0.0))

    @torch.jit.export
    def raw(self, batch: Batch) -> torch.Tensor:
        """Vectors before standardisation, (num_atoms, size)."""
        return self.find(batch, False).values

    def forward(self, batch: Batch, with_frame: bool) -> Vectors:
        """Standardised vectors of all atoms, and their frames if asked for."""
        raw = self.find(batch, with_frame)
        values = (raw.values - self.mean[batch.elements]) * self.scale[batch.elements]
        return Vectors(values, raw.frame)

    @torch.jit.unused
    @torch.no_grad()
    def count_paths(self, batch: Batch) -> torch.Tensor:
        """Numbers of paths with 2, 3, ... hops, whether or not they fit, (num_atoms, max_hops - 1) int64.

        :raises ValueError: as :func:`~.paths.find_paths`.
        """
        few = self.paths._replace(num_paths=[1] * len(self.paths.num_paths))  # their values do not matter
        return find_paths(self.bonds(batch), few, batch.system_of_atom).counts

    @torch.jit.unused
    @torch.no_grad()
    def count_neighbors(self, batch: Batch) -> torch.Tensor:
        """Numbers of neighbors, whether or not they fit, (num_atoms, 1) int64."""
        return find_neighbors(self.bonds(batch), self.neighbors.order).counts.unsqueeze(1)

    @torch.jit.export
    def bonds(self, batch: Batch) -> Bonds:
        """Find the bonds of a batch; errors as :func:`~.bonds.find_bonds`."""
        hops = max(self.paths.max_hops, self.neighbors.order, 1)
        return find_bonds(batch, self.pairs, BondRule(self.lengths, self.width), hops)

    @torch.jit.export
    def find(self, batch: Batch, with_frame: bool) -> Vectors:
        """Find the vectors before standardisation, and frames if asked for.

        :raises ValueError: for an atom with more paths or neighbors than the vector has entries, unless they are
            truncated, and as :func:`~.paths.find_paths` and :func:`~.bonds.find_bonds`.
        """
        order = self.neighbors.order
        bonds = self.bonds(batch)
        found = find_paths(bonds, self.paths, batch.system_of_atom)
        self.check_room(found.counts, self.paths.num_paths, "paths", batch.system_of_atom)
        values = [found.values]
        frame = found.values.new_zeros(len(bonds.degrees), 3, 3)
        if order > 0 or with_frame:
            surroundings = find_surroundings(find_neighbors(bonds, max(order, 1)))
            frame = surroundings.frame
            if order > 0:
                most = self.neighbors.num_neighbors
                self.check_room(surroundings.counts.unsqueeze(1), [most], "neighbors", batch.system_of_atom)
                first = surroundings.coordinates[:, :most]
                values.append(nn.functional.pad(first, [0, 0, 0, most - first.shape[1]]).flatten(1))
        return Vectors(torch.cat(values, dim=1), frame)

    @torch.jit.export
    def check_room(self, counts: torch.Tensor, room: list[int], what: str, system_of_atom: torch.Tensor) -> None:
        """Check that an atom has no more paths or neighbors than the vector has entries.

        :param counts: (num_atoms, num_columns) numbers, of paths with 2 hops, 3 hops..., or of neighbors.
        :param room: entries of the vector for each column.
        :param what: ``"paths"`` or ``"neighbors"``.
        :param system_of_atom: (num_atoms,).
        :raises ValueError: naming the atom with most of them, unless they are truncated.
        """
        if (self.truncate and self.has_warned) or counts.numel() == 0:
            return
        excess = counts - torch.tensor(room, device=counts.device)
        if int(excess.max()) <= 0:
            return
        worst = int(excess.argmax())
        atom, column = worst // counts.shape[1], worst % counts.shape[1]
        kind = " paths of " + str(column + 2) + " hops" if what == "paths" else " neighbors"
        limits = " (`num_hops: " + str(self.paths.max_hops) + "`)"
        if what == "neighbors":
            limits = " up to " + str(self.neighbors.order) + " bonds away (`neighbor_order`)"
        found = name_of(atom, system_of_atom) + " has " + str(int(counts[atom, column])) + kind + limits
        found = found + ", but the vector has room for " + str(room[column]) + " (`num_" + what + "`)"
        if self.truncate:
            self.has_warned = True
            number = str(int((excess > 0).any(dim=1).sum()))
            # TorchScript: no stacklevel
            warnings.warn(found + "; some are left out for " + number + " atoms of this batch")  # noqa: B028
        else:
            raise ValueError(found + ": train a model with more room, or with `too_many: truncate`")
