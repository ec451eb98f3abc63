"""One result from those of several models for the same structure."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from electrain.spectra.axis import EnergyAxis
from electrain.spectra.model_average import average_models, moved_down

from .electronic_structure import ElectronicStructure
from .uncertainty import Ensemble, Uncertainty


def average_results(results: Sequence[ElectronicStructure], axis: EnergyAxis) -> ElectronicStructure:
    r"""Average the results of several models for one structure, after aligning their densities of states.

    Every model has its own zero of energy, so densities of states and Fermi levels are moved onto an axis whose zero is
    the mean of theirs (:func:`electrain.spectra.average_models`). Uncertainties are standard deviations of the models
    around their mean, :math:`\sqrt{\sum_m (y_m - \bar y)^2 / (M - 1)}`; if the models predict their own,
    :math:`\sigma_m`, their mean square is added:
    :math:`\sigma^2 = \frac{1}{M} \sum_m \sigma_m^2 + \frac{1}{M - 1} \sum_m (y_m - \bar y)^2`.
    The ensemble consists of the models, or of all members of their own ensembles.

    :param results: predictions of at least two models, with the same quantities.
    :param axis: energy axis of all models.
    """
    first, levels = results[0], _numbers([result.fermi_level for result in results])
    spectra = torch.from_numpy(np.stack([result.density_of_states for result in results]))
    averaged = average_models(spectra, axis, None if levels is None else torch.from_numpy(levels))
    aligned_levels = None if averaged.fermi_levels is None else averaged.fermi_levels.numpy()
    gaps = _numbers([result.band_gap for result in results])
    level = None if aligned_levels is None else float(aligned_levels.mean())
    local = None
    if first.local_density_of_states is not None:
        local = np.mean(_moved([result.local() for result in results], averaged.shifts), axis=0)
    return replace(
        first,
        energies=axis.grid.energies().numpy() - (level or 0.0),
        density_of_states=averaged.mean.numpy(),
        band_gap=None if gaps is None else float(gaps.mean()),
        fermi_level=level,
        local_density_of_states=local,
        uncertainty=_uncertainty(results, averaged.shifts, averaged.spectra.numpy(), gaps, aligned_levels),
        ensemble=_ensemble(results, averaged.shifts, axis)
        if first.uncertainty is not None
        else Ensemble(averaged.spectra.numpy(), gaps, aligned_levels),
    )


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64] | None:
    known = [value for value in values if value is not None]
    return np.array(known) if known else None


def _moved(spectra: Sequence[NDArray[np.float64]], shifts: torch.Tensor) -> list[NDArray[np.float64]]:
    """Move the spectra of each model, shape ``(..., num_channels)``, by its own shift."""
    return [
        moved_down(torch.from_numpy(rows).reshape(-1, rows.shape[-1]), shift.expand(rows[..., 0].size))
        .reshape(rows.shape)
        .numpy()
        for rows, shift in zip(spectra, shifts, strict=True)
    ]


def _uncertainty(
    results: Sequence[ElectronicStructure],
    shifts: torch.Tensor,
    spectra: NDArray[np.float64],
    gaps: NDArray[np.float64] | None,
    levels: NDArray[np.float64] | None,
) -> Uncertainty:
    own = [result.uncertainty for result in results if result.uncertainty is not None]
    channels = _moved([values.density_of_states for values in own], shifts) if own else []
    return Uncertainty(
        _deviation(spectra, channels),
        None if gaps is None else float(_deviation(gaps, [values.band_gap for values in own])),
        None if levels is None else float(_deviation(levels, [values.fermi_level for values in own])),
    )


def _deviation(values: NDArray[np.float64], own: Sequence[float | NDArray[np.float64] | None]) -> NDArray[np.float64]:
    """Standard deviation of the models, and the mean square of their own deviations, if they predict them."""
    within = [np.square(deviation) for deviation in own if deviation is not None]
    return np.asarray(np.sqrt(np.var(values, axis=0, ddof=1) + (np.mean(within, axis=0) if within else 0.0)))


def _ensemble(results: Sequence[ElectronicStructure], shifts: torch.Tensor, axis: EnergyAxis) -> Ensemble | None:
    """All members of the models' own ensembles, each moved as its model."""
    own = [result.ensemble for result in results if result.ensemble is not None]
    if not own:
        return None
    gaps = [members.band_gap for members in own if members.band_gap is not None]
    moves = axis.grid.step * shifts.double().numpy()
    levels = [
        members.fermi_level - move for members, move in zip(own, moves, strict=True) if members.fermi_level is not None
    ]
    return Ensemble(
        np.concatenate(_moved([members.density_of_states for members in own], shifts)),
        np.concatenate(gaps) if gaps else None,
        np.concatenate(levels) if levels else None,
    )
