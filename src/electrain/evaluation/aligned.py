"""One predicted density of states at its best shift against its target."""

import math
from typing import NamedTuple

import torch

from electrain.spectra import (
    EnergyAxis,
    electrons_in_target,
    fermi_level_after_alignment,
    spectral_loss_terms,
    take_window,
)


class Aligned(NamedTuple):
    """A prediction, aligned with its target; numbers are NaN for a target without electrons in its trusted range."""

    alignment: float  # the alignment term AL | states^2/eV, PET-MAD-DOS paper, eqs. 3 and 4
    electrons: float  # in the trusted range of the target | eq. 9
    fermi_level: float  # position of the DFT one, the zero of the target, on the prediction's axis | eV
    predicted: torch.Tensor  # (num_channels,) | states/eV, on the target grid

    @property
    def per_electron(self) -> float:
        """Root of the alignment term per electron, in eV^-1/2: what eq. 10 averages."""
        return math.sqrt(self.alignment / self.electrons)


def align(prediction: torch.Tensor, target: torch.Tensor, axis: EnergyAxis) -> Aligned:
    """Find the shift at which a prediction matches its target best, and the error at this shift.

    :param prediction: shape ``(axis.grid.size,)``, in states/eV.
    :param target: the same shape, NaN where it is not trusted, empty in its first ``axis.max_shift`` channels.
    :param axis: energy axis of both.
    """
    row, true = prediction.double().unsqueeze(0), target.double().unsqueeze(0)
    window, trusted = axis.window(true)
    terms = spectral_loss_terms(row, window, trusted, axis.grid.step)
    electrons = float(electrons_in_target(window, trusted, axis.grid.step))
    known = electrons > 0
    return Aligned(
        alignment=float(terms.alignment) if known else math.nan,
        electrons=electrons if known else math.nan,
        fermi_level=float(fermi_level_after_alignment(terms.shift, true, axis)),
        predicted=take_window(row, terms.shift, window.shape[1])[0],
    )
