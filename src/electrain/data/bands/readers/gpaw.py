"""Bands along paths in GPAW's restart files (.gpw)."""

from pathlib import Path
from typing import Any

import ase.io.ulm as ulm
import numpy as np
from ase import Atoms
from ase.io.trajectory import read_atoms
from numpy.typing import NDArray

from electrain.bands import BandStructure

from ...readers.common import plain_structure, reading
from ...readers.gpaw import check_version, levels_of
from .ase_paths import labels_of_path
from .common import bands_along_path


def read_gpaw_bands(path: Path) -> BandStructure:
    """Read a run with a fixed density, as of ``GPAW.fixed_density``, with or without wave functions.

    The Fermi level is the one in the file, by default that of the ground state. The file has no number of electrons,
    so what is filled follows from it.

    :raises CalculationError: if the file is damaged or has two Fermi levels, or a check fails.
    """
    source = str(path)
    with reading(source, "a GPAW file (.gpw)"), path.open("rb") as opened:
        file = ulm.Reader(opened)
        check_version(file, source)
        levels, points = levels_of(file, source), file.wave_functions.kpts.asdict()
        atoms = plain_structure(read_atoms(file.atoms))
        # Symmetry may have reduced a path and changed its order.
        whole = np.asarray(points.get("bz2ibz", np.arange(len(points["ibzkpts"]))))
        k_points = np.asarray(points.get("bzkpts", points["ibzkpts"]))
        return bands_along_path(
            atoms,
            levels.eigenvalues[:, whole],
            k_points,
            labels=_labels(file.parameters.asdict().get("kpts") if "parameters" in file else None, atoms, k_points),
            fermi_level=levels.fermi_level,
            noncollinear=levels.noncollinear,
            source=source,
        )


def _labels(given: Any, atoms: Atoms, k_points: NDArray[np.float64]) -> dict[int, str]:
    """Labels of a path that was given by its letters."""
    if not isinstance(given, dict) or not isinstance(given.get("path"), str):
        return {}
    try:
        path = atoms.cell.bandpath(given["path"], npoints=0, special_points=given.get("special_points"))
    except (KeyError, ValueError):  # letters that this lattice does not have
        return {}
    return labels_of_path(path.path, path.special_points, k_points)
