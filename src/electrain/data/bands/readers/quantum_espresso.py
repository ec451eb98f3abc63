"""Bands along paths in Quantum ESPRESSO's XML data files."""

from pathlib import Path

from electrain.bands import BandStructure

from ...calculation import CalculationError
from ...readers.common import reading
from ...readers.quantum_espresso_xml import atoms_of, entry, fermi_level, levels_of, read_document, text_of
from .common import bands_along_path

_KINDS = ("bands", "nscf")


def read_quantum_espresso_bands(path: Path) -> BandStructure:
    """Read a run of pw.x with ``calculation='bands'``, or ``'nscf'`` along a path; the file may be compressed.

    The Fermi level is that of the density the run started from. k-points, which the file has in Cartesian coordinates
    in units of 2 pi/alat, become fractional.

    :raises CalculationError: if the file is damaged or of another kind of calculation, or a check fails.
    """
    source = str(path)
    with reading(source, "an XML data file of Quantum ESPRESSO"):
        root = read_document(path)
        kind = text_of(root, "input/control_variables/calculation")
        if kind not in _KINDS:
            raise CalculationError(
                source,
                f"expected a calculation of kind {' or '.join(_KINDS)}, got {kind}: for its density of states, use "
                "electrain prepare without --bands",
            )
        if root.find("output") is None:
            raise CalculationError(source, "expected results, got none (the run did not finish)")
        output = entry(root, "output")
        levels, bands = levels_of(output, source), entry(output, "band_structure")
        return bands_along_path(
            atoms_of(entry(output, "atomic_structure")),
            levels.eigenvalues,
            levels.k_points,
            weights=levels.weights,
            fermi_level=fermi_level(bands, source),
            num_electrons=float(text_of(bands, "nelec")),
            noncollinear=levels.noncollinear,
            source=source,
        )
