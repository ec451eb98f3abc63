"""Results on one common energy axis, as arrays that stack."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.spectra.grid import EnergyGrid

from .electronic_structure import ElectronicStructure


class Stack(NamedTuple):
    """Several results as arrays; row i of each is result i."""

    energies: NDArray[np.float64]  # (num_channels,) | eV, from the Fermi level of each structure
    density_of_states: NDArray[np.float64]  # (num_results, num_channels) | states/eV
    band_gap: NDArray[np.float64]  # (num_results,) | eV, NaN where it was not predicted
    fermi_level: NDArray[np.float64]  # (num_results,) | eV on the model's own axis, NaN where it was not predicted
    num_atoms: NDArray[np.int64]  # (num_results,)
    atoms: list[Atoms]


def stack(results: Iterable[ElectronicStructure], energies: NDArray[np.float64] | None = None) -> Stack:
    """Put several results on one energy axis, on which zero is the Fermi level of each structure.

    >>> spectra = stack(model.predict("structures.xyz"))
    >>> spectra.density_of_states.mean(axis=0)

    :param results: at least one, all with a Fermi level, or all without one (then zero is that of the model's axis).
    :param energies: equidistant energies in eV; default: multiples of the smallest step of all results, from the
        lowest energy of any (below its own energies, a density of states is zero) to the highest energy of all.
    :raises ValueError: without results, for results with and without a Fermi level, or energies as for
        :meth:`ElectronicStructure.on_axis`.
    """
    chosen = list(results)
    if not chosen:
        raise ValueError("expected at least one result, got none")
    if len({result.relative_to_fermi_level for result in chosen}) > 1:
        raise ValueError("some of the results have no Fermi level, so there is no common zero of energy")
    axis = _common_axis([result.grid for result in chosen]) if energies is None else energies
    moved = [result.on_axis(axis) for result in chosen]

    def column(name: str) -> NDArray[np.float64]:
        return np.array([getattr(result, name) for result in chosen], dtype=np.float64)  # None becomes NaN

    return Stack(
        energies=moved[0].energies,
        density_of_states=np.stack([result.density_of_states for result in moved]),
        band_gap=column("band_gap"),
        fermi_level=column("fermi_level"),
        num_atoms=np.array([len(result.atoms) for result in chosen]),
        atoms=[result.atoms for result in chosen],
    )


def _common_axis(grids: list[EnergyGrid]) -> NDArray[np.float64]:
    step = min(grid.step for grid in grids)
    first = math.floor(min(grid.start for grid in grids) / step + 1e-6)
    # The upper edge of the last channel is inside of all grids.
    last = math.floor(min(grid.stop + 0.5 * (grid.step - step) for grid in grids) / step + 1e-6)
    return EnergyGrid(first * step, step, last - first + 1).energies().numpy()
