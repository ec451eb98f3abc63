"""A density of states given on a grid, not as eigenvalues."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from electrain.spectra.axis import MARGIN_IN_SMEARINGS
from electrain.spectra.grid import EnergyGrid
from electrain.structures.checks import check_structure

from .calculation import ELECTRON_TOLERANCE, MISPLACED_TOLERANCE, CalculationError, check_values

_ON_CHANNEL = 1e-6  # of a step


class DosGrid(NamedTuple):
    """What a file with nothing but the values of densities of states does not say.

    :param start: energy of the first value relative to the Fermi level, in eV.
    :param step: distance to the next one, in eV.
    :param smearing: standard deviation of the Gaussians, in eV.
    """

    start: float
    step: float
    smearing: float


@dataclass(frozen=True, eq=False)
class SampledSpectrum:
    r"""Density of states of one structure on the grid on which it was computed.

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
    :param smearing: standard deviation of its Gaussians in eV, ``None`` if unknown.
    :param num_electrons: number of electrons in the calculation, without those of frozen cores.
    :param others: values of other quantities of data sets by name, in their units and shapes.
    :raises CalculationError: if the data are inconsistent.
    """

    atoms: Atoms
    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    fermi_level: float
    highest_trusted: float
    source: str
    code: str = ""
    smearing: float | None = None
    num_electrons: float | None = None
    others: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

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
        """Lowest state, relative to the Fermi level, in eV: the lowest energy of a cell with states.

        With a known smearing, it is five smearings above the energy where the tail of its Gaussian begins.
        """
        total = self.values.sum(axis=0)
        if self.smearing is None:
            return self._lowest_cell()
        first = int(np.argmax(total > math.exp(-0.5 * MARGIN_IN_SMEARINGS**2) * total.max()))
        return float(self.energies[first] - self.fermi_level + MARGIN_IN_SMEARINGS * self.smearing)

    def on_channels(self, step: float, origin: float = 0.0) -> tuple[EnergyGrid, NDArray[np.float64]]:
        r"""Density of states, summed over spins, on channels relative to the Fermi level.

        If its energies are such channels, the values are taken as they are. Otherwise every channel conserves its
        integral: with the cumulative :math:`N(E)`, which is piecewise linear because the density is constant in every
        cell, the value of the channel at :math:`E` is :math:`[N(E + s/2) - N(E - s/2)] / s`.

        :param step: :math:`s`, in eV.
        :param origin: energy of a channel, in eV.
        :return: the channels, from the lowest cell with states to :attr:`highest_trusted`, and the values in states/eV.
        """
        first = math.floor((self._lowest_cell() - origin) / step)
        last = math.floor((self.highest_trusted - origin) / step + _ON_CHANNEL)
        grid = EnergyGrid(round(origin + first * step, 6), step, last - first + 1)
        channels = (self.energies - self.fermi_level - origin) / step
        if np.allclose(channels, np.round(channels), rtol=0, atol=_ON_CHANNEL) and (np.diff(channels) < 1.5).all():
            begin = round(channels[0]) - first
            values = np.zeros(grid.size)
            values[max(begin, 0) :] = self.values.sum(axis=0)[max(-begin, 0) : grid.size - begin]
            return grid, values
        channel_edges = origin + (np.arange(first, last + 2) - 0.5) * step
        return grid, np.diff(self.num_states(channel_edges)) / step

    def num_states(self, energies: ArrayLike) -> NDArray[np.float64]:
        """Number of states below energies relative to the Fermi level, in eV."""
        edges = self._edges() - self.fermi_level
        counts = np.concatenate([[0.0], np.cumsum(self.values.sum(axis=0) * np.diff(edges))])
        return np.asarray(np.interp(np.asarray(energies), edges, counts))

    def _lowest_cell(self) -> float:
        """Lowest energy of a cell with states, relative to the Fermi level, in eV."""
        first = int(np.flatnonzero(self.values.any(axis=0))[0])
        return float(self._edges()[first] - self.fermi_level)

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
        check_values(self.others, len(self.atoms), (len(self.energies),))
        self._check_electrons()

    def _check_electrons(self) -> None:
        """Compare the states up to the Fermi level with the electrons: within a smearing of it, no count is exact."""
        if self.num_electrons is None or self.smearing is None or self.highest_trusted < self.smearing:
            return
        fewest, most = self.num_states([-self.smearing, self.smearing])
        tolerance = max(ELECTRON_TOLERANCE, MISPLACED_TOLERANCE * self.num_electrons)
        if not fewest - tolerance <= self.num_electrons <= most + tolerance:
            raise ValueError(
                f"expected {self.num_electrons:g} electrons, but the density of states up to the Fermi level "
                f"(+-{self.smearing:g} eV) holds {fewest:.2f} to {most:.2f}: wrong energies, Fermi level or number of "
                "electrons"
            )
