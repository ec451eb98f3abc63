"""One electronic-structure calculation, checked on construction."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from ..structures import check_structure

WEIGHT_TOLERANCE = 1e-3  # rounded weights of a thousand k-points still add up to within this
ELECTRON_TOLERANCE = 0.15
# How far the Fermi level may be from the energy that counts the right electrons: it depends on the smearing
# of the DFT code, and where a partly filled level lies exactly there, a count at one energy is off.
FERMI_TOLERANCE = 0.2  # eV


@dataclass(frozen=True, eq=False)
class Calculation:
    """Eigenvalues, k-point weights and energies of one structure.

    The weights are those of one spin channel: they sum to 2 without and to 1 with spin polarisation, so that
    summing occupied states over spins, k-points and bands gives the number of electrons.

    :param atoms: the structure (positions in A); ``info`` may hold ``id``, ``subset`` and ``parent``.
    :param eigenvalues: shape ``(num_spins, num_k, num_bands)``, in eV.
    :param weights: shape ``(num_k,)``.
    :param fermi_level: on the axis of the eigenvalues, in eV.
    :param source: where it came from, for messages ("bulk.xyz, frame 12").
    :param num_electrons: electrons in the calculation, without those of frozen cores.
    :param band_gap: in eV, 0 for a metal.
    :param energy: in eV.
    :param forces: shape ``(num_atoms, 3)``, in eV/A.
    :raises ValueError: if anything in it cannot be right; see :meth:`check`.
    """

    atoms: Atoms
    eigenvalues: NDArray[np.float64]
    weights: NDArray[np.float64]
    fermi_level: float
    source: str
    num_electrons: float | None = None
    band_gap: float | None = None
    energy: float | None = None
    forces: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        self.check()

    @property
    def name(self) -> str:
        """The structure's own ``id``, or its source."""
        return str(self.atoms.info.get("id", self.source))

    def bands(self) -> torch.Tensor:
        """Eigenvalues relative to the Fermi level, shape ``(num_spins, num_k, num_bands)``, in eV."""
        return torch.from_numpy(self.eigenvalues - self.fermi_level)

    def k_weights(self) -> torch.Tensor:
        """Weights of the k-points, shape ``(num_k,)``."""
        return torch.from_numpy(self.weights)

    def check(self) -> None:
        """Check structure, weights and eigenvalues, and that they count the electrons of the calculation.

        :raises ValueError: saying what was expected, what came and where.
        """
        try:
            check_structure(self.atoms)
            _check_states(self.eigenvalues, self.weights)
            self._check_energies()
            self._check_electrons()
        except ValueError as error:
            raise ValueError(f"{self.source}: {error}") from None

    def _check_energies(self) -> None:
        scalars = {"Fermi level": self.fermi_level, "band gap": self.band_gap, "energy": self.energy}
        for what, value in scalars.items():
            if value is not None and not math.isfinite(value):
                raise ValueError(f"expected a finite {what} in eV, got {value}")
        if self.band_gap is not None and self.band_gap < 0:
            raise ValueError(f"expected a band gap of at least 0 eV, got {self.band_gap:g}")
        if self.forces is not None:
            if self.forces.shape != (len(self.atoms), 3):
                raise ValueError(f"expected forces of shape {(len(self.atoms), 3)}, got {self.forces.shape}")
            if not np.isfinite(self.forces).all():
                raise ValueError("expected finite forces in eV/A, got NaN or infinity")

    def _check_electrons(self) -> None:
        if self.num_electrons is None:
            return
        if not self.num_electrons > 0:
            raise ValueError(f"expected a positive number of electrons, got {self.num_electrons}")
        fewest = self._states_below(self.fermi_level - FERMI_TOLERANCE)
        most = self._states_below(self.fermi_level + FERMI_TOLERANCE)
        if not fewest - ELECTRON_TOLERANCE <= self.num_electrons <= most + ELECTRON_TOLERANCE:
            raise ValueError(
                f"expected {self.num_electrons:g} electrons, but the weighted states up to the Fermi level "
                f"(+-{FERMI_TOLERANCE:g} eV) hold {fewest:.2f} to {most:.2f}: wrong weights, wrong Fermi "
                "level, or too few bands"
            )

    def _states_below(self, energy: float) -> float:
        """Count weighted states below an energy on the axis of the eigenvalues (eV)."""
        return float(np.einsum("k,skn->", self.weights, self.eigenvalues < energy))


def _check_states(eigenvalues: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    if eigenvalues.ndim != 3 or eigenvalues.shape[0] not in (1, 2):
        raise ValueError(f"expected eigenvalues of shape (1 or 2 spins, k-points, bands), got {eigenvalues.shape}")
    num_spins, num_k, num_bands = eigenvalues.shape
    if num_k == 0 or num_bands == 0:
        raise ValueError(f"expected at least one k-point and one band, got {num_k} and {num_bands}")
    if weights.shape != (num_k,):
        raise ValueError(f"expected one weight for each of {num_k} k-points, got {weights.size} weights")
    if not np.isfinite(eigenvalues).all():
        _, k, band = np.argwhere(~np.isfinite(eigenvalues))[0]
        raise ValueError(f"expected finite eigenvalues, got NaN or infinity at k-point {k}, band {band}")
    if not np.isfinite(weights).all():
        raise ValueError("expected finite k-point weights, got NaN or infinity")
    if (weights < 0).any():
        k = int(np.argmin(weights))
        raise ValueError(f"expected k-point weights of at least 0, got {weights[k]:g} at k-point {k}")
    expected = 2 / num_spins
    if abs(weights.sum() - expected) > WEIGHT_TOLERANCE:
        polarised = "spin-polarised" if num_spins == 2 else "not spin-polarised"
        raise ValueError(f"expected k-point weights that sum to {expected:g} ({polarised}), got {weights.sum():.6g}")
