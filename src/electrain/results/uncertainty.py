"""Uncertainties of predictions: standard deviations and ensembles."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Uncertainty(NamedTuple):
    """Standard deviations of a prediction.

    Those of a model made with ``llpr`` are calibrated on structures that it was not trained on; those of an ensemble of
    models are their spread, which is not.

    The density of states is compared with calculations at the best rigid shift, so its uncertainty does not include
    that of the Fermi level.
    """

    density_of_states: NDArray[np.float64]  # (num_channels,) | states/eV
    band_gap: float | None = None  # eV; with ``llpr``, for the gap before it is cut off at zero
    fermi_level: float | None = None  # eV


class Ensemble(NamedTuple):
    """Equally likely predictions around the best one, for propagating uncertainties to derived quantities.

    Members with the same index belong together.
    """

    density_of_states: NDArray[np.float64]  # (num_members, num_channels) | states/eV, on the energies of the prediction
    band_gap: NDArray[np.float64] | None = None  # (num_members,) | eV
    fermi_level: NDArray[np.float64] | None = None  # (num_members,) | eV, on the model's own energy axis
