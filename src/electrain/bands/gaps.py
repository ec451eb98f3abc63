"""Band gaps and band edges along a path: how large, direct or indirect, and where."""

from bisect import bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .band_structure import BandStructure

_SAME_ENERGY = 1e-4  # eV, of states that share a band edge
_SAME_POINT = 1e-4  # of fractional coordinates


class BandEdge(NamedTuple):
    """The highest filled or the lowest empty state along a path.

    :param energy: in eV.
    :param k_index: number of its k-point.
    :param k_point: its fractional coordinates, shape ``(3,)``.
    :param where: the same for people, such as ``X``, or ``0.85 Γ-X`` for 85 % of the way from Γ to X.
    :param spin: number of its spin.
    :param band: number of its band.
    """

    energy: float
    k_index: int
    k_point: NDArray[np.float64]
    where: str
    spin: int
    band: int


class BandGap(NamedTuple):
    """The band gap of an insulator along a path.

    :param energy: in eV.
    :param is_direct: whether both edges are at the same k-point, up to its sign and a reciprocal vector.
    :param valence: the highest filled state.
    :param conduction: the lowest empty state.
    :param direct_at_valence: difference to the lowest empty state at the k-point of the highest filled one, in eV.
    :param direct_at_conduction: difference to the highest filled state at the k-point of the lowest empty one, in eV.
    :param direct: the smallest difference between filled and empty states of one k-point, in eV.
    :param direct_where: its k-point, for people.
    """

    energy: float
    is_direct: bool
    valence: BandEdge
    conduction: BandEdge
    direct_at_valence: float
    direct_at_conduction: float
    direct: float
    direct_where: str


def band_gap(bands: BandStructure) -> BandGap | None:
    """Find the gap along the path; ``None`` for a metal.

    If several k-points share an edge (within 0.1 meV), a pair that makes the gap direct is taken, then high-symmetry
    points. A path does not see edges beside it: the gap of the crystal may be smaller.
    """
    edges = bands.edges()
    if edges is None:
        return None
    filled = np.where(bands.energies < bands.zero(), bands.energies, -np.inf).max(axis=(0, 2))
    empty = np.where(bands.energies > bands.zero(), bands.energies, np.inf).min(axis=(0, 2))
    tops, bottoms = np.flatnonzero(filled >= edges[0] - _SAME_ENERGY), np.flatnonzero(empty <= edges[1] + _SAME_ENERGY)
    named = {index for index, _ in bands.labels}
    pairs = [(int(top), int(bottom)) for top in tops for bottom in bottoms]
    top, bottom = min(
        pairs,
        key=lambda pair: (not _same(bands, *pair), *(index not in named for index in pair), pair[0] != pair[1], pair),
    )
    differences = empty - filled
    closest = int(differences.argmin())
    return BandGap(
        edges[1] - edges[0],
        _same(bands, top, bottom),
        _edge(bands, top, filled[top]),
        _edge(bands, bottom, empty[bottom]),
        float(differences[top]),
        float(differences[bottom]),
        float(differences[closest]),
        place(bands, closest),
    )


def equivalent_indices(bands: BandStructure, index: int) -> list[int]:
    """All k-points of the path that are the same as one of them up to the sign and a reciprocal vector."""
    return [other for other in range(len(bands.k_points)) if _same(bands, index, other)]


def place(bands: BandStructure, index: int) -> str:
    """Where a k-point is, for people: ``X``, ``0.85 Γ-X``, or its fractional coordinates if the path has no labels."""
    names = dict(sorted(bands.labels))
    if index in names:
        return names[index]
    ends = list(names)
    after = bisect_right(ends, index)
    if after in (0, len(ends)):
        return "(" + ", ".join(f"{value + 0.0:.3f}" for value in bands.k_points[index]) + ")"
    first, last = ends[after - 1], ends[after]
    distances = bands.distances()
    fraction = float((distances[index] - distances[first]) / (distances[last] - distances[first]))
    if names[last] == "Γ":
        first, last, fraction = last, first, 1.0 - fraction
    return f"{fraction:.2f} {names[first]}-{names[last]}"


def _same(bands: BandStructure, index: int, other: int) -> bool:
    here, there = bands.k_points[index], bands.k_points[other]
    return any(bool(np.abs((here - sign * there + 0.5) % 1.0 - 0.5).max() < _SAME_POINT) for sign in (1.0, -1.0))


def _edge(bands: BandStructure, index: int, energy: float) -> BandEdge:
    spin, band = np.unravel_index(np.abs(bands.energies[:, index] - energy).argmin(), bands.energies[:, index].shape)
    return BandEdge(float(energy), index, bands.k_points[index], place(bands, index), int(spin), int(band))
