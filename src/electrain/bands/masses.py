"""Effective masses at band edges, along the lines of a path."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from .band_structure import BandStructure
from .gaps import BandEdge, band_gap, equivalent_indices, place

# hbar^2 / (2 m_e), in eV A^2: the energy of a free electron with a wave number of 1/A
FREE_ELECTRON = constants.hbar**2 / (2.0 * constants.m_e) / constants.e * 1e20
NUM_POINTS = 5
_DEGENERATE = 1e-3  # eV, between bands that meet at an edge
_STRAIGHT = 1e-6  # sine of the angle between steps


class EffectiveMass(NamedTuple):
    """Effective mass of one band at a band edge along one line.

    :param carrier: ``"hole"`` at the highest filled state, ``"electron"`` at the lowest empty one.
    :param where: the band edge, as in :class:`~.gaps.BandEdge`.
    :param direction: the line, such as ``Γ-X``.
    :param spin: number of the spin.
    :param band: number of the band; several bands may meet at an edge, as heavy and light holes do.
    :param mass: in electron masses; infinite for a flat band.
    :param uncertainty: in electron masses.
    """

    carrier: str
    where: str
    direction: str
    spin: int
    band: int
    mass: float
    uncertainty: float


def effective_masses(bands: BandStructure, num_points: int = NUM_POINTS) -> list[EffectiveMass]:
    r"""Fit effective masses at both band edges, on each straight line of the path that goes through them.

    .. math:: E = E_0 \pm \frac{\hbar^2 q^2}{2 m m_e}

    where q is the distance from the edge in 1/A, and the sign makes m positive for electrons and holes. The parabola
    goes through the k-points next to the edge, as many on both sides as there are. On a line that ends at the edge, it
    has its vertex there if time reversal makes both sides equal (k and -k differ by a reciprocal vector, as at Γ, X and
    L); elsewhere it has a linear term, and there is no mass if the line arrives with a slope.

    The uncertainty has two parts, added in squares: the standard error of the fit, and the change of the mass if a
    fourth order is added, which is large if bands are not parabolic over so many points. A mass is infinite if the
    curvature is not larger than its uncertainty. Bands that touch at the edge (within 1 meV) are fitted one by one, in
    the order of their energies on each line.

    :param bands: along a path.
    :param num_points: k-points of a fit, at least 5; lines with fewer k-points have no mass.
    :return: none for a metal.
    :raises ValueError: for fewer than 5 points.
    """
    if num_points < NUM_POINTS:
        raise ValueError(
            f"expected at least {NUM_POINTS} k-points for a parabola with an uncertainty, got {num_points}"
        )
    gap = band_gap(bands)
    if gap is None:
        return []
    return [
        *_masses(bands, gap.valence, "hole", num_points),
        *_masses(bands, gap.conduction, "electron", num_points),
    ]


def _masses(bands: BandStructure, edge: BandEdge, carrier: str, num_points: int) -> list[EffectiveMass]:
    cartesian = 2.0 * np.pi * bands.k_points @ bands.atoms.cell.reciprocal()[:]
    sign = -1.0 if carrier == "hole" else 1.0
    touching = np.argwhere(np.abs(bands.energies[:, edge.k_index] - edge.energy) < _DEGENERATE)
    seen: set[tuple[frozenset[str], int, int]] = set()
    masses = []
    for index in equivalent_indices(bands, edge.k_index):
        for line in _lines(cartesian, index):
            if len(line) < num_points:
                continue
            first = min(max(line.index(index) - num_points // 2, 0), len(line) - num_points)
            near = line[first : first + num_points]
            along = cartesian[near[-1]] - cartesian[near[0]]
            distances = (cartesian[near] - cartesian[index]) @ (along / np.linalg.norm(along))
            doubled = 2.0 * bands.k_points[index]
            is_mirrored = index in (line[0], line[-1]) and bool(np.abs(doubled - np.round(doubled)).max() < 1e-4)
            direction = _direction(bands, index, line)
            for spin, band in touching.tolist():
                key = (frozenset(direction.split("-")), spin, band)
                mass = _mass(distances, sign * bands.energies[spin, near, band], is_mirrored)
                if key in seen or mass is None:
                    continue
                seen.add(key)
                masses.append(EffectiveMass(carrier, edge.where, direction, spin, band, *mass))
    return masses


def _lines(cartesian: NDArray[np.float64], index: int) -> list[list[int]]:
    """Straight lines that a k-point lies on, one, or two if the path turns there: their k-points in order."""
    lines: list[list[int]] = []
    for step in (-1, 1):
        line = [index]
        while 0 <= line[-1] + step < len(cartesian) and (
            len(line) == 1 or _is_straight(cartesian, line[-1] - step, line[-1], line[-1] + step)
        ):
            line.append(line[-1] + step)
        lines.append(line)
    before, after = lines
    if len(before) > 1 and len(after) > 1 and _is_straight(cartesian, index - 1, index, index + 1):
        return [before[:0:-1] + after]
    return [line for line in lines if len(line) > 1]


def _is_straight(cartesian: NDArray[np.float64], first: int, second: int, third: int) -> bool:
    before, after = cartesian[second] - cartesian[first], cartesian[third] - cartesian[second]
    lengths = float(np.linalg.norm(before) * np.linalg.norm(after))
    is_parallel = float(np.linalg.norm(np.cross(before, after))) <= _STRAIGHT * lengths
    return lengths > 0.0 and is_parallel and float(before @ after) > 0.0


def _direction(bands: BandStructure, index: int, line: list[int]) -> str:
    """Labels of the line: of its ends, or of the edge and the next label if the edge has one."""
    names = dict(bands.labels)
    start, end = line[0], line[-1]
    if index in (start, end):
        other = next((point for point in (line if index == start else line[::-1])[1:] if point in names), None)
        return (
            f"{place(bands, index)}-{place(bands, end if index == start else start) if other is None else names[other]}"
        )
    position = line.index(index)
    below = next((point for point in line[:position][::-1] if point in names), start)
    above = next((point for point in line[position + 1 :] if point in names), end)
    ends = sorted((place(bands, below), place(bands, above)), key=lambda name: name != "Γ")
    return "-".join(ends)


def _mass(
    distances: NDArray[np.float64], energies: NDArray[np.float64], is_mirrored: bool
) -> tuple[float, float] | None:
    """Mass and uncertainty in electron masses; ``None`` if the line has a slope at its end."""
    orders = [0, 2] if is_mirrored else [0, 1, 2]
    curvature, error, slope = _fit(distances, energies, orders)
    with_fourth, _, _ = _fit(distances, energies, [*orders, 4])
    spread = float(np.hypot(error, curvature - with_fourth))
    is_at_end = bool((distances >= 0).all() or (distances <= 0).all())
    if (
        is_at_end
        and not is_mirrored
        and abs(slope) * np.abs(distances).max() > abs(curvature) * np.square(distances).max()
    ):
        return None
    if abs(curvature) <= spread or curvature == 0.0:
        return np.inf, np.inf
    mass = FREE_ELECTRON / curvature
    return float(mass), float(abs(mass) * spread / abs(curvature))


def _fit(
    distances: NDArray[np.float64], energies: NDArray[np.float64], orders: list[int]
) -> tuple[float, float, float]:
    """Least squares: curvature (factor of the squared distance), its standard error, and slope at the edge."""
    scale = float(np.abs(distances).max())
    design = np.stack([(distances / scale) ** order for order in orders], axis=1)
    inverse = np.linalg.pinv(design)
    factors = inverse @ energies
    residual = float(np.sum((design @ factors - energies) ** 2))
    freedom = max(len(distances) - len(orders), 1)
    where = orders.index(2)
    error = float(np.sqrt(residual / freedom) * np.linalg.norm(inverse[where]))
    slope = float(factors[orders.index(1)]) / scale if 1 in orders else 0.0
    return float(factors[where]) / scale**2, error / scale**2, slope
