"""One spectrum for each element, from spectra of structures."""

import numpy as np
import torch
from scipy.optimize import nnls

from .axis import EnergyAxis

# Weight of a spectrum of zero for each element, in units of one structure: without it, elements that only occur
# together would get arbitrary shares.
RIDGE = 0.1


def element_spectra(counts: torch.Tensor, spectra: torch.Tensor, trusted: torch.Tensor) -> torch.Tensor:
    r"""Fit non-negative spectra of elements whose sums come closest to those of structures.

    In each channel, non-negative least squares for :math:`\sum_z x_{Az} d_z = y_A / N_A` with the fractions x of the
    elements in structure A, over the structures whose channel is trusted.

    :param counts: numbers of atoms, shape ``(num_structures, num_elements)``.
    :param spectra: for whole structures, in states/eV, shape ``(num_structures, num_channels)``; any value where they
        are not trusted.
    :param trusted: bool, of the same shape.
    :return: in states/eV per atom, shape ``(num_elements, num_channels)``, float64. Channels that are trusted in no
        structure repeat the last one that is.
    """
    atoms = counts.double().sum(dim=1, keepdim=True)
    fractions, values = (counts.double() / atoms).numpy(), (spectra.double() / atoms).numpy()
    known = trusted.numpy()
    num_elements = fractions.shape[1]
    ridge = RIDGE * np.eye(num_elements)
    found = np.zeros((num_elements, values.shape[1]))
    # The factor of QR makes the problem of each channel as small as the number of elements.
    factors: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for channel in range(values.shape[1]):
        rows = known[:, channel]
        if not rows.any():
            found[:, channel] = found[:, channel - 1] if channel > 0 else 0.0
            continue
        if not values[rows, channel].any():
            continue
        key = rows.tobytes()
        if key not in factors:
            factors = {key: np.linalg.qr(np.vstack([fractions[rows], ridge]))}
        q, r = factors[key]
        right = np.concatenate([values[rows, channel], np.zeros(num_elements)])
        found[:, channel] = nnls(r, q.T @ right)[0]
    return torch.from_numpy(found)


def at_middle_shift(spectra: torch.Tensor, axis: EnergyAxis) -> torch.Tensor:
    """Put spectra on the prediction grid at the middle shift, with their first and last values beyond their ends.

    :param spectra: shape ``(num_elements, axis.target_grid.size)``.
    :param axis: energy axis.
    :return: shape ``(num_elements, axis.grid.size)``.
    """
    room = (axis.middle_shift, axis.max_shift - axis.middle_shift)
    return torch.nn.functional.pad(spectra, room, mode="replicate")
