"""Bands on the k-points of a path, from any sampling of its lines."""

import itertools
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from electrain.structures.cells import is_same_cell

from .band_structure import BandStructure
from .k_paths import KPath

_SAME_POINT = 2e-4  # of fractional coordinates, which files have with four decimals or more
_SAME_LENGTH = 1e-3  # relative, of a line between two k-points
_SAME_ENERGY = 1e-6  # eV, of k-points that share the extremum of a band


class _Samples(NamedTuple):
    """Given energies on one line: positions in 1/A from its start, and energies in eV, (spin, k-point, band)."""

    positions: NDArray[np.float64]
    energies: NDArray[np.float64]


def resampled(bands: BandStructure, path: KPath, smoothing: float | None = None) -> BandStructure:
    r"""Bring bands to the k-points of a path.

    Each line of the path is looked up in the given bands, in either direction, and with k replaced by -k or shifted by
    a reciprocal vector; so these may have more or fewer k-points, jumps, and lines in another order. On a line, each
    band is a piecewise cubic polynomial of the path length that is monotone between given k-points (PCHIP): it passes
    through all of them and never beyond them. Then the maximum and the minimum of each band are put onto the closest
    k-point of the path, if they lie between two of them. Therefore, if every line has a k-point between its ends:

    - energies at high-symmetry points are those given;
    - band edges of an insulator, and so its gap, are those given along the path;
    - no band leaves the range between its given minimum and maximum, and it reaches both, unless the next band, which
      has this energy elsewhere, comes in between on this k-point.

    With smoothing, energies are averaged along the path with Gaussian weights, also across corners, as Bandformer's
    authors do (they name no width). This moves an extremum of mass m by :math:`\hbar^2 \sigma^2 / 2m` into the band:
    with :math:`\sigma` = 0.05 1/A and m = 0.1 electron masses by 95 meV. The gap of silicon in a tight-binding model,
    1.171 eV, becomes 1.194 eV, and 1.261 eV with 0.1 1/A.

    :param bands: energies in eV on lines that include those of the path, for the same cell.
    :param path: the k-points.
    :param smoothing: :math:`\sigma`, the standard deviation of Gaussian weights in 1/A; default: none.
    :raises ValueError: for another crystal or cell, if a line of the path is missing, or for a smoothing that is not
        positive.
    """
    if smoothing is not None and not 0.0 < smoothing < np.inf:
        raise ValueError(f"expected a positive smoothing in 1/A, got {smoothing}")
    _check_same_crystal(bands, path)
    distances = path.distances()
    energies = np.empty((bands.energies.shape[0], len(path.k_points), bands.energies.shape[2]))
    lines: list[tuple[int, int, _Samples]] = []
    for (first, _), (last, _) in itertools.pairwise(path.labels):
        samples = _samples(bands, path, first, last, float(distances[last] - distances[first]))
        lines.append((first, last, samples))
        positions = np.clip(distances[first : last + 1] - distances[first], 0.0, samples.positions[-1])
        energies[:, first : last + 1] = PchipInterpolator(samples.positions, samples.energies, axis=1)(positions)
    # Two polynomials may cross between the given k-points.
    energies.sort(axis=2)
    if smoothing is None:
        _put_extrema_back(energies, distances, lines)
    else:
        energies = _smoothed(energies, distances, smoothing)
    return replace(bands, atoms=path.atoms, k_points=path.k_points, energies=energies, labels=path.labels)


def _check_same_crystal(bands: BandStructure, path: KPath) -> None:
    formulas = bands.atoms.get_chemical_formula(), path.atoms.get_chemical_formula()
    if formulas[0] != formulas[1]:
        raise ValueError(f"expected bands and path of the same crystal, got {formulas[0]} and {formulas[1]}")
    if not is_same_cell(bands.atoms.cell[:], path.atoms.cell[:]):
        cells = [" ".join(f"{value:.4f}" for value in atoms.cell.cellpar()) for atoms in (bands.atoms, path.atoms)]
        raise ValueError(
            f"expected bands of {formulas[0]} in the cell of the path, {cells[1]} (A and degrees), because k-points "
            f"refer to it, got {cells[0]}: compute bands in the standardised cell that k_path(atoms).atoms has"
        )


def _samples(bands: BandStructure, path: KPath, first: int, last: int, length: float) -> _Samples:
    """Given energies on the line between two k-points of the path."""
    found = bands.distances()
    is_jump = bands.jumps()
    best: NDArray[np.int64] | None = None
    for sign in (1.0, -1.0):
        start, end = sign * path.k_points[first], sign * path.k_points[last]
        shifts = np.round(bands.k_points - start)
        for here in np.flatnonzero(np.abs(bands.k_points - start - shifts).max(axis=1) < _SAME_POINT):
            there = np.flatnonzero(np.abs(bands.k_points - end - shifts[here]).max(axis=1) < _SAME_POINT)
            for other in there[np.abs(np.abs(found[there] - found[here]) - length) < _SAME_LENGTH * length]:
                along = np.arange(here, other + 1) if other > here else np.arange(here, other - 1, -1)
                is_line = not is_jump[min(here, other) : max(here, other)].any()
                if is_line and (best is None or len(along) > len(best)):
                    best = along
    if best is None:
        names = dict(path.labels)
        raise ValueError(
            f"expected bands on each line of the path of {path.atoms.get_chemical_formula()}, found none between "
            f"{names[first]}, {_text(path.k_points[first])}, and {names[last]}, {_text(path.k_points[last])}"
        )
    positions = np.abs(found[best] - found[best[0]])
    kept = np.concatenate([[True], np.diff(positions) > _SAME_LENGTH * length / len(best)])  # points may be given twice
    positions = positions[kept] * length / positions[-1]
    return _Samples(positions, bands.energies[:, best[kept]])


def _text(k_point: NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{value + 0.0:.4g}" for value in k_point) + ")"


def _put_extrema_back(
    energies: NDArray[np.float64], distances: NDArray[np.float64], lines: list[tuple[int, int, _Samples]]
) -> None:
    """Put extrema onto the closest k-points: maxima from the top band down, minima from the bottom up.

    In this order, a band makes room for the next one.
    """
    num_bands = energies.shape[2]
    given = np.concatenate([samples.energies for _, _, samples in lines], axis=1)
    highest, lowest = given.max(axis=1), given.min(axis=1)
    for spin, band in itertools.product(range(len(energies)), reversed(range(num_bands))):
        top = energies[spin, :, band + 1] if band + 1 < num_bands else np.full(len(distances), np.inf)
        for index in _closest(distances, lines, spin, band, highest[spin, band]):
            energies[spin, index, band] = min(highest[spin, band], top[index])
    for spin, band in itertools.product(range(len(energies)), range(num_bands)):
        bottom = energies[spin, :, band - 1] if band > 0 else np.full(len(distances), -np.inf)
        is_maximum = energies[spin, :, band] >= highest[spin, band] - _SAME_ENERGY
        for index in _closest(distances, lines, spin, band, lowest[spin, band]):
            if not is_maximum[index] or highest[spin, band] - lowest[spin, band] < _SAME_ENERGY:
                energies[spin, index, band] = max(lowest[spin, band], bottom[index])


def _closest(
    distances: NDArray[np.float64], lines: list[tuple[int, int, _Samples]], spin: int, band: int, energy: float
) -> list[int]:
    """K-points of the path, apart from ends of lines, that are closest to those where a band has an energy."""
    found = []
    for first, last, samples in lines:
        if last - first < 2:
            continue
        reached = np.flatnonzero(np.abs(samples.energies[spin, :, band] - energy) < _SAME_ENERGY)
        for position in samples.positions[reached[(reached > 0) & (reached < len(samples.positions) - 1)]]:
            between = distances[first + 1 : last] - distances[first]
            found.append(first + 1 + int(np.abs(between - position).argmin()))
    return found


def _smoothed(energies: NDArray[np.float64], distances: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    """Gaussian average along the path; each k-point counts as much as the part of the path next to it."""
    weights = np.exp(-0.5 * ((distances[:, None] - distances) / smoothing) ** 2) * np.gradient(distances)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("kl,slb->skb", weights, energies)
