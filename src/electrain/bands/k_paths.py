"""Paths of k-points for crystals: continuous, and the same for the same crystal."""

import itertools
from collections import Counter
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from electrain.structures.standard_cells import (
    ANGLE_TOLERANCE,
    SYMMETRY_TOLERANCE,
    quiet,
    standard_cell,
    to_structure,
)

from .band_structure import path_lengths
from .symmetry_lines import SymmetryLines, equivalent, symmetry_lines

NUM_POINTS = 256
_SAME_POINT = 1e-6  # of phases exp(2 pi i k)
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_GREEK = {"gamma": "Γ", "g": "Γ", "delta": "Δ", "lambda": "Λ", "sigma": "Σ"}


@dataclass(frozen=True, eq=False)
class KPath:
    """A continuous path of k-points of a crystal.

    :param atoms: the crystal in its standardised primitive cell, to whose reciprocal lattice the k-points refer.
    :param k_points: fractional coordinates, shape ``(num_points, 3)``.
    :param labels: indices and names of all high-symmetry points, such as ``((0, "Γ"), (40, "X"))``; the path is
        straight from each to the next. Points that rotations make equivalent have the same name.
    :param changes: how the standardised cell differs from the given one, for people; empty if it does not.
    """

    atoms: Atoms
    k_points: NDArray[np.float64]
    labels: tuple[tuple[int, str], ...]
    changes: str = ""

    def distances(self) -> NDArray[np.float64]:
        """Length of the path up to each k-point, in 1/A (with the factor 2 pi), shape ``(num_points,)``."""
        return path_lengths(self.atoms, self.k_points)


def k_path(atoms: Atoms, num_points: int = NUM_POINTS) -> KPath:
    """Make the path of a crystal: all lines of Latimer and Munro in one walk without jumps, from Γ.

    The crystal is brought into its standardised primitive cell first; neither orientation, origin, order of the atoms
    nor the choice of the cell change the path. Few lines are walked twice (:func:`~.walks.shortest_walk`). Distances of
    k-points are as equal as they can be with every high-symmetry point on a k-point: the largest one is as small as
    possible. Lines that are walked twice have the same k-points both times.

    Points have the names of Setyawan and Curtarolo (Comput. Mater. Sci. 49, 299, 2010) if they have one, and lower-case
    letters otherwise.

    :param atoms: a crystal, periodic in three directions.
    :param num_points: number of k-points.
    :raises ImportError: if pymatgen is not installed.
    :raises ValueError: for a structure that is no crystal (see
        :func:`~electrain.structures.standard_cells.standard_cell`), or fewer k-points than high-symmetry points on the
        path.
    """
    standard, changes = standard_cell(atoms)
    from .walks import shortest_walk  # imports networkx, which comes with pymatgen

    found = symmetry_lines(standard)
    cartesian = found.points @ standard.cell.reciprocal()[:]
    walk = shortest_walk(cartesian, found.lines)
    if num_points < len(walk):
        raise ValueError(
            f"expected at least {len(walk)} k-points, the number of high-symmetry points along the path of "
            f"{standard.get_chemical_formula()}, got {num_points}"
        )
    steps = [(min(pair), max(pair)) for pair in itertools.pairwise(walk)]
    lengths = {line: float(np.linalg.norm(cartesian[line[0]] - cartesian[line[1]])) for line in steps}
    numbers = _divide(steps, lengths, num_points - 1)
    k_points = [found.points[:1]]
    for (first, second), number in zip(itertools.pairwise(walk), numbers, strict=True):
        weights = np.arange(1, number + 1)[:, None] / number
        k_points.append((1.0 - weights) * found.points[first] + weights * found.points[second])
    corners = np.concatenate([[0], np.cumsum(numbers)]).tolist()
    names = _names(found, standard)
    labels = tuple((corner, names[point]) for corner, point in zip(corners, walk, strict=True))
    return KPath(standard, np.concatenate(k_points), labels, changes)


def unique_points(k_points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find k-points at which the energies need to be computed only once.

    K-points are the same if they differ by a reciprocal vector or by the sign: time reversal makes the energies of k
    and -k equal. (Without spin-orbit coupling, those of collinear magnets, too.)

    :param k_points: fractional coordinates, shape ``(num_points, 3)``.
    :return: the k-points that are left, in the order of their first appearance, shape ``(num_unique, 3)``, and for each
        given one the index of the one with its energies, shape ``(num_points,)``: ``unique[inverse]`` is equivalent to
        ``k_points``.
    """
    angles = 2.0 * np.pi * np.asarray(k_points, dtype=float)
    here, mirrored = (np.concatenate([np.cos(angles), sign * np.sin(angles)], axis=1) for sign in (1.0, -1.0))
    pairs = [KDTree(here).query_ball_tree(KDTree(other), 2 * np.pi * _SAME_POINT) for other in (here, mirrored)]
    rows = [row for found in pairs for row, columns in enumerate(found) for _ in columns]
    columns = [column for found in pairs for columns in found for column in columns]
    same = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(here), len(here)))
    groups = connected_components(same, directed=False)[1]
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(k_points, dtype=float)[np.sort(first)], rank[inverse]


def pretty_label(name: str) -> str:
    r"""Return the name of a k-point for people: ``\Gamma``, ``GAMMA`` and ``G`` -> ``Γ``, ``X_1`` -> ``X₁``."""
    base, _, index = name.strip().strip("$").replace("{", "").replace("}", "").partition("_")
    plain = base.removeprefix("\\")
    # small letters alone are points without a name of their own
    greek = None if plain == "g" else _GREEK.get(plain.lower())
    return (greek or plain) + index.translate(_SUBSCRIPTS)


def _divide(steps: list[tuple[int, int]], lengths: dict[tuple[int, int], float], total: int) -> list[int]:
    """Number of intervals of each step, which add up to a total; of equal steps the same, if the total allows it."""
    times = Counter(steps)
    order = {line: index for index, line in enumerate(times)}
    longest = max(lengths.values())
    parts = dict.fromkeys(times, 1)
    left = total - len(steps)
    while fitting := [line for line in times if times[line] <= left]:
        # rounded, so that lines of equal length are taken in the order of the walk
        widest = max(fitting, key=lambda line: (round(lengths[line] / longest / parts[line], 6), -order[line]))
        parts[widest] += 1
        left -= times[widest]
    numbers = [parts[line] for line in steps]
    for index in sorted(range(len(steps)), key=lambda index: -lengths[steps[index]] / numbers[index])[:left]:
        numbers[index] += 1  # only if every line is walked twice
    return numbers


def _names(found: SymmetryLines, atoms: Atoms) -> list[str]:
    """Name of each point; those that rotations make equivalent have the same one."""
    names = ["Γ"] + [""] * (len(found.points) - 1)
    # U and K of a face-centered lattice are equivalent with a reciprocal vector: each keeps its own name
    for how in (2, 1):
        for name, point in _setyawan_curtarolo(atoms).items():
            for index in np.flatnonzero(equivalent(found.points, point, atoms) >= how):
                names[index] = names[index] or pretty_label(name)
    letters = (f"{letter}{number}" for number in ("", *"₁₂₃₄₅₆₇₈₉") for letter in ascii_lowercase)
    others: dict[int, str] = {}
    for orbit, name in zip(found.orbits, names, strict=True):
        if not name and orbit not in others:
            others[orbit] = next(letters)
    return [name or others[orbit] for orbit, name in zip(found.orbits, names, strict=True)]


def _setyawan_curtarolo(atoms: Atoms) -> dict[str, NDArray[np.float64]]:
    """Fractional coordinates of named points; empty if pymatgen has none for this lattice."""
    from pymatgen.symmetry.kpath import KPathSetyawanCurtarolo

    structure = to_structure(atoms)
    with quiet():
        path = KPathSetyawanCurtarolo(structure, SYMMETRY_TOLERANCE, ANGLE_TOLERANCE)
    # The names refer to other lattice vectors than those of the International Tables if a crystal is monoclinic.
    vectors = np.eye(3)
    if not np.allclose(path.prim.lattice.matrix, atoms.cell[:], atol=1e-3):
        mapping = structure.lattice.find_mapping(path.prim.lattice, ltol=1e-3, atol=0.1)
        if mapping is None or not path.kpath:
            return {}
        vectors = mapping[2]
    known = sorted((path.kpath or {"kpoints": {}})["kpoints"].items(), key=lambda item: (len(item[0]), item[0]))
    return {name: np.linalg.solve(vectors, point) for name, point in known}
