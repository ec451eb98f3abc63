"""The comparison for one structure: predicted and calculated values, and their differences."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from electrain.data.reading import LabelledStructure
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL, FORCES, STRESS, quantity_of
from electrain.results import ElectronicStructure
from electrain.spectra import (
    EnergyAxis,
    EnergyGrid,
    aligned_residuals,
    fermi_level,
    gap_from_dos,
    rotational_discrepancy,
)

from .aligned import Aligned, align
from .evaluated_model import EvaluatedModel, PredictedEnergy

# A density of states below this threshold counts as zero when a gap is read from it (PET-MAD-DOS paper, table 2).
GAP_THRESHOLD = 0.1  # states/eV/atom


class StructureErrors(NamedTuple):
    """Numbers of one structure; NaN for quantities that the model or the data set lacks.

    Fermi levels are on the model's axis; the true one is where it lies after alignment. "Counted" quantities are read
    from a density of states in the traditional way, see :func:`gap_by_counting`. :data:`UNITS` lists the units.
    """

    num_atoms: float  # known even for structures that were left out
    alignment: float = math.nan  # alignment term AL
    electrons: float = math.nan  # in the trusted range of the target
    discrepancy: float = math.nan  # rotational, eq. 11
    true_gap: float = math.nan
    predicted_gap: float = math.nan  # by the model's head
    predicted_gap_counted: float = math.nan  # from the predicted density of states
    true_gap_counted: float = math.nan  # from the true density of states
    true_level: float = math.nan
    predicted_level: float = math.nan  # by the model's head
    predicted_level_counted: float = math.nan  # from the predicted density of states
    true_energy: float = math.nan
    predicted_energy: float = math.nan
    num_forces: float = 0.0  # number of components
    forces_absolute: float = 0.0  # sum over components of |error|
    forces_squared: float = 0.0  # sum over components of error^2
    num_stresses: float = 0.0  # number of components
    stresses_absolute: float = 0.0
    stresses_squared: float = 0.0
    dos_error: float = math.nan  # root mean square over trusted channels, if there is an uncertainty
    dos_uncertainty: float = math.nan  # the same for its uncertainty
    gap_uncertainty: float = math.nan
    level_uncertainty: float = math.nan
    energy_uncertainty: float = math.nan


_DOS, _GAP, _LEVEL, _ENERGY = (quantity_of(name).unit for name in (DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL, ENERGY))
# Units of the numbers above; those not listed here have none.
UNITS = {
    "alignment": "states^2/eV",
    "discrepancy": "eV^-1/2",
    **dict.fromkeys(("true_gap", "predicted_gap", "predicted_gap_counted", "true_gap_counted"), _GAP),
    **dict.fromkeys(("true_level", "predicted_level", "predicted_level_counted"), _LEVEL),
    **dict.fromkeys(("true_energy", "predicted_energy"), _ENERGY),
    "forces_absolute": "eV/A",
    "forces_squared": "eV^2/A^2",
    "stresses_absolute": "eV/A^3",
    "stresses_squared": "eV^2/A^6",
    **dict.fromkeys(("dos_error", "dos_uncertainty"), _DOS),
    "gap_uncertainty": _GAP,
    "level_uncertainty": _LEVEL,
    "energy_uncertainty": _ENERGY,
}


class Compared(NamedTuple):
    """One structure: its numbers, and what they were computed from, for figures.

    Spectra are on the target grid in states/eV, shape ``(num_channels,)``. Components are pairs of calculated and
    predicted values, shape ``(num_components, 2)``, as many as ``num_forces`` and ``num_stresses`` of the errors.
    """

    errors: StructureErrors
    predicted: NDArray[np.float32]  # at the best shift; NaN without a prediction
    target: NDArray[np.float32]  # NaN where not trusted
    forces: NDArray[np.float32]  # eV/A
    stresses: NDArray[np.float32]  # eV/A^3


def compare_structure(
    labelled: LabelledStructure,
    axis: EnergyAxis,
    result: ElectronicStructure | None,
    energy: PredictedEnergy | None,
    rotated: NDArray[np.float64] | None,
) -> Compared:
    """Compare all predictions for one structure with its calculation.

    :param labelled: the structure with its targets.
    :param axis: energy axis of predictions and targets.
    :param result: the predicted electronic structure, if any.
    :param energy: the predicted energy, if any.
    :param rotated: densities of states of rotated copies, shape ``(num_rotations, axis.grid.size)``, if computed.
    """
    target = torch.from_numpy(labelled.values[DENSITY_OF_STATES])
    values: dict[str, float] = {"num_atoms": float(len(labelled.atoms)), "true_gap": float(labelled.values[BAND_GAP])}
    window, trusted = axis.window(target)
    predicted = torch.full_like(window, math.nan)
    if result is not None:
        prediction = torch.from_numpy(np.asarray(result.density_of_states, dtype=np.float64))
        aligned = align(prediction, target, axis)
        predicted = aligned.predicted
        values |= _spectral(labelled, axis, prediction, aligned, result)
        values |= _uncertain(result, prediction, target, axis)
        if rotated is not None:
            trusted = ~torch.isnan(window)
            copies = torch.from_numpy(rotated).unsqueeze(1)
            spread = rotational_discrepancy(copies, window.unsqueeze(0), trusted.unsqueeze(0), axis.grid.step)
            values["discrepancy"] = float(spread)
    pairs = {name: np.empty((0, 2)) for name in ("forces", "stresses")}
    if energy is not None:
        pairs |= _components(labelled, energy)
        values |= _energetic(labelled, energy, pairs)
    return Compared(
        StructureErrors(**values),
        predicted=predicted.float().numpy(),
        target=window.float().numpy(),
        **{name: components.astype(np.float32) for name, components in pairs.items()},
    )


def gap_by_counting(dos: torch.Tensor, grid: EnergyGrid, num_electrons: float, num_atoms: int) -> tuple[float, float]:
    """Read Fermi level and band gap from a density of states in the traditional way.

    The Fermi level is where the integral reaches the number of electrons; the gap is the range around it in which the
    density of states stays below 0.1 states/eV/atom (PET-MAD-DOS paper, section II.2 and table 2).

    :param dos: density of states, shape ``(grid.size,)``, in states/eV.
    :param grid: its energies.
    :param num_electrons: number of electrons in the calculation; NaN if unknown.
    :param num_atoms: number of atoms in the structure.
    :return: both in eV; NaN if the density of states contains too few electrons, or no upper edge of the gap.
    """
    if not math.isfinite(num_electrons):
        return math.nan, math.nan
    try:
        level = fermi_level(dos, grid, num_electrons)
    except ValueError:
        return math.nan, math.nan
    try:
        return level, gap_from_dos(dos, grid, level, GAP_THRESHOLD * num_atoms)
    except ValueError:
        return level, math.nan


def _spectral(
    labelled: LabelledStructure,
    axis: EnergyAxis,
    prediction: torch.Tensor,
    aligned: Aligned,
    result: ElectronicStructure,
) -> dict[str, float]:
    num_atoms, electrons = len(labelled.atoms), labelled.entry.num_electrons
    level, gap = gap_by_counting(prediction, axis.grid, electrons, num_atoms)
    window, trusted = axis.window(torch.from_numpy(labelled.values[DENSITY_OF_STATES]))
    true_gap = math.nan
    if trusted.any():
        grid = EnergyGrid(axis.target_grid.start, axis.grid.step, int(trusted.sum()))
        true_gap = gap_by_counting(window[trusted], grid, electrons, num_atoms)[1]
    return {
        "alignment": aligned.alignment,
        "electrons": aligned.electrons,
        "predicted_gap": math.nan if result.band_gap is None else result.band_gap,
        "predicted_gap_counted": gap,
        "true_gap_counted": true_gap,
        "true_level": aligned.fermi_level,
        "predicted_level": math.nan if result.fermi_level is None else result.fermi_level,
        "predicted_level_counted": level,
    }


def _uncertain(
    result: ElectronicStructure, prediction: torch.Tensor, target: torch.Tensor, axis: EnergyAxis
) -> dict[str, float]:
    if result.uncertainty is None:
        return {}
    residuals = aligned_residuals(prediction.unsqueeze(0), target.unsqueeze(0), axis)[0][0]
    known = torch.isfinite(residuals)
    if not known.any():
        return {}
    spread = torch.from_numpy(np.asarray(result.uncertainty.density_of_states, dtype=np.float64))
    gap, level = result.uncertainty.band_gap, result.uncertainty.fermi_level
    return {
        "dos_error": float(residuals[known].square().mean().sqrt()),
        "dos_uncertainty": float(spread[known].square().mean().sqrt()),
        "gap_uncertainty": math.nan if gap is None else gap,
        "level_uncertainty": math.nan if level is None else level,
    }


def _components(labelled: LabelledStructure, energy: PredictedEnergy) -> dict[str, NDArray[np.float64]]:
    """Pairs of calculated and predicted components of forces and stress, shape ``(num_components, 2)``."""
    found = {}
    for name, predicted, true in (
        ("forces", energy.forces, labelled.values[FORCES]),
        ("stresses", energy.stress, labelled.values[STRESS]),
    ):
        if predicted is not None:
            known = np.isfinite(true)
            found[name] = np.column_stack([true[known], predicted[known]])
    return found


def _energetic(
    labelled: LabelledStructure, energy: PredictedEnergy, pairs: dict[str, NDArray[np.float64]]
) -> dict[str, float]:
    values = {"true_energy": float(labelled.values[ENERGY]), "predicted_energy": energy.energy}
    if energy.uncertainty is not None:
        values["energy_uncertainty"] = energy.uncertainty
    for name, components in pairs.items():
        errors = components[:, 1] - components[:, 0]
        values[f"num_{name}"] = float(errors.size)
        values[f"{name}_absolute"] = float(np.abs(errors).sum())
        values[f"{name}_squared"] = float((errors**2).sum())
    return values


def compare_structures(
    structures: list[LabelledStructure], model: EvaluatedModel, axis: EnergyAxis, rotate: list[bool]
) -> list[Compared]:
    """Predict a few structures and compare them.

    :param structures: structures that the model can compute.
    :param model: the model.
    :param axis: energy axis of model and data set.
    :param rotate: for each of them, whether to compute the rotational discrepancy, if the model predicts densities of
        states.
    """
    atoms = [labelled.atoms for labelled in structures]
    results, energies = model.electronic_structures(atoms), model.energies(atoms)
    return [
        compare_structure(
            labelled,
            axis,
            result,
            energy,
            model.rotated_spectra(labelled.atoms) if wanted and result is not None else None,
        )
        for labelled, result, energy, wanted in zip(structures, results, energies, rotate, strict=True)
    ]
