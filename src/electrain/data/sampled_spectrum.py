"""A density of states given on a grid, not as eigenvalues."""

import math
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.structures.checks import check_structure

from .calculation import CalculationError


@dataclass(frozen=True, eq=False)
class SampledSpectrum:
    r"""Density of states of one structure on the grid on which it was computed, with unknown smearing.

    Each value stands for the cell around its energy, which ends halfway to the next energy, so the density integrates
    to :math:`\sum_i \mathrm{DOS}_i\, w_i` with the widths :math:`w_i` of the cells.

    :param atoms: the structure (positions in A); ``info`` may contain ``id``, ``subset`` and ``parent``.
    :param energies: increasing energies, shape ``(num_energies,)``, in eV.
    :param values: shape ``(num_spins, num_energies)``, in states/eV for the whole structure.
    :param fermi_level: Fermi level in eV, relative to the same zero as the energies.
    :param highest_trusted: energy up to which all states are known, relative to the Fermi level, in eV. It must be
        given, because a density of states does not tell how many bands were computed.
    :param source: where it came from, for messages.
    :param code: name and version of the DFT code, ``""`` if unknown.
    :raises CalculationError: if the data are inconsistent.
    """

    atoms: Atoms
    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    fermi_level: float
    highest_trusted: float
    source: str
    code: str = ""

    def __post_init__(self) -> None:
        try:
            check_structure(self.atoms)
            self._check()
        except ValueError as error:
            raise CalculationError(self.source, str(error)) from None

    @property
    def name(self) -> str:
        """The structure's own ``id``, or its source."""
        return str(self.atoms.info.get("id", self.source))

    @property
    def lowest(self) -> float:
        """Lowest energy of a cell with states, relative to the Fermi level, in eV."""
        first = int(np.flatnonzero(self.values.any(axis=0))[0])
        return float(self._edges()[first] - self.fermi_level)

    def resampled(self, step: float) -> tuple[int, NDArray[np.float64]]:
        r"""Density of states, summed over spins, on the multiples of a step, relative to the Fermi level.

        Every channel conserves its integral: with the cumulative :math:`N(E)`, which is piecewise linear because the
        density is constant in every cell, the value of channel :math:`j` is
        :math:`[N((j + ½)s) - N((j - ½)s)] / s`.

        :param step: :math:`s`, in eV.
        :return: index of the first channel, in steps from the Fermi level, and the values in states/eV. They range
            from the lowest cell with states to :attr:`highest_trusted`.
        """
        edges = self._edges() - self.fermi_level
        counts = np.concatenate([[0.0], np.cumsum(self.values.sum(axis=0) * np.diff(edges))])
        first, last = math.floor(self.lowest / step), math.floor(self.highest_trusted / step)
        channel_edges = (np.arange(first, last + 2) - 0.5) * step
        return first, np.diff(np.interp(channel_edges, edges, counts)) / step

    def _edges(self) -> NDArray[np.float64]:
        """Ends of the cells, shape ``(num_energies + 1,)``, in eV."""
        middles = (self.energies[1:] + self.energies[:-1]) / 2
        return np.concatenate([[2 * self.energies[0] - middles[0]], middles, [2 * self.energies[-1] - middles[-1]]])

    def _check(self) -> None:
        if self.energies.ndim != 1 or len(self.energies) < 2 or not np.isfinite(self.energies).all():
            raise ValueError(f"expected at least two finite energies in a row, got shape {self.energies.shape}")
        if not (np.diff(self.energies) > 0).all():
            raise ValueError("expected energies that increase")
        if self.values.ndim != 2 or len(self.values) not in (1, 2) or self.values.shape[1] != len(self.energies):
            raise ValueError(
                f"expected a density of states of shape (1 or 2 spins, {len(self.energies)}), got {self.values.shape}"
            )
        if not np.isfinite(self.values).all():
            raise ValueError("expected a finite density of states, got NaN or infinity")
        if not self.values.sum() > 0:
            raise ValueError("expected a density of states with states, got none")
        if not self.energies[0] < self.fermi_level < self.energies[-1]:
            raise ValueError(
                f"expected a Fermi level on the grid, {self.energies[0]:g} to {self.energies[-1]:g} eV, got "
                f"{self.fermi_level:g} eV"
            )
        if not self.lowest < self.highest_trusted <= self.energies[-1] - self.fermi_level:
            raise ValueError(
                f"expected a highest trusted energy between the lowest state, {self.lowest:.2f} eV, and the end of "
                f"the grid, {self.energies[-1] - self.fermi_level:.2f} eV, got {self.highest_trusted:g} eV"
            )
