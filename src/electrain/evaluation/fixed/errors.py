"""Errors of predicted spectra on a fixed axis, of each structure and averaged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from electrain.data.fixed.reading import SpectraPart
from electrain.interface.quantities import quantity_of
from electrain.spectra.channel_errors import channel_errors

from ..side_by_side.predictions import has_prediction
from ..side_by_side.tables import STRUCTURES, Metric, mean_of_known, subsets_of
from ..summary import Summary, root_mean_square

FERMI_ENERGY, TRUE_FERMI_ENERGY = "fermi_energy_rmse", "fermi_energy_rmse_true_dos"


def errors_of_structures(part: SpectraPart) -> list[Metric]:
    """Return the errors that every structure has; those of sums over atoms are per atom."""
    unit = "" if quantity_of(part.target).intensive else f"{part.axis.density_unit}/atom"
    return [
        Metric("rmse", "RMSE", unit),
        Metric("mae", "MAE", unit),
        Metric("r2", "R^2", "", 4),
        Metric("wasserstein", "WD", part.axis.unit),
    ]


def metrics_of(part: SpectraPart, *, with_fermi_energies: bool) -> list[Metric]:
    """Return all columns of the tables of a data set, the numbers of structures last."""
    levels = [
        Metric(FERMI_ENERGY, "Fermi E.", "eV"),
        Metric(TRUE_FERMI_ENERGY, "Fermi E. of true DOS", "eV"),
    ]
    return [
        *errors_of_structures(part),
        *(levels if with_fermi_energies else []),
        STRUCTURES,
    ]


@dataclass(frozen=True, eq=False)
class ComparedSpectra:
    """Predictions of one model, or baseline, for all structures of a part, compared with their targets.

    :param predicted: in the unit of the target, NaN for a structure without prediction, shape
        ``(num_structures, num_channels)``.
    :param reasons: why a structure has no prediction, ``""`` if it has one.
    :param errors: key of an error of :func:`errors_of_structures` -> value for each structure, NaN where not defined.
    :param fermi_energies: predicted from the predicted spectra, in eV, NaN if unknown; ``None`` without a network.
    """

    predicted: NDArray[np.float64]
    reasons: list[str]
    errors: dict[str, NDArray[np.float64]]
    fermi_energies: NDArray[np.float64] | None


def compare(
    part: SpectraPart,
    predicted: NDArray[np.float64],
    reasons: Sequence[str],
    fermi_energies: NDArray[np.float64] | None,
) -> ComparedSpectra:
    """Compare predicted spectra of all structures with their targets; see :class:`ComparedSpectra`."""
    scale = 1.0 if quantity_of(part.target).intensive else 1.0 / num_atoms_of(part)[:, None]
    prediction, target = (torch.from_numpy(values * scale) for values in (predicted, part.spectra))
    found = channel_errors(prediction, target, ~torch.isnan(target), part.axis.step)
    there = np.array([not reason for reason in reasons])
    errors = {
        metric.key: np.where(there, getattr(found, metric.key).numpy(), np.nan) for metric in errors_of_structures(part)
    }
    return ComparedSpectra(predicted, list(reasons), errors, fermi_energies)


def num_atoms_of(part: SpectraPart) -> NDArray[np.float64]:
    """Number of atoms of each structure, shape ``(num_structures,)``."""
    return np.array([entry.num_atoms for entry in part.entries], dtype=np.float64)


def summarise(
    part: SpectraPart,
    compared: ComparedSpectra,
    counted: NDArray[np.bool_],
    true_fermi_energies: NDArray[np.float64] | None,
) -> Summary:
    """Average over the structures of each subset, and of all: subset -> key of a metric -> value, NaN if undefined.

    Errors of spectra are means over structures of those of each; the errors of Fermi energies are root mean squares.

    :param counted: which structures count, those with a prediction among them.
    :param true_fermi_energies: predicted from the true spectra, in eV, NaN if unknown; ``None`` without a network.
    """
    counted = counted & has_prediction(compared)
    summary: Summary = {}
    for name, members in subsets_of(part.entries).items():
        chosen = members & counted
        row = {key: mean_of_known(values[chosen]) for key, values in compared.errors.items()}
        if compared.fermi_energies is not None and true_fermi_energies is not None:
            pairs = {FERMI_ENERGY: compared.fermi_energies, TRUE_FERMI_ENERGY: true_fermi_energies}
            row |= {key: _root_mean_square_error(part, values, chosen) for key, values in pairs.items()}
        row[STRUCTURES.key] = float(np.isfinite(compared.errors["rmse"][chosen]).sum())
        summary[name] = row
    return summary


def _root_mean_square_error(part: SpectraPart, predicted: NDArray[np.float64], chosen: NDArray[np.bool_]) -> float:
    errors = (predicted - part.fermi_energies)[chosen]
    return root_mean_square(errors[np.isfinite(errors)])
