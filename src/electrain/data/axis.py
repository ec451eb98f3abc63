"""The energy axis of a data set."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from electrain.interface.axis_labels import grid_to_labels
from electrain.nn.spectrum_convolution import SpectrumConvolution
from electrain.spectra.axis import MARGIN, EnergyAxis, margin
from electrain.spectra.grid import EnergyGrid


def fitted_axis(lowest: float, highest: float, *, step: float, smearing: float, max_shift: float) -> EnergyAxis:
    """Return the axis for states from ``lowest`` to the highest trusted energy ``highest``, with margins at both ends.

    All in eV; see :func:`electrain.data.choose_axis`.
    """
    return _axis(EnergyGrid.covering(lowest - margin(smearing), highest + MARGIN, step), max_shift, smearing)


def chosen_axis(low: float, high: float, *, step: float, smearing: float, max_shift: float) -> EnergyAxis:
    """Return the axis whose target grid goes from ``low`` to ``high`` (all in eV).

    :raises ValueError: if the energies are not ascending multiples of the step.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"expected an energy grid from a lower to a higher energy in eV, got {low:g} to {high:g}")
    first, last = round(low / step), round(high / step)
    if max(abs(low - first * step), abs(high - last * step)) > 1e-6 * step:
        raise ValueError(
            f"expected an energy grid whose ends are multiples of the step, {step:g} eV, got {low:g} to {high:g} eV"
        )
    return _axis(EnergyGrid(first * step, step, last - first + 1), max_shift, smearing)


def _axis(targets: EnergyGrid, max_shift: float, smearing: float) -> EnergyAxis:
    channels = round(max_shift / targets.step)
    extended = targets.extended_below(channels)
    # Short axes are extended at the upper end, because all heads must be able to read the result.
    size = max(extended.size, SpectrumConvolution.min_channels())
    grid = EnergyGrid(round(extended.start, 6), targets.step, size)  # -80.2, not -80.20000000000002
    return EnergyAxis(grid=grid, max_shift=channels, smearing=smearing)


def axis_to_manifest(axis: EnergyAxis) -> dict[str, Any]:
    """Return the entries of a manifest that describe the energy axis."""
    return {
        "energy_grid": {**asdict(axis.grid), "unit": "eV"},
        "max_shift": {"channels": axis.max_shift, "eV": round(axis.max_shift * axis.grid.step, 6)},
        "smearing": {"value": axis.smearing, "unit": "eV", "shape": "gaussian"},
        "reference": "E = 0 is the DFT Fermi level of each structure, the middle of a gap",
    }


def axis_from_manifest(manifest: Mapping[str, Any]) -> EnergyAxis:
    """Read the energy axis from a manifest: the inverse of :func:`axis_to_manifest`."""
    smearing, channels = manifest["smearing"]["value"], manifest["max_shift"]["channels"]
    return EnergyAxis.from_dict({**manifest["energy_grid"], "max_shift": channels, "smearing": smearing})


def check_settings(*, step: float, smearing: float, max_shift: float) -> None:
    """Check the arguments of :func:`electrain.data.choose_axis` (all in eV).

    :raises ValueError: for a smearing or step that is not positive, a step that is not a multiple of 1e-6 eV, or
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
    grid_to_labels(EnergyGrid(0.0, step, 2))  # refuses a step that the files cannot represent
