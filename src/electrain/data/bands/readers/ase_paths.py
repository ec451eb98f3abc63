"""Bands that ASE wrote as JSON, and its notation of paths."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase.dft.kpoints import parse_path_string
from ase.io.jsonio import decode
from ase.spectrum.band_structure import BandStructure as AseBands
from numpy.typing import ArrayLike, NDArray

from electrain.bands import BandStructure

from ...calculation import CalculationError
from ...readers.common import reading
from ...readers.structure_beside import structure_beside
from .common import bands_along_path, check_cell, labels_in_order

# Files with the structure, the first one that exists; "*" is the name of the JSON file without its ending.
_STRUCTURES = ("*.traj", "*.xyz", "*.extxyz", "*.cif", "POSCAR", "structure.cif")


def read_ase_bands(text: bytes, path: Path) -> BandStructure:
    """Read an ``ase.spectrum.band_structure.BandStructure`` with the structure in another file beside it.

    Its reference is the Fermi level.

    :param text: content of the file.
    :param path: the file.
    :raises CalculationError: if the file is damaged, the structure is missing or has another cell, or a check fails.
    """
    source = str(path)
    with reading(source, "a band structure of ASE in JSON"):
        bands = decode(text.decode())
        if not isinstance(bands, AseBands):
            raise CalculationError(source, f"expected a band structure of ASE, got {type(bands).__name__}")
        atoms = structure_beside(path, _STRUCTURES)
        check_cell(atoms, bands.path.cell[:], source)
        return bands_along_path(
            atoms,
            bands.energies,
            bands.path.kpts,
            labels=labels_of_path(bands.path.path, bands.path.special_points, bands.path.kpts),
            fermi_level=float(bands.reference),
            source=source,
        )


def labels_of_path(
    letters: str, special_points: Mapping[str, ArrayLike], k_points: NDArray[np.float64]
) -> dict[int, str]:
    """Find the points of a path in ASE's notation, such as ``"GXWK,UX"``."""
    names = [name for line in parse_path_string(letters) for name in line] if letters else []
    return labels_in_order(k_points, [name for name in names if name in special_points], special_points)
