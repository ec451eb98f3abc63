"""From calculations to the targets that a model learns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from numpy.typing import NDArray

from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.broadening import density_of_states, highest_trusted_energy, trusted_channels
from electrain.spectra.gap import gap_from_eigenvalues
from electrain.spectra.grid import EnergyGrid

from .axis import check_settings, fitted_axis
from .calculation import Calculation
from .sampled_spectrum import SampledSpectrum

# Below the lowest state by this much, a Gaussian is lost in the round-off of its peak (exp(-8**2 / 2) is 1e-14).
_TAIL_IN_SMEARINGS = 8.0


@dataclass(frozen=True)
class TrustedSpectrum:
    """Density of states from where it begins to where it can be trusted; zero below, unknown above.

    :param first_channel: energy of the first value relative to the Fermi level, in steps.
    :param values: shape ``(num_channels,)``, in states/eV of the whole structure.
    :param lowest: lowest state, relative to the Fermi level, in eV.
    :param highest: highest trusted energy, relative to the Fermi level, in eV.
    """

    first_channel: int
    values: NDArray[np.float64]
    lowest: float
    highest: float

    def on(self, axis: EnergyAxis) -> torch.Tensor:
        """Values on a prediction grid of the same step, shape ``(axis.grid.size,)``; NaN where not trusted.

        Zero in the lowest ``axis.max_shift`` channels.

        :raises ValueError: if states lie below the target grid, or the channels are no multiples of the step.
        """
        if abs(axis.grid.start - axis.first_channel * axis.grid.step) > 1e-6 * axis.grid.step:
            raise ValueError(
                f"expected an energy axis that starts at a multiple of its step, {axis.grid.step:g} eV, got "
                f"{axis.grid.start:g} eV"
            )
        # The tolerance is for an axis made for exactly this lowest state.
        if self.lowest < axis.lowest_state - 1e-6 * axis.grid.step:
            raise ValueError(
                f"expected no state below {axis.lowest_state:.2f} eV (from the Fermi level), where the axis has no "
                f"room for it, got one at {self.lowest:.2f} eV"
            )
        spectrum = torch.zeros(axis.grid.size, dtype=torch.float64)
        begin = self.first_channel - axis.first_channel
        end = min(begin + len(self.values), axis.grid.size)
        if end > max(begin, 0):
            spectrum[max(begin, 0) : end] = torch.from_numpy(self.values[max(-begin, 0) : end - begin])
        spectrum[: axis.max_shift] = 0.0
        spectrum[max(begin + len(self.values), 0) :] = math.nan
        return spectrum


@dataclass(frozen=True)
class Sample:
    """A structure and what a model learns of it, before the energy axis is known.

    :param atoms: lengths in A.
    :param spectrum: its density of states.
    :param band_gap: in eV, NaN if unknown.
    :param energy: in eV, NaN if unknown.
    :param forces: shape ``(num_atoms, 3)``, in eV/A, NaN if unknown.
    :param stress: shape ``(3, 3)``, in eV/A^3, NaN if unknown or without a volume.
    """

    atoms: Atoms
    spectrum: TrustedSpectrum
    band_gap: float
    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]


def make_sample(calculation: Calculation | SampledSpectrum, *, step: float, smearing: float) -> Sample:
    """Compute everything that is learned from a calculation.

    :param calculation: with eigenvalues, or a density of states, which keeps its own smearing.
    :param step: distance between two channels, in eV.
    :param smearing: standard deviation of the Gaussians, in eV.
    :raises ValueError: if the density of states cannot be trusted anywhere.
    """
    if isinstance(calculation, SampledSpectrum):
        return _sample_of_spectrum(calculation, step)
    has_volume = bool(calculation.atoms.pbc.all())
    forces, stress = calculation.forces, calculation.stress if has_volume else None
    return Sample(
        atoms=calculation.atoms,
        spectrum=trusted_spectrum(calculation, step=step, smearing=smearing),
        band_gap=band_gap(calculation),
        energy=math.nan if calculation.energy is None else calculation.energy,
        forces=np.full((len(calculation.atoms), 3), math.nan) if forces is None else forces,
        stress=np.full((3, 3), math.nan) if stress is None else stress,
    )


def _sample_of_spectrum(sampled: SampledSpectrum, step: float) -> Sample:
    first, values = sampled.resampled(step)
    return Sample(
        atoms=sampled.atoms,
        spectrum=TrustedSpectrum(first, values, sampled.lowest, sampled.highest_trusted),
        band_gap=math.nan,
        energy=math.nan,
        forces=np.full((len(sampled.atoms), 3), math.nan),
        stress=np.full((3, 3), math.nan),
    )


def choose_axis(calculations: Sequence[Calculation], *, step: float, smearing: float, max_shift: float) -> EnergyAxis:
    """Find the axis from 1.5 eV below the lowest state of a set to 1.5 eV above its highest trusted energy.

    :param calculations: at least one.
    :param step: distance between two channels, in eV, a multiple of 1e-6 eV.
    :param smearing: standard deviation of the Gaussians, in eV.
    :param max_shift: length, in eV, by which the prediction grid is longer below; rounded to whole channels.
    :raises ValueError: for an empty set, a calculation without a trusted range, or as :func:`check_settings`.
    """
    if not calculations:
        raise ValueError("expected at least one calculation to choose an energy axis for, got none")
    check_settings(step=step, smearing=smearing, max_shift=max_shift)
    ranges = [trusted_range(calculation, smearing) for calculation in calculations]
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    return fitted_axis(lowest, highest, step=step, smearing=smearing, max_shift=max_shift)


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


def trusted_spectrum(calculation: Calculation, *, step: float, smearing: float) -> TrustedSpectrum:
    """Broaden the eigenvalues of a calculation on the multiples of a step; two spins are summed.

    :param step: in eV.
    :param smearing: standard deviation of the Gaussians, in eV.
    :raises ValueError: as :func:`trusted_range`.
    """
    lowest, highest = trusted_range(calculation, smearing)
    first = math.floor((lowest - _TAIL_IN_SMEARINGS * smearing) / step)
    size = math.ceil(highest / step) - first + 1
    grid = EnergyGrid(round(first * step, 6), step, size)
    values = density_of_states(calculation.bands(), calculation.k_weights(), grid, smearing)
    trusted = values[trusted_channels(grid, highest)]
    return TrustedSpectrum(first, trusted.numpy(), lowest, highest)


def dos_target(calculation: Calculation, axis: EnergyAxis) -> torch.Tensor:
    """Density of states of the whole cell on the prediction grid.

    Zero in the lowest ``axis.max_shift`` channels, NaN above the highest trusted energy of the calculation.

    :return: shape ``(axis.grid.size,)``, in states/eV.
    :raises ValueError: if states lie below the target grid, or none in the trusted range.
    """
    assert axis.smearing is not None  # data sets know it
    spectrum = trusted_spectrum(calculation, step=axis.grid.step, smearing=axis.smearing)
    try:
        return spectrum.on(axis)
    except ValueError as error:
        raise ValueError(f"{calculation.source}: {error}") from None


def band_gap(calculation: Calculation) -> float:
    """Return the band gap that came with a calculation or that of its eigenvalues, in eV; else NaN."""
    if calculation.band_gap is not None:
        return calculation.band_gap
    if calculation.electrons_in_pairs is None:
        return math.nan
    try:
        return gap_from_eigenvalues(calculation.bands(), calculation.electrons_in_pairs)
    except ValueError:  # no empty band was computed
        return math.nan


def electronic_targets(sample: Sample, axis: EnergyAxis) -> dict[str, TensorMap]:
    """Density of states (states/eV), band gap (eV) and Fermi level (eV, on the axis of the DOS: 0).

    The property labels of the density of states are its energy axis, see :mod:`electrain.interface.axis_labels`.

    :raises ValueError: as :meth:`TrustedSpectrum.on`.
    """
    return {
        DENSITY_OF_STATES: _per_system(sample.spectrum.on(axis), grid_to_labels(axis.grid)),
        BAND_GAP: _per_system(_number(sample.band_gap), Labels.range("bandgap", 1)),
        FERMI_LEVEL: _per_system(_number(0.0), Labels.range("efermi", 1)),
    }


def energy_target(sample: Sample, *, with_forces: bool, with_stress: bool) -> TensorMap:
    """Energy in eV and, if asked for, its gradients; NaN for what is unknown.

    The gradient by positions is minus the forces, in eV/A; the one by strain the stress times the volume, in eV.
    """
    block = _block(_number(sample.energy), Labels.range("energy", 1))
    if with_forces:
        atoms = torch.arange(len(sample.atoms), dtype=torch.int32)
        samples = Labels(["sample", "atom"], torch.stack([torch.zeros_like(atoms), atoms], dim=1))
        values = -torch.as_tensor(sample.forces, dtype=torch.float64).unsqueeze(-1)
        block.add_gradient("positions", _gradient(values, samples, ["xyz"]))
    if with_stress:
        # Without a volume the stress is NaN, and so is the product.
        values = torch.as_tensor(sample.stress * abs(np.linalg.det(sample.atoms.cell[:])), dtype=torch.float64)
        gradient = _gradient(values.reshape(1, 3, 3, 1), Labels.range("sample", 1), ["xyz_1", "xyz_2"])
        block.add_gradient("strain", gradient)
    return TensorMap(Labels.single(), [block])


def _number(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def _per_system(values: torch.Tensor, properties: Labels) -> TensorMap:
    return TensorMap(Labels.single(), [_block(values, properties)])


def _block(values: torch.Tensor, properties: Labels) -> TensorBlock:
    return TensorBlock(
        values=values.unsqueeze(0),
        samples=Labels(["system"], torch.tensor([[0]], dtype=torch.int32)),
        components=[],
        properties=properties,
    )


def _gradient(values: torch.Tensor, samples: Labels, directions: Sequence[str]) -> TensorBlock:
    return TensorBlock(
        values=values,
        samples=samples,
        components=[Labels.range(name, 3) for name in directions],
        properties=Labels.range("energy", 1),
    )
