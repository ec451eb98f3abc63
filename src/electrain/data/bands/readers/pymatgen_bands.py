"""Bands that pymatgen wrote as JSON, e.g. those of the Materials Project.

Read with the standard library, as :mod:`electrain.data.readers.pymatgen_dos`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain.bands import BandStructure

from ...calculation import CalculationError
from ...readers.common import reading
from ...readers.pymatgen_dos import structure_from_pymatgen
from ...readers.structure_beside import structure_beside
from .common import bands_along_path, check_cell

_SAME = 1e-4  # of fractional coordinates
_STRUCTURES = ("*.cif", "POSCAR", "structure.cif")


def read_pymatgen_bands(text: bytes, path: Path) -> BandStructure:
    """Read a ``BandStructureSymmLine``, or one with a class of its kind.

    The structure is in the file, or in another one beside it. The file has no number of electrons, so what is filled
    follows from its Fermi level.

    :param text: content of the file.
    :param path: the file.
    :raises CalculationError: if the file is damaged, the structure is missing or has another cell, or a check fails.
    """
    source = str(path)
    with reading(source, "a band structure of pymatgen in JSON"):
        content = json.loads(text)
        bands = content["bands"]
        if not bands:
            raise CalculationError(source, "expected energies of bands, got none")
        structure = content.get("structure")
        atoms = structure_beside(path, _STRUCTURES) if structure is None else structure_from_pymatgen(structure, source)
        check_cell(atoms, 2 * np.pi * np.linalg.inv(_array(content["lattice_rec"]["matrix"])).T, source)
        k_points = _array(content["kpoints"])
        return bands_along_path(
            atoms,
            np.stack([_array(bands[spin]).T for spin in ("1", "-1") if spin in bands]),
            k_points,
            labels=_labels(content, k_points),
            fermi_level=float(content["efermi"]),
            source=source,
        )


def _array(content: Any) -> NDArray[np.float64]:
    """Numbers in lists, or as monty writes arrays."""
    return np.asarray(content["data"] if isinstance(content, dict) else content, dtype=np.float64)


def _labels(content: dict[str, Any], k_points: NDArray[np.float64]) -> dict[int, str]:
    """Labels at the ends of the branches, and wherever the path meets a point that has one."""
    found: dict[int, str] = {}
    for branch in content.get("branches", []):
        first, _, last = branch["name"].rpartition("-")
        found.update({int(branch["start_index"]): first, int(branch["end_index"]): last})
    for name, point in content.get("labels_dict", {}).items():
        for index in np.flatnonzero(np.abs(k_points - _array(point)).max(axis=1) < _SAME).tolist():
            found.setdefault(index, name)
    return {index: name for index, name in found.items() if name}
