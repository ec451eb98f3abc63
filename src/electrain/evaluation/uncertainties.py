"""Whether uncertainties are right: predicted and actual errors of structures that a model was not trained on."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL, quantity_of
from electrain.spectra import gap_errors

from .summary import ErrorTable

# Root mean square over the trusted channels of each structure.
SPECTRUM = f"{quantity_of(DENSITY_OF_STATES).label}, mean over channels"


class Calibration(NamedTuple):
    """Errors of held-out predictions, and their predicted uncertainties."""

    errors: NDArray[np.float64]  # (num_samples,) | prediction minus reference
    uncertainties: NDArray[np.float64]  # (num_samples,) | standard deviations
    unit: str

    def within(self, deviations: float) -> float:
        """Fraction of the errors within a number of standard deviations: 0.683, 0.954 for 1, 2 if they are Gaussian."""
        return float(np.mean(np.abs(self.errors) <= deviations * self.uncertainties))

    @property
    def ratio(self) -> float:
        """Root mean square of the errors in units of their uncertainties: 1 if calibrated."""
        return float(np.sqrt(np.mean((self.errors / self.uncertainties) ** 2)))

    @property
    def correlation(self) -> float:
        """Spearman's rank correlation of uncertainties and absolute errors; NaN if either are all the same."""
        if np.ptp(self.uncertainties) == 0 or np.ptp(np.abs(self.errors)) == 0:
            return float("nan")
        return float(spearmanr(self.uncertainties, np.abs(self.errors)).statistic)


def calibrations(table: ErrorTable) -> dict[str, Calibration]:
    """Collect errors and predicted uncertainties of all structures, by quantity; empty without uncertainties.

    Metals that are predicted to be metals have no gap error, so they are left out of the band gaps. So are structures
    that are metals for all members of an ensemble, whose gaps then have no spread.
    """
    gaps = (torch.from_numpy(table.column(name)) for name in ("predicted_gap", "true_gap"))
    pairs = {
        ENERGY: (table.column("predicted_energy") - table.column("true_energy"), "energy_uncertainty"),
        SPECTRUM: (table.column("dos_error"), "dos_uncertainty"),
        BAND_GAP: (gap_errors(*gaps).numpy(), "gap_uncertainty"),
        FERMI_LEVEL: (table.column("predicted_level") - table.column("true_level"), "level_uncertainty"),
    }
    found = {}
    for name, (errors, column) in pairs.items():
        uncertainties = table.column(column)
        known = np.isfinite(errors) & np.isfinite(uncertainties) & (uncertainties > 0)
        if known.any():
            unit = quantity_of(DENSITY_OF_STATES if name == SPECTRUM else name).unit
            found[name] = Calibration(errors[known], uncertainties[known], unit)
    return found
