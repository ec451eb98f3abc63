r"""Thermodynamics of independent electrons in a density of states, at a fixed number of electrons.

The DOS does not change with temperature (rigid bands), and as in :mod:`~electrain.spectra.fermi` it is linear
between channels and zero outside the grid. Its integrals with functions of :math:`x = (E - \mu) / k_B T` are exact to
round-off at any temperature, even if :math:`k_B T` is much smaller than the step of the grid, thanks to Gauss-Legendre
quadrature between all channels and all multiples of :math:`k_B T`.

Energies are relative to the ground state at T = 0. They do not depend on the zero of the energy axis, which
predictions for different structures do not share.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .fermi import BOLTZMANN, fermi_level
from .grid import EnergyGrid
from .quadrature import points_around, points_between

Temperatures = float | Sequence[float] | torch.Tensor


def electronic_energy(
    dos: torch.Tensor, grid: EnergyGrid, num_electrons: float | torch.Tensor, temperature: Temperatures
) -> torch.Tensor:
    r"""Energy of the electrons above their ground state, in eV.

    .. math:: U(T) = \int dE\, E\, \mathrm{DOS}(E)\, f(E - \mu_T, T) - \int_{-\infty}^{\mu_0} dE\, E\, \mathrm{DOS}(E)

    with the Fermi-Dirac function f and the level :math:`\mu_T` of :func:`~electrain.spectra.fermi_level`
    (arXiv:2508.17418, eq. 12).

    :param dos: in states/eV, shape ``(..., grid.size)``.
    :param grid: energies of its channels.
    :param num_electrons: number of electrons in the cell of the DOS: one number, or one per spectrum, shape ``(...)``.
    :param temperature: electronic temperature in K: one number, or several, shape ``(num_temperatures,)``.
    :return: float64, shape ``(...)`` or ``(..., num_temperatures)``.
    :raises ValueError: for inconsistent shapes, values that are not finite, a negative temperature, a Fermi level
        outside the grid, or a DOS that is cut off by the end of the grid within 15 kB T of the Fermi level. If a band
        really ends with a step, append a channel of zeros.
    """
    return _for_all(_energy, dos, grid, num_electrons, temperature)


def electronic_entropy(
    dos: torch.Tensor, grid: EnergyGrid, num_electrons: float | torch.Tensor, temperature: Temperatures
) -> torch.Tensor:
    r"""Entropy of the electrons, in eV/K.

    .. math:: S = -k_B \int dE\, \mathrm{DOS}(E)\, [f \ln f + (1 - f) \ln(1 - f)]

    Parameters, shape and errors as for :func:`electronic_energy`.
    """
    return _for_all(_entropy, dos, grid, num_electrons, temperature)


def free_energy(
    dos: torch.Tensor, grid: EnergyGrid, num_electrons: float | torch.Tensor, temperature: Temperatures
) -> torch.Tensor:
    r"""Helmholtz free energy of the electrons above their ground state, :math:`F = U - T S`, in eV.

    Differentiable by autograd with respect to the DOS at fixed ``num_electrons``. With the grand potential
    :math:`\Omega(\mu) = -k_B T \int dE\, \mathrm{DOS}(E) \ln(1 + e^{-x})`, F is the stationary value of
    :math:`\Omega(\mu) + \mu N`, since :math:`\partial\Omega / \partial\mu = -N` defines the Fermi level. A change of
    the DOS therefore acts only through :math:`\Omega` at fixed :math:`\mu`; the shift of the level does not matter to
    first order. The same holds for the ground state.

    Parameters, shape and errors as for :func:`electronic_energy`.

    :raises RuntimeError: for second derivatives, to which the moving level contributes.
    """
    temperatures = _checked_temperatures(temperature)
    spectra, electrons = _checked(dos, grid, num_electrons)
    values: torch.Tensor = _FreeEnergy.apply(spectra, grid, electrons, temperatures)
    return values.reshape(_shape_of(dos, temperature))


def heat_capacity(
    dos: torch.Tensor, grid: EnergyGrid, num_electrons: float | torch.Tensor, temperature: Temperatures
) -> torch.Tensor:
    r"""Heat capacity at a fixed number of electrons, :math:`C = dU / dT = T\, dS / dT`, in eV/K.

    .. math:: C = k_B \Big(J_2 - \frac{J_1^2}{J_0}\Big), \qquad
        J_n = \int dE\, \mathrm{DOS}(E)\, x^n f (1 - f)

    is the analytic derivative; the second term comes from the change of the Fermi level. Parameters and shape as
    for :func:`electronic_energy`.

    :raises ValueError: as for :func:`electronic_energy`, and if negative values of the DOS make the number of
        electrons decrease with increasing Fermi level.
    """
    return _for_all(_heat_capacity, dos, grid, num_electrons, temperature)


class ElectronicQuantities(NamedTuple):
    """Quantities for one or several spectra and temperatures, each with the shape of :func:`electronic_energy`."""

    fermi_level: torch.Tensor  # eV, on the axis of the DOS
    energy: torch.Tensor  # above the ground state | eV
    entropy: torch.Tensor  # eV/K
    free_energy: torch.Tensor  # above the ground state | eV
    heat_capacity: torch.Tensor  # eV/K


def electronic_quantities(
    dos: torch.Tensor, grid: EnergyGrid, num_electrons: float | torch.Tensor, temperature: Temperatures
) -> ElectronicQuantities:
    """All quantities, with one search for each Fermi level.

    Parameters and errors as for :func:`heat_capacity`. Not differentiable.
    """
    temperatures = _checked_temperatures(temperature)
    spectra, electrons = _checked(dos, grid, num_electrons)
    values = torch.tensor(_loop(_quantities, spectra, grid, electrons, temperatures), dtype=torch.float64)
    parts = values.to(dos.device).unbind(dim=-1)
    return ElectronicQuantities(*(part.reshape(_shape_of(dos, temperature)) for part in parts))


def heat_capacity_by_differences(
    dos: torch.Tensor,
    grid: EnergyGrid,
    num_electrons: float | torch.Tensor,
    temperature: Temperatures,
    interval: float = 1.0,
) -> torch.Tensor:
    r"""Heat capacity from the energies at two temperatures, in eV/K.

    .. math:: C \approx \frac{U(T + \Delta T / 2) - U(T - \Delta T / 2)}{\Delta T}

    with the interval of arXiv:2508.17418, section S3.3. :func:`heat_capacity` avoids its error,
    :math:`C''(T)\, \Delta T^2 / 24`. Other parameters and shape as for :func:`electronic_energy`.

    :param interval: :math:`\Delta T`, in K.
    :raises ValueError: as for :func:`electronic_energy`, for an interval that is not positive, or for temperatures
        below half the interval.
    """
    temperatures = _checked_temperatures(temperature)
    if not (math.isfinite(interval) and interval > 0):
        raise ValueError(f"expected a positive interval in K, got {interval}")
    lower, upper = temperatures - 0.5 * interval, temperatures + 0.5 * interval
    difference = electronic_energy(dos, grid, num_electrons, upper) - electronic_energy(dos, grid, num_electrons, lower)
    return (difference / interval).reshape(_shape_of(dos, temperature))


def _energy(values: NDArray, grid: EnergyGrid, num_electrons: float, temperature: float) -> float:
    level = _level(values, grid, num_electrons, temperature)
    free = _free_energy_at(values, grid, num_electrons, temperature, level)[0]
    return free + temperature * _entropy_at(values, grid, temperature, level)


def _entropy(values: NDArray, grid: EnergyGrid, num_electrons: float, temperature: float) -> float:
    return _entropy_at(values, grid, temperature, _level(values, grid, num_electrons, temperature))


def _free_energy(
    values: NDArray, grid: EnergyGrid, num_electrons: float, temperature: float
) -> tuple[float, NDArray[np.float64]]:
    level = _level(values, grid, num_electrons, temperature)
    return _free_energy_at(values, grid, num_electrons, temperature, level)


def _level(values: NDArray, grid: EnergyGrid, num_electrons: float, temperature: float) -> float:
    return fermi_level(torch.from_numpy(values), grid, num_electrons, temperature)


def _entropy_at(values: NDArray, grid: EnergyGrid, temperature: float, level: float) -> float:
    if temperature == 0:
        return 0.0
    points = points_around(values, grid, level, temperature)
    distance = np.abs(points.energies) / (BOLTZMANN * temperature)
    # Electrons and holes have the same entropy, and that of |x| never overflows.
    entropy = np.log1p(np.exp(-distance)) + distance / (1.0 + np.exp(distance))
    return BOLTZMANN * float(points.weights @ (points.values_of(values) * entropy))


def _heat_capacity(values: NDArray, grid: EnergyGrid, num_electrons: float, temperature: float) -> float:
    return _heat_capacity_at(values, grid, temperature, _level(values, grid, num_electrons, temperature))


def _quantities(
    values: NDArray, grid: EnergyGrid, num_electrons: float, temperature: float
) -> tuple[float, float, float, float, float]:
    level = _level(values, grid, num_electrons, temperature)
    free = _free_energy_at(values, grid, num_electrons, temperature, level)[0]
    entropy = _entropy_at(values, grid, temperature, level)
    heating = _heat_capacity_at(values, grid, temperature, level)
    return level, free + temperature * entropy, entropy, free, heating


def _heat_capacity_at(values: NDArray, grid: EnergyGrid, temperature: float, level: float) -> float:
    if temperature == 0:
        return 0.0
    points = points_around(values, grid, level, temperature)
    x = points.energies / (BOLTZMANN * temperature)
    density = points.weights * points.values_of(values) * (0.5 / np.cosh(0.5 * x)) ** 2
    moments = [float(np.sum(density * x**n)) for n in range(3)]
    if moments[0] < 0:
        raise ValueError(
            f"fewer electrons fit below a Fermi level higher than {level:g} eV at {temperature:g} K: expected a DOS "
            "that is not negative around it"
        )
    if moments[0] == 0:
        return 0.0  # no states within reach
    return BOLTZMANN * (moments[2] - moments[1] ** 2 / moments[0])


def _free_energy_at(
    values: NDArray, grid: EnergyGrid, num_electrons: float, temperature: float, level: float
) -> tuple[float, NDArray[np.float64]]:
    r"""Return F and its derivatives with respect to the channels of the DOS, eV and eV^2.

    To avoid the cancellation of large numbers, the change of :math:`\Omega_0`, the limit of :math:`\Omega` at T = 0, is
    :math:`-N_0(\mu_0) (\mu_T - \mu_0) - \int_{\mu_0}^{\mu_T} dE\, (\mu_T - E)\, \mathrm{DOS}(E)`.
    """
    if temperature == 0:
        return 0.0, np.zeros(grid.size)
    points = points_around(values, grid, level, temperature)
    width = BOLTZMANN * temperature
    heating = -width * np.log1p(np.exp(-np.abs(points.energies) / width))
    weights = points.weights_of_channels(heating, grid.size)

    cold_level = _level(values, grid, num_electrons, 0.0)
    shift = level - cold_level
    passed = points_between(grid, level, np.sort([-shift, 0.0]), num_points=2)
    weights += math.copysign(1.0, shift) * passed.weights_of_channels(passed.energies, grid.size)
    below = points_between(grid, cold_level, np.array([grid.start - cold_level, 0.0]), num_points=1)
    weights -= shift * below.weights_of_channels(np.ones_like(below.energies), grid.size)
    return float(weights @ values) + shift * num_electrons, weights


class _FreeEnergy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, spectra: torch.Tensor, grid: EnergyGrid, electrons: NDArray, temperatures: torch.Tensor
    ) -> torch.Tensor:
        """Free energies, shape ``(num_spectra, num_temperatures)``."""
        rows = _loop(_free_energy, spectra, grid, electrons, temperatures)
        if ctx.needs_input_grad[0]:
            weights = torch.from_numpy(np.array([[weights for _, weights in row] for row in rows]))
            ctx.save_for_backward(spectra, weights.reshape(len(spectra), -1, grid.size).to(spectra))
        values = [[value for value, _ in row] for row in rows]
        return torch.tensor(values, dtype=torch.float64, device=spectra.device)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        spectra, weights = ctx.saved_tensors
        weights = _FirstDerivatives.apply(spectra, weights)
        return torch.einsum("st,ste->se", gradients[0].to(weights), weights), None, None, None


class _FirstDerivatives(torch.autograd.Function):
    """The derivatives depend on the spectra through the Fermi level; autograd must not treat them as constants."""

    @staticmethod
    def forward(ctx: Any, spectra: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return weights.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> None:
        raise RuntimeError("the free energy of the electrons has first derivatives only, got a request for second ones")


def _for_all(
    function: Callable[..., float],
    dos: torch.Tensor,
    grid: EnergyGrid,
    num_electrons: float | torch.Tensor,
    temperature: Temperatures,
) -> torch.Tensor:
    temperatures = _checked_temperatures(temperature)
    spectra, electrons = _checked(dos, grid, num_electrons)
    values = torch.tensor(_loop(function, spectra, grid, electrons, temperatures), dtype=torch.float64)
    return values.reshape(_shape_of(dos, temperature)).to(dos.device)


def _loop(
    function: Callable[..., Any],
    spectra: torch.Tensor,
    grid: EnergyGrid,
    electrons: NDArray,
    temperatures: torch.Tensor,
) -> list[list[Any]]:
    """Evaluate a function for all spectra (rows) and all temperatures (columns)."""
    rows = []
    for index, (spectrum, num_electrons) in enumerate(zip(spectra.detach(), electrons, strict=True)):
        try:
            values = grid.checked(spectrum).numpy()
            rows.append([function(values, grid, float(num_electrons), t) for t in temperatures.tolist()])
        except ValueError as error:
            if len(spectra) == 1:
                raise
            raise ValueError(f"spectrum {index} of {len(spectra)}: {error}") from None
    return rows


def _checked(
    dos: torch.Tensor, grid: EnergyGrid, num_electrons: float | torch.Tensor
) -> tuple[torch.Tensor, NDArray[np.float64]]:
    """Spectra of shape ``(num_spectra, size)`` and the number of electrons for each."""
    if dos.dim() == 0 or dos.shape[-1] != grid.size or grid.size < 2:
        raise ValueError(f"expected spectra of shape (..., {grid.size}), two channels at least, got {tuple(dos.shape)}")
    electrons = torch.as_tensor(num_electrons, dtype=torch.float64).detach().cpu()
    if electrons.dim() > 0 and electrons.shape != dos.shape[:-1]:
        raise ValueError(
            f"expected one number of electrons or one per spectrum, shape {tuple(dos.shape[:-1])}, "
            f"got {tuple(electrons.shape)}"
        )
    return dos.reshape(-1, grid.size), electrons.expand(dos.shape[:-1]).reshape(-1).numpy()


def _checked_temperatures(temperature: Temperatures) -> torch.Tensor:
    """Shape ``(num_temperatures,)``, float64, on the CPU."""
    temperatures = torch.as_tensor(temperature, dtype=torch.float64).detach().cpu()
    if temperatures.dim() > 1:
        raise ValueError(
            f"expected one temperature or several, shape (num_temperatures,), got {tuple(temperatures.shape)}"
        )
    return temperatures.reshape(-1)


def _shape_of(dos: torch.Tensor, temperature: Temperatures) -> tuple[int, ...]:
    return (*dos.shape[:-1], *torch.as_tensor(temperature).shape)
