"""What models learn of bands: some bands around the gap, their centers and dispersions."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from .band_structure import BandStructure

NUM_BANDS = 6
_SAME_ENERGY = 1e-3  # eV, of the two spins of a crystal without magnetism


def band_window(bands: BandStructure, num_bands: int = NUM_BANDS) -> NDArray[np.float64]:
    """Take the same number of bands below and above the highest non-empty one.

    The lower half ends with the highest band that is occupied anywhere on the path: in an insulator the highest valence
    band, in a metal the highest band that reaches below the Fermi level. Bands that do not exist (a crystal with few
    valence electrons) or were not computed are NaN, which losses and errors leave out; without such crystals a model
    would see no hydrides and no alkali metals.

    :param bands: with one spin, or two without magnetism.
    :param num_bands: how many, an even number.
    :return: energies in eV relative to :meth:`~.band_structure.BandStructure.zero`, shape ``(num_bands, num_k)``.
    :raises ValueError: for an odd number of bands; for magnetic crystals, whose two spins have different bands, and
        for spinors, because a model has one set of bands of two electrons each (a structure does not say which spin is
        meant); or if no band is occupied.
    """
    if num_bands < 2 or num_bands % 2:
        raise ValueError(f"expected an even number of bands, half below and half above, got {num_bands}")
    if bands.noncollinear:
        raise ValueError(f"expected bands of two electrons each, got spinors, which hold one{_source(bands)}")
    energies = bands.energies.mean(axis=0) - bands.zero()
    num_occupied = int((energies.min(axis=0) <= 0.0).sum())
    if num_occupied == 0:
        raise ValueError(f"expected bands that are occupied, got none below {bands.zero():.3f} eV{_source(bands)}")
    first = num_occupied - num_bands // 2
    inside = slice(max(first, 0), first + num_bands)
    _check_equal_spins(bands, inside)
    window = np.full((num_bands, len(energies)), np.nan)
    taken = energies[:, inside].T
    window[max(-first, 0) : max(-first, 0) + len(taken)] = taken
    return window


def bands_of_window(
    atoms: Atoms,
    k_points: NDArray[np.float64],
    window: NDArray[np.float64],
    labels: tuple[tuple[int, str], ...] = (),
) -> BandStructure | None:
    """Make a band structure of the bands of a window that are known, in ascending order; ``None`` if none is.

    :param atoms: the crystal.
    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    :param window: as from :func:`band_window`, shape ``(num_bands, num_k)``, or predicted.
    :param labels: of high-symmetry points.
    """
    known = np.sort(window[np.isfinite(window).all(axis=1)], axis=0)
    return BandStructure(atoms, k_points, known.T[None], 0.0, labels) if len(known) else None


def centers_and_dispersions(window: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split bands into their means along the path and the deviations from them, which add up to the bands.

    :param window: in eV, shape ``(..., num_k)``; NaN stays NaN.
    :return: centers, shape ``(...,)``, and dispersions, shape ``(..., num_k)``, in eV.
    """
    centers = window.mean(axis=-1)
    return centers, window - centers[..., None]


def _check_equal_spins(bands: BandStructure, inside: slice) -> None:
    """Compare the bands of the window only: the highest ones of a calculation may not be converged."""
    difference = float(np.ptp(bands.energies[:, :, inside], axis=0).max())
    if difference > _SAME_ENERGY:
        raise ValueError(
            f"expected bands without magnetism, got two spins that differ by {difference:.3f} eV{_source(bands)}"
        )


def _source(bands: BandStructure) -> str:
    return f" in {bands.source}" if bands.source else ""
