"""From calculations to the targets that a model learns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap

from ..axis_labels import grid_to_labels
from ..quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL, MIN_CHANNELS
from ..spectra.broadening import density_of_states, highest_trusted_energy, trusted_channels
from ..spectra.gap import gap_from_eigenvalues
from ..spectra.grid import EnergyGrid
from .calculation import Calculation

ENERGY = "energy"

# Room between the ends of the axis and the states: 1.5 eV as in arXiv:2508.17418, section IV.1, where it is
# five smearings; a wider smearing needs its own five.
_MARGIN = 1.5  # eV
_MARGIN_IN_SMEARINGS = 5.0


@dataclass(frozen=True)
class SpectrumAxis:
    """The energy axis of a data set; zero is each structure's own DFT Fermi level.

    A model predicts on ``grid``. Targets live on its upper part, ``target_grid``: the lowest ``max_shift``
    channels are what a prediction may be shifted by to align it with its target.

    :param grid: the prediction grid.
    :param max_shift: in channels.
    :param smearing: standard deviation of the Gaussians, in eV.
    """

    grid: EnergyGrid
    max_shift: int
    smearing: float

    @property
    def target_grid(self) -> EnergyGrid:
        """The prediction grid without its lowest ``max_shift`` channels."""
        return self.grid.extended_below(-self.max_shift)


def choose_axis(calculations: Sequence[Calculation], *, step: float, smearing: float, max_shift: float) -> SpectrumAxis:
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
    covering = EnergyGrid.covering(lowest - _margin(smearing), highest + _MARGIN, step)
    channels = round(max_shift / step)
    extended = covering.extended_below(channels)
    # Short axes grow at the upper end, where nothing is trained on: all heads must be able to read the result.
    size = max(extended.size, MIN_CHANNELS)
    grid = EnergyGrid(round(extended.start, 6), step, size)  # -80.2, not -80.20000000000002
    return SpectrumAxis(grid=grid, max_shift=channels, smearing=smearing)


def check_settings(*, step: float, smearing: float, max_shift: float) -> None:
    """Check what :func:`choose_axis` takes (all in eV).

    :raises ValueError: for a smearing or step that is not positive, a step that is no multiple of 1e-6 eV, or
        a negative shift.
    """
    for what, value in {"step": step, "smearing": smearing}.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"expected a positive {what} in eV, got {value:g}")
    if not (math.isfinite(max_shift) and max_shift >= 0):
        raise ValueError(f"expected a largest shift of at least 0 eV, got {max_shift:g}")
    if step > smearing:
        raise ValueError(
            f"expected a step of at most the smearing, {smearing:g} eV, so that the density of states integrates to "
            f"the number of states, got {step:g} eV"
        )
    grid_to_labels(EnergyGrid(0.0, step, 2))  # refuses a step that the files cannot hold


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


def dos_target(calculation: Calculation, axis: SpectrumAxis) -> torch.Tensor:
    """Density of states of the whole cell on the prediction grid.

    Zero in the lowest ``axis.max_shift`` channels, NaN above the highest trusted energy of the calculation.

    :return: shape ``(axis.grid.size,)``, in states/eV.
    :raises ValueError: if states lie below the target grid, or none in the trusted range.
    """
    lowest, highest = trusted_range(calculation, axis.smearing)
    margin = _margin(axis.smearing)
    # The tolerance is for an axis made for exactly this lowest state.
    if lowest - margin < axis.target_grid.start - 1e-6 * axis.grid.step:
        raise ValueError(
            f"{calculation.source}: expected no state below {axis.target_grid.start + margin:.2f} eV (from "
            f"the Fermi level), where the axis has no room for it, got one at {lowest:.2f} eV"
        )
    bands = calculation.bands()
    values = density_of_states(bands, calculation.k_weights(), axis.grid, axis.smearing)
    values[: axis.max_shift] = 0.0
    values[~trusted_channels(axis.grid, highest)] = math.nan
    return values


def band_gap(calculation: Calculation) -> float:
    """Return the band gap that came with a calculation or that of its eigenvalues, in eV; else NaN."""
    if calculation.band_gap is not None:
        return calculation.band_gap
    if calculation.num_electrons is None:
        return math.nan
    try:
        return gap_from_eigenvalues(calculation.bands(), calculation.num_electrons)
    except ValueError:  # no empty band was computed
        return math.nan


def electronic_targets(calculation: Calculation, axis: SpectrumAxis) -> dict[str, TensorMap]:
    """Density of states (states/eV), band gap (eV) and Fermi level (eV, on the axis of the DOS: 0).

    The property labels of the density of states are its energy axis, see :mod:`electrain.axis_labels`.

    :raises ValueError: as :func:`dos_target`.
    """
    return {
        DENSITY_OF_STATES: _per_system(dos_target(calculation, axis), grid_to_labels(axis.grid)),
        BAND_GAP: _per_system(_number(band_gap(calculation)), Labels.range("bandgap", 1)),
        FERMI_LEVEL: _per_system(_number(0.0), Labels.range("efermi", 1)),
    }


def energy_target(calculation: Calculation, *, with_forces: bool) -> TensorMap:
    """Energy in eV and, if asked for, its gradient by positions, minus the forces, in eV/A.

    :raises ValueError: if the calculation lacks one of them.
    """
    if calculation.energy is None or (with_forces and calculation.forces is None):
        missing = "energy" if calculation.energy is None else "forces"
        raise ValueError(f"{calculation.source}: expected {missing}, got none")
    block = _block(_number(calculation.energy), Labels.range("energy", 1))
    if with_forces:
        forces = torch.as_tensor(calculation.forces, dtype=torch.float64)
        atoms = torch.arange(len(forces), dtype=torch.int32)
        block.add_gradient(
            "positions",
            TensorBlock(
                values=-forces.unsqueeze(-1),
                samples=Labels(["sample", "atom"], torch.stack([torch.zeros_like(atoms), atoms], dim=1)),
                components=[Labels.range("xyz", 3)],
                properties=Labels.range("energy", 1),
            ),
        )
    return TensorMap(Labels.single(), [block])


def _margin(smearing: float) -> float:
    return max(_MARGIN, _MARGIN_IN_SMEARINGS * smearing)


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
