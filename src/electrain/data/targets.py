"""From calculations to training targets."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from numpy.typing import NDArray

from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    FERMI_LEVEL,
    QUANTITIES,
    Quantity,
    gradients_of,
    in_data_sets,
)
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.broadening import density_of_states, highest_trusted_energy, trusted_channels
from electrain.spectra.gap import gap_from_eigenvalues
from electrain.spectra.grid import EnergyGrid

from .axis import AxisSettings, check_size
from .calculation import Calculation
from .sampled_spectrum import SampledSpectrum

# Written for every structure; all other quantities are written if any structure of a data set has them
ELECTRONIC = (DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL)

# This far below the lowest state, a Gaussian is smaller than the round-off of its peak (exp(-8**2 / 2) is 1e-14).
_TAIL_IN_SMEARINGS = 8.0


@dataclass(frozen=True)
class TrustedSpectrum:
    """Density of states from its lower end to the highest trusted energy; zero below, unknown above.

    :param grid: energies of the values relative to the Fermi level.
    :param values: shape ``(grid.size,)``, in states/eV for the whole structure, or the values of several spectra,
        shape ``(..., grid.size)``.
    :param lowest: lowest state, relative to the Fermi level, in eV.
    :param highest: highest trusted energy, relative to the Fermi level, in eV.
    """

    grid: EnergyGrid
    values: NDArray[np.float64]
    lowest: float
    highest: float

    def on(self, axis: EnergyAxis) -> torch.Tensor:
        """Values on a prediction grid, shape ``(..., axis.grid.size)``; NaN where not trusted.

        The values are zero in the lowest ``axis.max_shift`` channels.

        :raises ValueError: if states lie below the target grid, or the axis has other channels than the spectrum.
        """
        begin = axis.grid.channel_of(self.grid)
        if begin is None:
            raise ValueError(f"expected an energy axis with the channels of the spectrum, {self.grid}, got {axis.grid}")
        # The tolerance allows for round-off in an axis made for exactly this lowest state.
        if self.lowest < axis.lowest_state - 1e-6 * axis.grid.step:
            raise ValueError(
                f"expected no state below {axis.lowest_state:.2f} eV (from the Fermi level), where the axis has no "
                f"room for it, got one at {self.lowest:.2f} eV"
            )
        *rows, num_channels = self.values.shape
        spectrum = torch.zeros(*rows, axis.grid.size, dtype=torch.float64)
        end = min(begin + num_channels, axis.grid.size)
        if end > max(begin, 0):
            spectrum[..., max(begin, 0) : end] = torch.from_numpy(self.values[..., max(-begin, 0) : end - begin])
        spectrum[..., : axis.max_shift] = 0.0
        spectrum[..., max(begin + num_channels, 0) :] = math.nan
        return spectrum


@dataclass(frozen=True)
class Sample:
    """A structure and its targets, before the energy axis is known.

    :param atoms: the structure; lengths in A.
    :param spectrum: its density of states.
    :param values: values of all other quantities of data sets by name, NaN if unknown (and for a stress without a
        volume); spectra on the channels of ``spectrum``.
    """

    atoms: Atoms
    spectrum: TrustedSpectrum
    values: dict[str, NDArray[np.float64]]

    def on(self, axis: EnergyAxis) -> dict[str, NDArray[np.float64]]:
        """Values of all quantities by name, spectra on the prediction grid.

        :raises ValueError: as for :meth:`TrustedSpectrum.on`.
        """
        placed = {DENSITY_OF_STATES: self.spectrum.on(axis).numpy()}
        for name, values in self.values.items():
            if QUANTITIES[name].is_spectrum:
                is_known = bool(np.isfinite(values).all())
                values = replace(self.spectrum, values=values).on(axis).numpy()
                values = values if is_known else np.full_like(values, math.nan)
            placed[name] = values
        return placed


def make_sample(
    calculation: Calculation | SampledSpectrum, *, step: float, smearing: float, origin: float = 0.0
) -> Sample:
    """Compute all targets of a calculation.

    :param calculation: eigenvalues, or a density of states, which keeps its own smearing.
    :param step: spacing of the channels, in eV.
    :param smearing: standard deviation of the Gaussians, in eV.
    :param origin: energy of a channel relative to the Fermi level, in eV.
    :raises ValueError: if the density of states cannot be trusted anywhere, or needs more than 20,000 channels.
    """
    known: dict[str, NDArray[np.float64] | float] = {FERMI_LEVEL: 0.0}
    if isinstance(calculation, SampledSpectrum):
        check_size(calculation.highest_trusted - calculation.lowest, step)
        grid, density = calculation.on_channels(step, origin)
        spectrum = TrustedSpectrum(grid, density, calculation.lowest, calculation.highest_trusted)
        known.update(_without_volume(calculation.atoms, calculation.others))
    else:
        spectrum = trusted_spectrum(calculation, step=step, smearing=smearing, origin=origin)
        known.update(_learned(calculation, spectrum.grid, smearing))
        known[BAND_GAP] = band_gap(calculation)
    values = {}
    for quantity in in_data_sets():
        if quantity.name != DENSITY_OF_STATES:
            shape = quantity.array_shape(len(calculation.atoms), spectrum.values.shape)
            values[quantity.name] = np.full(shape, known.get(quantity.name, math.nan))
    return Sample(calculation.atoms, spectrum, values)


def _learned(calculation: Calculation, grid: EnergyGrid, smearing: float) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Values given with a calculation, as they are used as targets."""
    for name, values in _without_volume(calculation.atoms, calculation.values).items():
        quantity = QUANTITIES[name]
        if quantity.is_spectrum:
            heights = (values * calculation.weights[:, None]).reshape(-1, calculation.eigenvalues.size)
            energies = calculation.bands().reshape(-1, 1)
            rows = [density_of_states(energies, torch.from_numpy(height), grid, smearing) for height in heights]
            values = torch.stack(rows).numpy().reshape(*values.shape[:-3], grid.size)
        elif quantity.on_axis_of is not None:
            values = values - calculation.zero()
        yield name, values


def _without_volume(atoms: Atoms, values: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Leave out the stress of a structure that has no volume."""
    return {
        name: value
        for name, value in values.items()
        if atoms.pbc.all() or QUANTITIES[name].gradient_parameter != "strain"
    }


def choose_axis(calculations: Sequence[Calculation], *, step: float, smearing: float, max_shift: float) -> EnergyAxis:
    """Find the axis from 1.5 eV below the lowest state of a set to 1.5 eV above its highest trusted energy.

    :param calculations: at least one.
    :param step: spacing of the channels, in eV, a multiple of 1e-6 eV.
    :param smearing: standard deviation of the Gaussians, in eV.
    :param max_shift: length, in eV, by which the prediction grid extends further down; rounded to whole channels.
    :raises ValueError: for an empty set, a calculation without a trusted range, or as for :class:`AxisSettings`.
    """
    if not calculations:
        raise ValueError("expected at least one calculation to choose an energy axis, got none")
    settings = AxisSettings(step=step, smearing=smearing, max_shift=max_shift)
    ranges = [trusted_range(calculation, smearing) for calculation in calculations]
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    return settings.axis(lowest, highest)


def trusted_range(calculation: Calculation, smearing: float) -> tuple[float, float]:
    """Find the lowest state and the highest energy at which the density of states can be trusted.

    :return: both relative to the Fermi level, in eV.
    :raises ValueError: if the range is empty.
    """
    bands = calculation.bands()
    lowest, highest = float(bands.min()), highest_trusted_energy(bands, smearing)
    if highest < lowest:
        raise ValueError(
            f"{calculation.source}: expected enough bands to trust the density of states above its lowest "
            f"state at {lowest:.2f} eV, got {bands.shape[-1]} that can be trusted up to {highest:.2f} eV"
        )
    return lowest, highest


def trusted_spectrum(calculation: Calculation, *, step: float, smearing: float, origin: float = 0.0) -> TrustedSpectrum:
    """Broaden the eigenvalues of a calculation; two spins are summed.

    :param step: spacing of the channels, in eV.
    :param smearing: standard deviation of the Gaussians, in eV.
    :param origin: energy of a channel relative to the Fermi level, in eV.
    :raises ValueError: as for :func:`trusted_range`.
    """
    lowest, highest = trusted_range(calculation, smearing)
    check_size(highest - lowest, step)
    covering = EnergyGrid.covering(lowest - _TAIL_IN_SMEARINGS * smearing, highest, step, origin=origin)
    grid = EnergyGrid(round(covering.start, 6), step, covering.size)
    values = density_of_states(calculation.bands(), calculation.k_weights(), grid, smearing)
    trusted = values[trusted_channels(grid, highest)]
    return TrustedSpectrum(EnergyGrid(grid.start, step, len(trusted)), trusted.numpy(), lowest, highest)


def dos_target(calculation: Calculation, axis: EnergyAxis) -> torch.Tensor:
    """Density of states of the whole cell on the prediction grid.

    The values are zero in the lowest ``axis.max_shift`` channels, and NaN above the highest trusted energy of the
    calculation.

    :return: shape ``(axis.grid.size,)``, in states/eV.
    :raises ValueError: if states lie below the target grid, or there are none in the trusted range.
    """
    assert axis.smearing is not None  # always set for data sets
    grid = axis.grid
    spectrum = trusted_spectrum(calculation, step=grid.step, smearing=axis.smearing, origin=grid.start)
    try:
        return spectrum.on(axis)
    except ValueError as error:
        raise ValueError(f"{calculation.source}: {error}") from None


def band_gap(calculation: Calculation) -> float:
    """Return the band gap given with a calculation, otherwise that of its eigenvalues, in eV; NaN without either."""
    if BAND_GAP in calculation.values:
        return float(calculation.values[BAND_GAP])
    if calculation.electrons_in_pairs is None:
        return math.nan
    try:
        return gap_from_eigenvalues(calculation.bands(), calculation.electrons_in_pairs)
    except ValueError:  # no empty band was computed
        return math.nan


def make_targets(sample: Sample, axis: EnergyAxis, names: Iterable[str]) -> dict[str, TensorMap]:
    """Make targets for metatrain, in the units of their quantities; unknown values are NaN.

    The property labels of a spectrum are its energy axis, see :mod:`electrain.interface.axis_labels`. Gradients are
    part of the block of their energy: the gradient with respect to positions is minus the forces, in eV/A; that with
    respect to strain is the stress times the volume, in eV.

    :param names: names of the quantities.
    :raises ValueError: as for :meth:`TrustedSpectrum.on`.
    """
    values, names = sample.on(axis), set(names)
    targets = {}
    for quantity in in_data_sets():
        if quantity.name in names and quantity.gradient_of is None:
            properties = Labels.range(quantity.name.removeprefix("mtt::"), 1)
            if quantity.is_spectrum:
                properties = grid_to_labels(axis.grid)
            block = _block(quantity, "system", values[quantity.name], sample.atoms, properties)
            for gradient in gradients_of(quantity.name):
                if gradient.name in names:
                    # Without a volume the stress is NaN, and so is the product.
                    volume = abs(np.linalg.det(sample.atoms.cell[:]))
                    factor = -1.0 if gradient.gradient_parameter == "positions" else volume
                    derivative = _block(gradient, "sample", factor * values[gradient.name], sample.atoms, properties)
                    block.add_gradient(str(gradient.gradient_parameter), derivative)
            targets[quantity.name] = TensorMap(Labels.single(), [block])
    return targets


def _block(
    quantity: Quantity, sample_name: str, values: NDArray[np.float64], atoms: Atoms, properties: Labels
) -> TensorBlock:
    samples, shape = Labels.range(sample_name, 1), quantity.shape or ()
    if quantity.per == "atom":
        samples = Labels([sample_name, "atom"], torch.tensor([[0, atom] for atom in range(len(atoms))]))
    directions = ["xyz"] if len(shape) == 1 else [f"xyz_{number}" for number in range(1, len(shape) + 1)]
    return TensorBlock(
        values=torch.from_numpy(values).reshape(len(samples), *shape, len(properties)),
        samples=samples,
        components=[Labels.range(name, 3) for name in directions],
        properties=properties,
    )
