"""The energy axis as metatensor property labels of spectra, in predictions and in data sets of TensorMaps (zip).

The properties are one integer column, the energy in micro-electronvolts, because labels can only be 32-bit integers.
Extended XYZ and memory-mapped data sets have no labels; metatrain numbers their channels, and only the number of
channels is compared.
"""

import torch
from metatensor.torch import Labels

from electrain.spectra.grid import EnergyGrid

AXIS_NAME = "energy_micro_eV"
_MICRO = 1_000_000


def grid_to_labels(grid: EnergyGrid) -> Labels:
    """Return the property labels of a spectrum on ``grid``, one row per channel.

    :raises ValueError: if the energies are not multiples of 1e-6 eV or exceed +-2147 eV (32-bit integers).
    """
    start, step = round(grid.start * _MICRO), round(grid.step * _MICRO)
    if abs(start - grid.start * _MICRO) > 1e-3 or abs(step - grid.step * _MICRO) > 1e-3:
        raise ValueError(f"start and step of an energy grid must be multiples of 1e-6 eV, got {grid}")
    values = start + step * torch.arange(grid.size, dtype=torch.int64)
    if int(values.abs().max()) > torch.iinfo(torch.int32).max:
        raise ValueError(f"an energy grid must stay within +-2147 eV, got {grid}")
    return Labels([AXIS_NAME], values.to(torch.int32).reshape(-1, 1))


def labels_to_grid(labels: Labels) -> EnergyGrid | None:
    """Return the grid that property labels describe, or ``None`` for labels without an energy axis.

    :raises ValueError: if the energies are not equidistant.
    """
    if labels.names != [AXIS_NAME]:
        return None
    values = labels.column(AXIS_NAME).to(torch.int64)
    steps = values.diff()
    if len(steps) == 0 or not bool((steps == steps[0]).all()):
        raise ValueError("the energy axis of a spectrum must have at least two equidistant channels")
    return EnergyGrid(int(values[0]) / _MICRO, int(steps[0]) / _MICRO, len(values))
