"""The bands of a crystal at a sequence of k-points."""

from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from electrain.spectra.gap import band_edges

_JUMP = 4.0  # median steps


@dataclass(frozen=True, eq=False)
class BandStructure:
    """Energies of the bands of a crystal along a path of k-points.

    :param atoms: the crystal, with the cell to whose reciprocal lattice the k-points refer; lengths in A.
    :param k_points: fractional coordinates in the reciprocal lattice, shape ``(num_k, 3)``, in the order of the path.
    :param energies: in eV, shape ``(num_spins, num_k, num_bands)``, ascending at every k-point of a spin.
    :param fermi_level: in eV, relative to the same zero as the energies; in a gap it may be anywhere.
    :param labels: indices of high-symmetry points with their names, such as ``((0, "Γ"), (40, "X"))``.
    :param num_electrons: of the cell, without those of frozen cores and without those of bands below the given ones;
        ``None`` if unknown, and what is filled then follows from the Fermi level.
    :param noncollinear: whether the states are spinors, which hold one electron each.
    :param source: where the bands came from, for messages.
    :raises ValueError: for shapes that do not fit each other, numbers that are not finite, or energies that descend.
    """

    atoms: Atoms
    k_points: NDArray[np.float64]
    energies: NDArray[np.float64]
    fermi_level: float
    labels: tuple[tuple[int, str], ...] = ()
    num_electrons: float | None = None
    noncollinear: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if self.energies.ndim != 3 or self.energies.shape[0] not in (1, 2) or 0 in self.energies.shape:
            raise ValueError(f"expected energies of shape (1 or 2 spins, k-points, bands), got {self.energies.shape}")
        if self.k_points.shape != (self.energies.shape[1], 3):
            raise ValueError(
                f"expected three coordinates for each of {self.energies.shape[1]} k-points, got an array of shape "
                f"{self.k_points.shape}"
            )
        if not np.isfinite(self.k_points).all():
            raise ValueError("expected finite coordinates of k-points, got NaN or infinity")
        if not (np.isfinite(self.energies).all() and np.isfinite(self.fermi_level)):
            raise ValueError("expected finite energies and a finite Fermi level in eV, got NaN or infinity")
        falls = np.argwhere(np.diff(self.energies, axis=2) < 0)
        if len(falls):
            _, k, band = falls[0]
            raise ValueError(f"expected bands in ascending order, but band {band + 1} lies below {band} at k-point {k}")
        last = len(self.k_points) - 1
        wrong = [index for index, _ in self.labels if not 0 <= index <= last]
        if wrong:
            raise ValueError(f"expected labels of k-points 0 to {last}, got one of k-point {wrong[0]}")

    def distances(self) -> NDArray[np.float64]:
        """Length of the path up to each k-point, in 1/A (with the factor 2 pi), shape ``(num_k,)``."""
        return path_lengths(self.atoms, self.k_points)

    def jumps(self) -> NDArray[np.bool_]:
        """Whether the path jumps from a k-point to the next one instead of leading there, shape ``(num_k - 1,)``.

        Jumps are steps that are more than four times as long as the median of all.
        """
        steps = np.diff(self.distances())
        given = steps[steps > 0.0]  # some files have points twice
        return np.asarray(steps > _JUMP * np.median(given)) if len(given) else np.zeros(len(steps), dtype=bool)

    def edges(self) -> tuple[float, float] | None:
        """Highest filled and lowest empty state along the path, in eV; ``None`` for a metal.

        Bands are filled one by one if the number of electrons is known. Without it, a band that crosses the Fermi
        level makes a metal.
        """
        if self.num_electrons is not None:
            edges = band_edges(torch.from_numpy(self.energies), self.num_electrons * (2 if self.noncollinear else 1))
            return edges if edges is not None and edges[1] > edges[0] else None
        below = self.energies <= self.fermi_level
        if (below.any(axis=1) != below.all(axis=1)).any() or below.all() or not below.any():
            return None
        return float(self.energies[below].max()), float(self.energies[~below].min())

    def zero(self) -> float:
        """Zero of energy of targets and figures, in eV: the middle of a gap, or the Fermi level of a metal."""
        edges = self.edges()
        return self.fermi_level if edges is None else 0.5 * (edges[0] + edges[1])


def path_lengths(atoms: Atoms, k_points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Length of a path up to each k-point, in 1/A (with the factor 2 pi), shape ``(num_k,)``.

    :param atoms: the crystal, to whose reciprocal lattice the k-points refer.
    :param k_points: fractional coordinates, shape ``(num_k, 3)``.
    """
    steps = np.linalg.norm(np.diff(k_points @ atoms.cell.reciprocal()[:], axis=0), axis=1)
    return np.asarray(2 * np.pi * np.concatenate([[0.0], np.cumsum(steps)]))
