r"""The electronic free energy as a scriptable module, to be differentiated through a model in simulation engines.

The same quantity as :func:`~electrain.spectra.free_energy`, but batched and with tensors only, on any device. The DOS
is linear between channels and zero outside the grid. Negative values count as zero; otherwise a structure could have
several Fermi levels, and its energy would jump between them. TorchScript can compile the module: it uses the same
quadrature as :mod:`~electrain.spectra.thermal`, but its methods need no NumPy, no scipy and no loop over structures.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from .fermi import BOLTZMANN
from .grid import EnergyGrid
from .quadrature import MIN_DISTANCE_TO_END, NEGLIGIBLE, NUM_POINTS, REACH_ABOVE, WINDOW


def check_temperature(temperature: float) -> None:
    """Raise a ``ValueError`` for an electronic temperature in K that is not positive."""
    if not (math.isfinite(temperature) and BOLTZMANN * temperature >= np.finfo(np.float64).tiny):
        raise ValueError(f"expected a positive electronic temperature in K, got {temperature:g}")


def check_reach(temperature: float, energy_above: float) -> None:
    """Check that an energy axis contains the states that hot electrons occupy.

    :param temperature: electronic temperature, in K.
    :param energy_above: energy from the Fermi level to the upper end of the axis, in eV.
    :raises ValueError: if it is less than 10 kB T.
    """
    needed = REACH_ABOVE * BOLTZMANN * temperature
    if energy_above < needed:
        raise ValueError(
            f"{temperature:g} K is too hot for this model's axis, which ends {energy_above:.4g} eV above the Fermi "
            f"level: electrons would occupy states above it. Expected at least {REACH_ABOVE:g} kB T = {needed:.4g} eV, "
            f"or at most {energy_above / (REACH_ABOVE * BOLTZMANN):,.0f} K"
        )


class FermiLevels(NamedTuple):
    """Fermi levels on the energy axis of the DOS."""

    cold: torch.Tensor  # at T = 0 | (batch,) | eV
    hot: torch.Tensor  # (batch,) | eV


class HotElectrons(torch.nn.Module):
    r"""Helmholtz free energy of the electrons above their ground state, :math:`F = U - T S`, in eV.

    With the number of electrons N and the Fermi levels :math:`\mu` at T and :math:`\mu_0` at zero,

    .. math:: F = -k_B T \int dE\, \mathrm{DOS}(E) \ln(1 + e^{-|E - \mu| / k_B T})
        - \int_{\mu_0}^{\mu} dE\, (\mu - E)\, \mathrm{DOS}(E)
        + (\mu - \mu_0) \Big[ N - \int^{\mu_0} dE\, \mathrm{DOS}(E) \Big].

    It is stationary with respect to both levels, so its derivatives are those of this expression at fixed levels. It is
    also linear in the DOS and in N, so the shares of atoms add up.

    :param grid: energies of the channels of the DOS.
    :param temperature: electronic temperature, in K.
    :raises ValueError: for a temperature that is not positive, or so high that 10 kB T exceed the length of the grid,
        or a grid with one channel.
    """

    # TorchScript: the types of lists are read from the class
    abscissas: list[float]
    weights: list[float]

    def __init__(self, grid: EnergyGrid, temperature: float) -> None:
        super().__init__()
        check_temperature(temperature)
        check_reach(temperature, grid.stop - grid.start)
        if grid.size < 2:
            raise ValueError(f"expected two channels at least, got {grid}")
        self.start, self.step, self.size, self.stop = float(grid.start), float(grid.step), int(grid.size), grid.stop
        self.temperature = float(temperature)
        self.width = BOLTZMANN * self.temperature
        self.reach = WINDOW
        self.num_channels = math.ceil(2 * WINDOW * self.width / self.step) + 2
        abscissas, weights = np.polynomial.legendre.leggauss(NUM_POINTS)
        self.abscissas, self.weights = abscissas.tolist(), weights.tolist()

    def forward(self, dos: torch.Tensor, num_electrons: torch.Tensor) -> torch.Tensor:
        """Free energies of whole structures.

        :param dos: in states/eV, float64, shape ``(batch, size)``.
        :param num_electrons: of the same structures, float64, shape ``(batch,)``.
        :return: in eV, shape ``(batch,)``.
        :raises ValueError: as for :meth:`levels`.
        """
        states = torch.relu(dos)
        return self.at_levels(states, num_electrons, self.levels(states, num_electrons))

    @torch.jit.export
    def levels(self, states: torch.Tensor, num_electrons: torch.Tensor) -> FermiLevels:
        """Find the Fermi levels, without gradients: first derivatives of the free energy do not need them.

        :param states: a non-negative DOS, in states/eV, float64, shape ``(batch, size)``.
        :param num_electrons: float64, shape ``(batch,)``.
        :raises ValueError: if the DOS on the grid does not hold the electrons, if an end of the grid cuts it off
            within 15 kB T of the level, or if the upper end is closer than 10 kB T to it whatever the DOS is there.
        """
        states, num_electrons = states.detach(), num_electrons.detach()
        counts = self._cold_counts(states)
        if not bool(torch.isfinite(states).all()):
            raise ValueError("expected a finite density of states, got NaN or infinity")
        fits = (num_electrons > 0) & (num_electrons < counts[:, -1])
        if not bool(fits.all()):
            first = int((~fits).int().argmax())
            raise ValueError(
                "no Fermi level inside the energy grid: the density of states of structure "
                + str(first)
                + " holds "
                + str(float(counts[first, -1]))
                + " electrons at most, got "
                + str(float(num_electrons[first]))
            )
        cold = self._cold_level(states, counts, num_electrons)
        hot = self._hot_level(states, counts, num_electrons, cold)
        self._check_ends(states, hot)
        self._check_reach(torch.maximum(cold, hot))
        return FermiLevels(cold, hot)

    @torch.jit.export
    def at_levels(self, states: torch.Tensor, num_electrons: torch.Tensor, levels: FermiLevels) -> torch.Tensor:
        """Free energies at given levels, of structures or (as shares) of atoms at the levels of their structures.

        :param states: in states/eV, float64, shape ``(batch, size)``.
        :param num_electrons: float64, shape ``(batch,)``.
        :param levels: Fermi levels for each row.
        :return: in eV, shape ``(batch,)``.
        """
        energies, density = self._around(states, levels.hot)
        heating = -self.width * (density * torch.log1p(torch.exp(-energies.abs() / self.width))).sum(dim=1)
        shift = levels.hot - levels.cold
        below = self._count_below(states, self._cold_counts(states), levels.cold)
        return heating - self._passed(states, levels) + shift * (num_electrons - below)

    def _passed(self, states: torch.Tensor, levels: FermiLevels) -> torch.Tensor:
        """Integral of (hot - E) DOS(E) from the cold to the hot level; Simpson's rule between channels is exact."""
        channels = torch.arange(self.size, dtype=states.dtype, device=states.device)
        low = ((torch.minimum(levels.cold, levels.hot) - self.start) / self.step).unsqueeze(1)
        high = ((torch.maximum(levels.cold, levels.hot) - self.start) / self.step).unsqueeze(1)
        ends = torch.minimum(torch.maximum(channels, low), high)
        hot = ((levels.hot - self.start) / self.step).unsqueeze(1)
        total = torch.zeros_like(levels.hot)
        fractions, weights = [0.0, 0.5, 1.0], [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0]
        lower, upper = ends[:, :-1], ends[:, 1:]
        for i in range(3):
            positions = lower + fractions[i] * (upper - lower)
            share = positions - channels[:-1]  # of the upper channel
            density = states[:, :-1] * (1.0 - share) + states[:, 1:] * share
            total = total + weights[i] * ((upper - lower) * (hot - positions) * density).sum(dim=1)
        return torch.sign(levels.hot - levels.cold) * self.step**2 * total

    def _cold_counts(self, states: torch.Tensor) -> torch.Tensor:
        """Electrons below each channel at T = 0: (batch, size)."""
        parts = 0.5 * self.step * (states[:, 1:] + states[:, :-1])
        return torch.nn.functional.pad(parts.cumsum(dim=1), [1, 0])

    def _count_below(self, states: torch.Tensor, counts: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        position = ((level - self.start) / self.step).clamp(0.0, self.size - 1.0)
        channel = position.long().clamp_max(self.size - 2).unsqueeze(1)
        fraction = position - channel.squeeze(1)
        here, above = states.gather(1, channel).squeeze(1), states.gather(1, channel + 1).squeeze(1)
        return counts.gather(1, channel).squeeze(1) + self.step * fraction * (here + 0.5 * fraction * (above - here))

    def _cold_level(self, states: torch.Tensor, counts: torch.Tensor, num_electrons: torch.Tensor) -> torch.Tensor:
        wanted = num_electrons.unsqueeze(1)
        channel = (torch.searchsorted(counts, wanted) - 1).clamp(0, self.size - 2)
        missing = ((wanted - counts.gather(1, channel)) / self.step).squeeze(1)
        here, above = states.gather(1, channel).squeeze(1), states.gather(1, channel + 1).squeeze(1)
        # here x + (above - here) x^2 / 2 = missing, solved without cancellation
        root = (here**2 + 2.0 * (above - here) * missing).clamp_min(0.0).sqrt()
        fraction = (2.0 * missing / (here + root).clamp_min(1e-300)).clamp(0.0, 1.0)
        return self.start + self.step * (channel.squeeze(1) + fraction)

    def _hot_level(
        self, states: torch.Tensor, counts: torch.Tensor, num_electrons: torch.Tensor, first: torch.Tensor
    ) -> torch.Tensor:
        """Newton's method, with bisection whenever it leaves the bracket."""
        low, high = torch.full_like(first, self.start), torch.full_like(first, self.stop)
        level = first
        for _ in range(100):
            energies, density = self._around(states, level)
            decay = torch.exp(-energies.abs() / self.width)
            moved = torch.sign(energies) * decay / (1.0 + decay)
            excess = self._count_below(states, counts, level) + (density * moved).sum(dim=1) - num_electrons
            slope = (density * decay / (1.0 + decay) ** 2).sum(dim=1) / self.width
            low = torch.where(excess < 0, level, low)
            high = torch.where(excess > 0, level, high)
            new = level - excess / slope
            middle = 0.5 * (low + high)
            new = torch.where((new > low) & (new < high), new, middle)
            new = torch.where(excess == 0, level, new)
            change = (new - level).abs().max()
            level = new
            if float(change) <= 1e-13 * max(1.0, abs(self.start), abs(self.stop)):
                break
        return level

    def _around(self, states: torch.Tensor, level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Quadrature points around the levels: (E - level), and weight times DOS, both (batch, num_points).

        Gauss-Legendre between all channels and all multiples of kB T, between which the integrand is smooth.
        """
        offset = ((level - self.start) / self.step).unsqueeze(1)
        first = torch.ceil(offset - self.reach * self.width / self.step)
        channels = first + torch.arange(self.num_channels, dtype=states.dtype, device=states.device)
        multiples = torch.arange(-self.reach, self.reach + 1, dtype=states.dtype, device=states.device)
        ends = torch.cat(
            [(channels - offset) * self.step, (self.width * multiples).unsqueeze(0).expand(offset.shape[0], -1)], dim=1
        )
        window = self.reach * self.width
        lowest = (self.start - level).clamp(-window, window).unsqueeze(1)
        highest = (self.stop - level).clamp(-window, window).unsqueeze(1)
        ends = torch.sort(torch.minimum(torch.maximum(ends, lowest), highest), dim=1)[0]
        abscissas = torch.tensor(self.abscissas, dtype=states.dtype, device=states.device)
        weights = torch.tensor(self.weights, dtype=states.dtype, device=states.device)
        half = 0.5 * (ends[:, 1:] - ends[:, :-1]).unsqueeze(2)
        energies = (0.5 * (ends[:, 1:] + ends[:, :-1]).unsqueeze(2) + half * abscissas).flatten(1)
        positions = offset + energies / self.step
        lower = positions.long().clamp(0, self.size - 2)
        share = positions - lower
        density = (1.0 - share) * states.gather(1, lower) + share * states.gather(1, lower + 1)
        return energies, (half * weights).flatten(1) * density

    # TorchScript: functions cannot read module-level numbers, so they are default arguments
    def _check_ends(
        self,
        states: torch.Tensor,
        level: torch.Tensor,
        nearest: float = MIN_DISTANCE_TO_END,
        part: float = NEGLIGIBLE,
    ) -> None:
        negligible = part * states.amax(dim=1)
        cut = (states[:, -1] > negligible) & (self.stop - level < nearest * self.width)
        cut = cut | ((states[:, 0] > negligible) & (level - self.start < nearest * self.width))
        if bool(cut.any()):
            raise ValueError(
                "the density of states is cut by an end of its energy grid, "
                + str(self.start)
                + " or "
                + str(self.stop)
                + " eV, closer than 15 kB T to the Fermi level, "
                + str(float(level[int(cut.int().argmax())]))
                + " eV, at "
                + str(self.temperature)
                + " K: expected a lower temperature or a wider grid"
            )

    def _check_reach(self, level: torch.Tensor, reach: float = REACH_ABOVE) -> None:
        """The same as the function of this name, for all structures of a batch; states above any axis are unknown."""
        above = self.stop - float(level.max())
        if above < reach * self.width:
            raise ValueError(
                str(self.temperature)
                + " K is too hot for this model's axis, which ends "
                + str(above)
                + " eV above the Fermi level: expected 10 kB T = "
                + str(reach * self.width)
                + " eV at least, or a lower temperature"
            )
