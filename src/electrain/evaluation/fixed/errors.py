"""Errors of predicted spectra on a fixed axis, of each structure and averaged."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from electrain.data.fixed.reading import SpectraPart, SpectrumEntry
from electrain.interface.quantities import quantity_of
from electrain.spectra.channel_errors import channel_errors

from ..summary import ALL, Summary, root_mean_square

FERMI_ENERGY, TRUE_FERMI_ENERGY = "fermi_energy_rmse", "fermi_energy_rmse_true_dos"


class Metric(NamedTuple):
    """A column of the tables: the name of its key in files, its name for readers, and its unit."""

    key: str
    label: str
    unit: str


def errors_of_structures(part: SpectraPart) -> list[Metric]:
    """Return the errors that every structure has; those of sums over atoms are per atom."""
    unit = "" if quantity_of(part.target).intensive else f"{part.axis.density_unit}/atom"
    return [
        Metric("rmse", "RMSE", unit),
        Metric("mae", "MAE", unit),
        Metric("r2", "R^2", ""),
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
        Metric("structures", "structures", ""),
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

    @property
    def has_prediction(self) -> NDArray[np.bool_]:
        """Whether a structure has one, shape ``(num_structures,)``."""
        return np.array([not reason for reason in self.reasons])


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


def fermi_energies_of(part: SpectraPart) -> NDArray[np.float64]:
    """Fermi energies of the calculations in eV, NaN where unknown, shape ``(num_structures,)``."""
    return np.array([entry.fermi_energy for entry in part.entries])


def subsets_of(entries: Sequence[SpectrumEntry]) -> dict[str, NDArray[np.bool_]]:
    """Find the members of each subset, largest first, and of all structures if there is more than one subset."""
    names = np.array([entry.subset for entry in entries])
    sizes = Counter(names.tolist())
    found = {name: names == name for name in sorted(sizes, key=lambda name: (-sizes[name], name))}
    return {**(found if len(found) > 1 else {}), ALL: np.ones(len(entries), dtype=bool)}


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
    counted = counted & compared.has_prediction
    summary: Summary = {}
    for name, members in subsets_of(part.entries).items():
        chosen = members & counted
        row = {key: _mean(values[chosen]) for key, values in compared.errors.items()}
        if compared.fermi_energies is not None and true_fermi_energies is not None:
            pairs = {FERMI_ENERGY: compared.fermi_energies, TRUE_FERMI_ENERGY: true_fermi_energies}
            row |= {key: _root_mean_square_error(part, values, chosen) for key, values in pairs.items()}
        row["structures"] = float(np.isfinite(compared.errors["rmse"][chosen]).sum())
        summary[name] = row
    return summary


def in_all(models: Mapping[str, ComparedSpectra]) -> NDArray[np.bool_]:
    """Which structures have a prediction of every model, shape ``(num_structures,)``."""
    return np.logical_and.reduce([model.has_prediction for model in models.values()])


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _root_mean_square_error(part: SpectraPart, predicted: NDArray[np.float64], chosen: NDArray[np.bool_]) -> float:
    errors = (predicted - fermi_energies_of(part))[chosen]
    return root_mean_square(errors[np.isfinite(errors)])
