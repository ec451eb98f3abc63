"""Names of high-symmetry points for bands that came without."""

from dataclasses import replace

import numpy as np

from electrain.bands import BandStructure, k_path
from electrain.data.bands.cells import is_standard_cell

_SAME_POINT = 1e-5  # of fractional coordinates


def with_labels(bands: BandStructure) -> BandStructure:
    """Name the high-symmetry points of bands along the path of :func:`electrain.bands.k_path`, in any sampling.

    Bands along other paths, or in another cell than the standardised primitive one, are returned as they are, and
    without pymatgen all.
    """
    if is_standard_cell(bands.atoms) is not True:
        return bands
    try:
        path = k_path(bands.atoms)
    except ValueError:
        return bands
    labels: list[tuple[int, str]] = []
    after = 0
    for corner, name in path.labels:
        same = np.abs(bands.k_points[after:] - path.k_points[corner]).max(axis=1) < _SAME_POINT
        if not same.any():
            return bands
        labels.append((after + int(same.argmax()), name))
        after = labels[-1][0] + 1
    is_whole = labels[0][0] == 0 and after == len(bands.k_points)
    return replace(bands, labels=tuple(labels)) if is_whole else bands
