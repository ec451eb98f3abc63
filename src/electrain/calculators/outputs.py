"""Outputs of a model -> results."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL, ensemble_name, uncertainty_name
from electrain.results.electronic_structure import ElectronicStructure, Ensemble, Uncertainty
from electrain.spectra.grid import EnergyGrid

Arrays = dict[str, NDArray[np.float64]]  # values of outputs by name


def make_result(
    atoms: Atoms,
    grid: EnergyGrid,
    rows: NDArray[np.float64],
    others: Arrays,
    *,
    smearing: float | None,
    per_atom: bool,
) -> ElectronicStructure:
    """Make the result of one structure.

    :param atoms: the structure.
    :param grid: the model's own energy axis.
    :param rows: densities of states in states/eV, of each atom or of the structure, shape ``(num_rows, num_channels)``.
    :param others: all other outputs.
    :param smearing: of the training data, in eV.
    :param per_atom: whether the rows belong to atoms.
    """
    fermi_level = _number(others, FERMI_LEVEL)
    return ElectronicStructure(
        atoms=atoms,
        energies=grid.energies().numpy() - (fermi_level or 0.0),
        density_of_states=rows.sum(axis=0),
        band_gap=_number(others, BAND_GAP),
        fermi_level=fermi_level,
        smearing=smearing,
        local_density_of_states=rows if per_atom else None,
        uncertainty=_uncertainty(others),
        ensemble=_ensemble(others, grid.size),
    )


def _number(values: Arrays, name: str) -> float | None:
    return float(values[name][0]) if name in values else None


def _uncertainty(values: Arrays) -> Uncertainty | None:
    if uncertainty_name(DENSITY_OF_STATES) not in values:
        return None
    return Uncertainty(
        values[uncertainty_name(DENSITY_OF_STATES)],
        _number(values, uncertainty_name(BAND_GAP)),
        _number(values, uncertainty_name(FERMI_LEVEL)),
    )


def _ensemble(values: Arrays, num_channels: int) -> Ensemble | None:
    if ensemble_name(DENSITY_OF_STATES) not in values:
        return None
    return Ensemble(
        values[ensemble_name(DENSITY_OF_STATES)].reshape(-1, num_channels),
        values.get(ensemble_name(BAND_GAP)),
        values.get(ensemble_name(FERMI_LEVEL)),
    )
