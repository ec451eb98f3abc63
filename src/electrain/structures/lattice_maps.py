"""From one primitive cell of a crystal to another: which k-points are the same."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

_METRIC_TOLERANCE = 0.01  # of products of lattice vectors, relative to the largest: cells of files have been rounded
_DISTANCE_TOLERANCE = 0.05  # A, how far standardisation may move an atom


def k_point_map(given: Atoms, standard: Atoms) -> NDArray[np.int64]:
    r"""Find the matrix that takes k-points of a cell to those of another primitive cell of the same crystal.

    The second crystal may be rotated or mirrored, and its atoms may be shifted and in another order. Its lattice
    vectors are, after that rotation, integer combinations :math:`S A` of the rows of the first cell :math:`A`.
    Fractional coordinates of k-points are rows that change as :math:`k' = k S^T`, those of positions as
    :math:`x' = x S^{-1}`. Where the crystal has symmetries there are several such matrices, which take a k-point to
    equivalent ones.

    :param given: the crystal; lengths in A.
    :param standard: the same crystal in a cell with as many atoms.
    :return: :math:`S^T`, integer, shape ``(3, 3)``.
    :raises ValueError: for cells with different numbers of atoms, and if no matrix is found.
    """
    if sorted(given.numbers) != sorted(standard.numbers):
        times = len(given) / len(standard)
        raise ValueError(
            f"expected a primitive cell, got one that holds {times:g} of {len(standard)} atoms, where bands are folded"
        )
    for matrix in _lattice_maps(given.cell[:], standard.cell[:]):
        if _maps_atoms(given, standard, matrix):
            return matrix.T
    raise ValueError(f"the cell of {given.get_chemical_formula()} is none of the primitive ones of its standard form")


def _lattice_maps(given: NDArray[np.float64], standard: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Integer matrices with determinant 1 or -1 and the metric of the standard cell, the best first."""
    metric = standard @ standard.T
    tolerance = _METRIC_TOLERANCE * float(np.abs(metric).max())
    lengths = np.sqrt(metric.diagonal())
    # a vector no longer than the longest one has no larger coefficients, because b_j is the inverse of the cell
    largest = np.ceil(lengths.max() * np.linalg.norm(np.linalg.inv(given), axis=0) + _METRIC_TOLERANCE).astype(int)
    integers = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in largest], indexing="ij"), axis=-1).reshape(-1, 3)
    squares = ((integers @ given) ** 2).sum(axis=1)
    rows = [integers[np.abs(squares - square) <= tolerance] for square in metric.diagonal()]
    vectors = [row @ given for row in rows]

    def fits(i: int, j: int) -> NDArray[np.bool_]:
        return np.asarray(np.abs(vectors[i] @ vectors[j].T - metric[i, j]) <= tolerance)

    triples = np.argwhere(fits(0, 1)[:, :, None] & fits(0, 2)[:, None, :] & fits(1, 2)[None])
    matrices = np.stack([row[column] for row, column in zip(rows, triples.T, strict=True)], axis=1)
    matrices = matrices[np.abs(np.linalg.det(matrices)).round() == 1]
    found = matrices @ given
    errors = np.abs(found @ found.swapaxes(1, 2) - metric).max(axis=(1, 2))
    return list(matrices[np.argsort(errors, kind="stable")])


def _maps_atoms(given: Atoms, standard: Atoms, matrix: NDArray[np.int64]) -> bool:
    """Whether every atom is where one of the other crystal is, for one shift of all."""
    places = given.get_scaled_positions() @ np.linalg.inv(matrix)
    targets = standard.get_scaled_positions()
    for anchor in targets[standard.numbers == given.numbers[0]]:
        offsets = (places + anchor - places[0])[:, None] - targets
        distances = np.linalg.norm((offsets - np.round(offsets)) @ standard.cell[:], axis=2)
        distances[given.numbers[:, None] != standard.numbers] = np.inf
        if (distances.min(axis=1) < _DISTANCE_TOLERANCE).all():
            return True
    return False
