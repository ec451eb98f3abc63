"""Shared by the readers of all codes: one type of error, and one convention for weights."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from electrain.files.replacing import WriteError
from electrain.structures.packed import TooLargeError

from ..calculation import WEIGHT_TOLERANCE, CalculationError

_LONGEST_REASON = 200


class States(NamedTuple):
    """States with weights as in :class:`~electrain.data.Calculation`.

    :param eigenvalues: shape ``(num_spins, num_k, num_bands)``, in eV.
    :param weights: shape ``(num_k,)``.
    :param occupations: between 0 and 1, same shape as the eigenvalues.
    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    """

    eigenvalues: NDArray[np.float64]
    weights: NDArray[np.float64]
    occupations: NDArray[np.float64] | None
    k_points: NDArray[np.float64] | None


def finite(values: ArrayLike | None) -> NDArray[np.float64] | None:
    """Forces or a stress, unless some of it is NaN or infinite: the rest of a calculation is none the worse for it."""
    array = None if values is None else np.asarray(values, dtype=np.float64)
    return array if array is not None and np.isfinite(array).all() else None


@contextmanager
def reading(source: str, what: str) -> Iterator[None]:
    """Turn any error that a parser raises for a file into :class:`CalculationError`, and silence its warnings.

    :param source: the file.
    :param what: what the file was expected to be.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (CalculationError, ImportError, WriteError):
        raise
    except TooLargeError as error:
        raise CalculationError(source, str(error)) from error
    except Exception as error:  # parsers raise all kinds of errors for a damaged file
        reason = f"expected {what}, but it is damaged or has another format ({_sentence(error)})"
        raise CalculationError(source, reason) from error


def _sentence(error: Exception) -> str:
    """What a parser stumbled over, for readers who do not know the parser."""
    message = str(error).strip().partition("\n")[0][:_LONGEST_REASON]
    if isinstance(error, KeyError):
        return f"the entry {message} is missing"
    if isinstance(error, AttributeError) or "NoneType" in message:
        return "an entry that is read is missing"
    if "need at least one array" in message or isinstance(error, StopIteration):
        return "none of the entries that are read is in it"
    if isinstance(error, (AssertionError, IndexError)) or not message:
        return f"its entries do not fit together{': ' if message else ''}{message}"
    return f"{type(error).__name__}: {message}"


def normalised_states(
    eigenvalues: ArrayLike,
    weights: ArrayLike,
    occupations: ArrayLike | None,
    k_points: ArrayLike | None,
    *,
    total: float,
    electrons_per_state: int,
    source: str,
) -> States:
    """Check the weights of a code, scale them to our convention, and drop k-points of zero weight.

    k-points of zero weight lie on band-structure paths. Codes round their weights, so the sum is made exact.

    :param eigenvalues: shape ``(num_spins, num_k, num_bands)``, in eV.
    :param weights: shape ``(num_k,)``.
    :param occupations: between 0 and 1, same shape as the eigenvalues.
    :param k_points: fractional coordinates in the reciprocal lattice, shape ``(num_k, 3)``.
    :param total: sum of the code's weights.
    :param electrons_per_state: sum of our weights.
    :param source: the file.
    :raises CalculationError: if the weights are negative or sum to something else, or shapes do not fit.
    """
    eigenvalues, weights = np.asarray(eigenvalues, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if weights.ndim != 1 or eigenvalues.ndim != 3 or eigenvalues.shape[1] != len(weights):
        raise CalculationError(
            source,
            "expected eigenvalues of shape (spins, k-points, bands) and as many weights as k-points, got "
            f"{eigenvalues.shape} and {weights.shape}",
        )
    points = None if k_points is None else np.asarray(k_points, dtype=np.float64)
    if points is not None and points.shape != (len(weights), 3):
        raise CalculationError(source, f"expected k-points of shape ({len(weights)}, 3), got {points.shape}")
    if (weights < 0).any():
        k = int(np.argmin(weights))
        raise CalculationError(source, f"expected k-point weights of at least 0, got {weights[k]:g} at k-point {k}")
    if not abs(weights.sum() - total) <= WEIGHT_TOLERANCE:
        channels = f"{len(eigenvalues)} spin channel{'s' if len(eigenvalues) > 1 else ''}"
        raise CalculationError(
            source, f"expected k-point weights that sum to {total:g} ({channels}), got {weights.sum():.6g}"
        )
    used = weights > 0
    return States(
        eigenvalues[:, used],
        weights[used] * (electrons_per_state / weights.sum()),
        None if occupations is None else np.asarray(occupations, dtype=np.float64)[:, used],
        None if points is None else points[used],
    )


def fractional(k_points: ArrayLike, axes: ArrayLike) -> NDArray[np.float64]:
    """Coordinates in a reciprocal lattice.

    :param k_points: Cartesian, shape ``(num_k, 3)``.
    :param axes: reciprocal lattice vectors in the same unit, one a row.
    """
    return np.linalg.solve(np.asarray(axes, np.float64).T, np.asarray(k_points, np.float64).T).T.astype(np.float64)


def middle_of_gap(highest_occupied: float, lowest_unoccupied: float | None) -> float:
    """Fermi level, in eV, of an insulator for which a code only gives the edges of the gap.

    :param highest_occupied: in eV.
    :param lowest_unoccupied: in eV, or ``None`` if no empty band was computed; the result is then the other edge.
    """
    return highest_occupied if lowest_unoccupied is None else (highest_occupied + lowest_unoccupied) / 2


def plain_structure(atoms: Atoms) -> Atoms:
    """Elements, positions, cell and periodicity only, without anything else that a parser attaches."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
