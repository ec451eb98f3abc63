"""Bands along paths in ABINIT's ground-state results (..._GSR.nc)."""

from pathlib import Path

from electrain.bands import BandStructure

from ...readers.abinit import K_POINTS, open_results
from ...readers.common import plain_structure, reading
from .common import bands_along_path


def read_abinit_bands(path: Path) -> BandStructure:
    """Read a run on a fixed density along a path (``iscf -2``, negative ``kptopt``).

    The Fermi level is that of the density.

    :raises CalculationError: if the file is damaged, or a check fails.
    :raises ImportError: if netCDF4 is not installed.
    """
    source = str(path)
    with reading(source, "ABINIT results (GSR.nc)"):
        results, rest = open_results(source)
        return bands_along_path(
            plain_structure(results["atoms"]),
            results["eigenvalues"],
            rest[K_POINTS],
            fermi_level=float(results["fermilevel"]),
            num_electrons=float(rest["nelect"]),
            noncollinear=bool(rest["num_spinors"] == 2),
            source=source,
        )
