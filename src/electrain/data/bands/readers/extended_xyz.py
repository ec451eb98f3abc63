"""Bands along paths in extended XYZ files, for data sets of one's own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from electrain.bands import BandStructure

from ...calculation import CalculationError, Rejected
from ...readers.extended_xyz import k_points_key, number_of, numbers_of, read_each, structure_with_names
from .common import bands_along_path


def read_extended_xyz_bands(path: Path) -> Iterator[BandStructure | Rejected]:
    """Read the frames one by one; the file may be compressed.

    The comment line of a frame contains ``eigenvalues`` (num_k, num_bands) or (2, num_k, num_bands), in eV with the
    Fermi level at zero, and ``k_points`` or ``kpoints`` (num_k, 3), fractional. It may also contain ``labels``, such as
    ``"0:Γ 40:X"`` or a list ``[[0, "Γ"], [40, "X"]]``, ``n_electrons``, ``noncollinear``, ``kweights`` (zero on the
    path, if there are also points of a mesh), ``id``, ``subset``, ``parent`` and ``split``.

    :raises OSError: if the file cannot be opened.
    """
    yield from read_each(path, bands_from_atoms)


def bands_from_atoms(atoms: Atoms, source: str) -> BandStructure:
    """Make a band structure from a structure read from extended XYZ.

    :param atoms: as ASE reads it, with ``info``; see :func:`read_extended_xyz_bands` for the keys.
    :param source: file and frame, for messages.
    :raises CalculationError: if a key is missing or a check fails.
    """
    info = atoms.info
    key = k_points_key(atoms)
    if key is None or "eigenvalues" not in info:
        missing = "k_points" if key is None else "eigenvalues"
        raise CalculationError(
            source, f"expected the key '{missing}' in the comment line, got {', '.join(sorted(info)) or 'none'}"
        )
    energies = numbers_of(info["eigenvalues"], "eigenvalues", source)
    weights = info.get("kweights")
    return bands_along_path(
        structure_with_names(atoms),
        energies[None] if energies.ndim == 2 else energies,
        np.atleast_2d(numbers_of(info[key], key, source)),
        weights=None if weights is None else numbers_of(weights, "kweights", source),
        labels=_labels(info.get("labels"), source),
        fermi_level=0.0,
        num_electrons=number_of(atoms, "n_electrons", source),
        noncollinear=bool(info.get("noncollinear", False)),
        source=source,
    )


def _labels(given: Any, source: str) -> dict[int, str]:
    if given is None:
        return {}
    try:
        pairs = json.loads(given) if isinstance(given, str) and given.lstrip().startswith("[") else given
        if isinstance(pairs, str):
            pairs = [word.split(":", 1) for word in pairs.split()]
        return {int(index): str(name) for index, name in pairs}
    except (TypeError, ValueError):
        raise CalculationError(
            source, f"expected labels such as '0:Γ 40:X' for 'labels', got {str(given)[:60]!r}"
        ) from None
