"""Bands as they are learned: about the gap, on a given number of k-points along the path of the calculation."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from electrain.bands import BandStructure, KPath, band_window, resampled

_STRAIGHT = 1e-3  # largest difference of the directions of two steps on one line, as unit vectors


class BandTargets(NamedTuple):
    """What is learned of a band structure.

    :param k_points: fractional coordinates, shape ``(num_k_points, 3)``.
    :param energies: in eV relative to the middle of the gap or the Fermi level, shape ``(num_bands, num_k_points)``;
        NaN for bands that do not exist or were not computed.
    :param labels: indices of high-symmetry points with their names.
    """

    k_points: NDArray[np.float64]
    energies: NDArray[np.float64]
    labels: tuple[tuple[int, str], ...]


def band_targets(bands: BandStructure, num_bands: int, num_k_points: int) -> BandTargets:
    """Bring bands to a number of k-points along their own path, and choose those about the gap.

    A path that has this number is left as it is. Of any other one, each line is divided so that the distances of
    k-points are as equal as possible, and keeps its ends and the extrema of its bands, see
    :func:`~electrain.bands.resampled`. Where the path jumps, both ends are k-points, and none lies between them.

    :param num_bands: how many, see :func:`~electrain.bands.band_window`.
    :raises ValueError: for fewer k-points than the path has corners, and as :func:`~electrain.bands.band_window`.
    """
    if len(bands.k_points) != num_k_points:
        bands = _on_own_path(bands, num_k_points)
    return BandTargets(bands.k_points, band_window(bands, num_bands), bands.labels)


def _on_own_path(bands: BandStructure, num_k_points: int) -> BandStructure:
    distances = bands.distances()
    ends, is_jump = _lines(bands)
    lengths = np.where(is_jump, 0.0, distances[ends[1:]] - distances[ends[:-1]])
    fewest = len(ends)
    if num_k_points < fewest:
        raise ValueError(f"expected at least {fewest} k-points, the corners of the path, got {num_k_points}")
    numbers = _divide(lengths, num_k_points - 1 - int(is_jump.sum()))
    k_points, energies = [bands.k_points[:1]], [bands.energies[:, :1]]
    for first, last, number, jumps in zip(ends[:-1], ends[1:], numbers, is_jump, strict=True):
        if jumps:
            k_points.append(bands.k_points[last : last + 1])
            energies.append(bands.energies[:, last : last + 1])
            continue
        own = slice(first, last + 1)
        line = replace(bands, k_points=bands.k_points[own], energies=bands.energies[:, own], labels=())
        points = np.linspace(bands.k_points[first], bands.k_points[last], number + 1)
        found = resampled(line, KPath(bands.atoms, points, ((0, "its start"), (number, "its end"))))
        k_points.append(points[1:])
        energies.append(found.energies[:, 1:])
    corners = np.concatenate([[0], np.cumsum(np.where(is_jump, 1, numbers))])
    places = dict(zip(ends.tolist(), corners.tolist(), strict=True))
    return replace(
        bands,
        k_points=np.concatenate(k_points),
        energies=np.concatenate(energies, axis=1),
        labels=tuple((places[index], name) for index, name in bands.labels),
    )


def _lines(bands: BandStructure) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Indices of the ends of all lines, where the path turns or has a label, and which lines are jumps."""
    steps = np.diff(bands.k_points @ bands.atoms.cell.reciprocal()[:], axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    jumps = bands.jumps()
    directions = steps / lengths[:, None]
    turns = (np.linalg.norm(np.diff(directions, axis=0), axis=1) > _STRAIGHT) | jumps[1:] | jumps[:-1]
    labelled = [index for index, _ in bands.labels]
    ends = np.unique([0, *(1 + np.flatnonzero(turns)), *labelled, len(bands.k_points) - 1])
    return ends, jumps[ends[:-1]]


def _divide(lengths: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Share steps among lines, at least one each but none for a jump, so that the longest one is the shortest possible.

    :param lengths: of the lines, 0 for jumps.
    :param total: number of steps.
    """
    numbers = (lengths > 0).astype(np.int64)
    for _ in range(total - int(numbers.sum())):
        numbers[int(np.argmax(lengths / np.maximum(numbers, 1)))] += 1
    return numbers
