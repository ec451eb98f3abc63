"""Errors of predicted bands, of each structure and averaged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from electrain.bands import bands_of_window, centers_and_dispersions
from electrain.data.bands.reading import BandsPart

from ..side_by_side.predictions import has_prediction
from ..side_by_side.tables import STRUCTURES, Metric, mean_of_known, subsets_of
from ..summary import ALL, Summary

NON_METALS, METALS = "all non-metals", "all metals"
ERRORS = (
    Metric("center", "band center", "eV"),
    Metric("dispersion", "band dispersion", "eV"),
    Metric("energy", "band energy", "eV"),
    Metric("gap", "band gap of non-metals", "eV"),
)
_COUNTS = (
    Metric("non_metals_right", "non-metals right", "", 0),
    Metric("non_metals", "non-metals", "", 0),
    Metric("metals_right", "metals right", "", 0),
    Metric("metals", "metals", "", 0),
)
METRICS = (*ERRORS, *_COUNTS, STRUCTURES)


@dataclass(frozen=True, eq=False)
class ComparedBands:
    """Predictions of one model, or baseline, for all structures of a part, compared with their targets.

    :param predicted: in eV, ascending, NaN for a structure without prediction, shape
        ``(num_structures, num_bands, num_k_points)``.
    :param reasons: why a structure has no prediction, ``""`` if it has one.
    :param errors: key of one of :data:`ERRORS` -> value for each structure in eV, NaN where not defined.
    :param gaps: of the predicted bands in eV, 0 for a metal, NaN without a prediction, shape ``(num_structures,)``.
    """

    predicted: NDArray[np.float64]
    reasons: list[str]
    errors: dict[str, NDArray[np.float64]]
    gaps: NDArray[np.float64]


def compare(
    part: BandsPart, true_gaps: NDArray[np.float64], predicted: NDArray[np.float64], reasons: Sequence[str]
) -> ComparedBands:
    r"""Compare predicted bands of all structures with their targets.

    With the difference :math:`d_{nk}` of predicted and true energy of band n at k-point k, and its mean along the path
    :math:`\bar d_n`, the errors of a structure are the means of :math:`|\bar d_n|` (center),
    :math:`|d_{nk} - \bar d_n|` (dispersion) and :math:`|d_{nk}|` (energy) over all bands and k-points. Bands that are
    not known, NaN in the target, do not count. The error of the gap is that of structures which are no metals; a
    prediction without a gap counts as one of 0.

    :param true_gaps: of the targets, see :func:`gaps_of`.
    :param predicted: in eV, shape ``(num_structures, num_bands, num_k_points)``.
    :param reasons: why a structure has no prediction, ``""`` if it has one.
    """
    differences = predicted - part.energies
    centers, dispersions = centers_and_dispersions(differences)
    deviations = {"center": centers, "dispersion": dispersions, "energy": differences}
    there = np.array([not reason for reason in reasons])
    gaps = np.where(there, np.nan_to_num(gaps_of(part, predicted)), np.nan)
    errors = {key: np.array([mean_of_known(np.abs(own)) for own in values]) for key, values in deviations.items()}
    errors["gap"] = np.where(true_gaps > 0, np.abs(gaps - true_gaps), np.nan)
    return ComparedBands(predicted, list(reasons), errors, gaps)


def gaps_of(part: BandsPart, energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read the gaps along the path from bands, whose zero is in the gap or at the Fermi level.

    :param part: with the structures and k-points.
    :param energies: in eV, shape ``(num_structures, num_bands, num_k_points)``.
    :return: in eV, 0 if a band crosses zero, NaN if no known band does but all lie above, or all below.
    """
    return np.array([_gap(part, index, bands) for index, bands in enumerate(energies)])


def _gap(part: BandsPart, index: int, energies: NDArray[np.float64]) -> float:
    bands = bands_of_window(part.structures[index], part.k_points[index], energies)
    if bands is None:
        return np.nan
    edges = bands.edges()
    if edges is not None:
        return edges[1] - edges[0]
    below = bands.energies <= 0.0
    return 0.0 if (below.any(axis=1) != below.all(axis=1)).any() else np.nan


def summarise(
    part: BandsPart, true_gaps: NDArray[np.float64], compared: ComparedBands, counted: NDArray[np.bool_]
) -> Summary:
    """Average over structures: those of each subset, non-metals, metals, and all.

    :param true_gaps: in eV, 0 for a metal, NaN if unknown.
    :param counted: which structures count, those with a prediction among them.
    :return: subset -> key of :data:`METRICS` -> value, NaN if undefined.
    """
    counted = counted & has_prediction(compared)
    groups = subsets_of(part.entries)
    everything = groups.pop(ALL)
    is_non_metal, is_metal = true_gaps > 0, true_gaps == 0
    found = {"non_metals": (is_non_metal, compared.gaps > 0), "metals": (is_metal, compared.gaps == 0)}
    summary: Summary = {}
    for name, members in {**groups, NON_METALS: is_non_metal, METALS: is_metal, ALL: everything}.items():
        chosen = members & counted
        row = {key: mean_of_known(values[chosen]) for key, values in compared.errors.items()}
        for kind, (true, predicted) in found.items():
            row[f"{kind}_right"] = float((true & predicted & chosen).sum())
            row[kind] = float((true & chosen).sum())
        row[STRUCTURES.key] = float(np.isfinite(compared.errors["energy"][chosen]).sum())
        summary[name] = row
    return summary
