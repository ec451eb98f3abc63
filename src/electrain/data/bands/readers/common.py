"""Shared by the readers of bands: which k-points belong to the path, names of points, and checks."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.cell import Cell
from numpy.typing import ArrayLike, NDArray

from electrain.bands import BandStructure
from electrain.bands.k_paths import pretty_label
from electrain.structures.cells import is_same_cell
from electrain.structures.checks import check_structure

from ...calculation import CalculationError
from ..path import check_path

_SAME = 1e-6  # of fractional coordinates


def bands_along_path(
    atoms: Atoms,
    energies: ArrayLike,
    k_points: ArrayLike,
    *,
    fermi_level: float,
    source: str,
    weights: ArrayLike | None = None,
    labels: Mapping[int, str] | None = None,
    num_electrons: float | None = None,
    noncollinear: bool = False,
) -> BandStructure:
    """Make a band structure from the states of a file.

    If some k-points have weights and others have none, as in calculations with hybrid functionals, those without are
    the path. Of equal consecutive points, the last of one line and the first of the next, one is kept. Codes that
    do not sort states are sorted.

    :param atoms: the crystal; lengths in A.
    :param energies: in eV, shape ``(num_spins, num_k, num_bands)``.
    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    :param fermi_level: in eV.
    :param source: the file, for messages.
    :param weights: of the k-points.
    :param labels: names of high-symmetry points by the index of their k-point.
    :param num_electrons: of the cell, ``None`` if unknown.
    :param noncollinear: whether the states are spinors.
    :raises CalculationError: if a check fails.
    """
    energies, k_points = np.asarray(energies, dtype=np.float64), np.asarray(k_points, dtype=np.float64)
    try:
        check_structure(atoms)
        if not atoms.pbc.all():
            raise ValueError(
                "expected a crystal, periodic in three directions, got a structure that is periodic in "
                f"{int(atoms.pbc.sum())}"
            )
        if energies.ndim != 3 or k_points.shape != (energies.shape[1], 3):
            raise ValueError(
                "expected energies of shape (spins, k-points, bands) and three coordinates of each k-point, got "
                f"{energies.shape} and {k_points.shape}"
            )
        kept = _path_points(k_points, weights)
        energies, k_points = np.sort(energies[:, kept], axis=2), k_points[kept]
        check_path(k_points)
        return BandStructure(
            atoms=atoms,
            k_points=k_points,
            energies=energies,
            fermi_level=float(fermi_level),
            labels=_labels_of(labels or {}, kept),
            num_electrons=num_electrons,
            noncollinear=noncollinear,
            source=source,
        )
    except ValueError as error:
        raise CalculationError(source, str(error)) from None


def _path_points(k_points: NDArray[np.float64], weights: ArrayLike | None) -> NDArray[np.intp]:
    """Indices of the k-points of the path."""
    indices = np.arange(len(k_points))
    if weights is not None:
        is_weightless = np.asarray(weights) == 0
        if is_weightless.any():
            indices = indices[is_weightless]
    steps = np.abs(np.diff(k_points[indices], axis=0)).max(axis=1, initial=0.0)
    return indices[np.concatenate([[True], steps > _SAME])] if len(indices) else indices


def _labels_of(labels: Mapping[int, str], kept: NDArray[np.intp]) -> tuple[tuple[int, str], ...]:
    """Labels by their index among the points that are kept; that of a repeated point goes to the one before."""
    found: dict[int, str] = {}
    for index, name in sorted(labels.items()):
        if index >= kept[0] and (place := int(np.searchsorted(kept, index, side="right")) - 1) >= 0:
            found.setdefault(place, pretty_label(name))
    return tuple(found.items())


def labels_in_order(
    k_points: NDArray[np.float64], names: Sequence[str], coordinates: Mapping[str, ArrayLike]
) -> dict[int, str]:
    """Find the points of a sequence of names, one after the other; those that are not there have no label.

    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    :param names: of the high-symmetry points in the order of the path.
    :param coordinates: fractional coordinates of each.
    """
    found: dict[int, str] = {}
    first = 0
    for name in names:
        distances = np.abs(k_points[first:] - np.asarray(coordinates[name], dtype=np.float64)).max(axis=1)
        if (distances < 100 * _SAME).any():
            first += int(np.argmax(distances < 100 * _SAME))
            found[first] = name
            first += 1
    return found


def check_cell(atoms: Atoms, cell: ArrayLike, source: str) -> None:
    """Check that k-points refer to the cell of a structure.

    :param cell: the cell to which they refer, in any orientation, in A.
    :raises CalculationError: for another one.
    """
    if not is_same_cell(atoms.cell[:], cell):
        expected, found = (" ".join(f"{value:.4f}" for value in Cell(one).cellpar()) for one in (cell, atoms.cell[:]))
        raise CalculationError(
            source,
            f"expected a structure with the cell of the k-points, {expected} (A and degrees), got one with {found}",
        )
