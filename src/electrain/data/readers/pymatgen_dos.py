"""A density of states written by pymatgen as JSON, e.g. one from the Materials Project.

Read with the standard library: pymatgen's own decoder imports and calls whatever classes a file names.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from electrain.structures.packed import TooLargeError, open_packed

from ..calculation import CalculationError
from ..sampled_spectrum import SampledSpectrum
from .common import reading

# With the local density of states of every orbital; in memory it takes ten times as much.
_LARGEST = 2**28
_MOST_LISTS = 2_000_000
_WHOLE = 1e-3  # occupancy of a site that counts as full


def read_pymatgen_dos(path: str | Path, *, highest_trusted: float = 0.0) -> SampledSpectrum:
    """Read a ``CompleteDos``: the total density of states with its structure; the file may be compressed.

    :param path: the file.
    :param highest_trusted: energy up to which all states were computed, relative to the Fermi level, in eV. The
        file does not contain it; by default it is the Fermi level.
    :raises CalculationError: if the file is damaged or has no structure, or a check fails.
    """
    path, source = Path(path), str(path)
    with reading(source, "a pymatgen density of states in JSON"):
        with open_packed(path, _LARGEST) as file:
            text = file.read()
        if (number := text.count(b"[") + text.count(b"{")) > _MOST_LISTS:
            raise TooLargeError(f"expected at most {_MOST_LISTS:,} lists and objects in JSON, got {number:,}")
        content = json.loads(text)
        if "structure" not in content:
            name = content.get("@class", "something else")
            raise CalculationError(source, f"expected a CompleteDos, which has a structure, got {name}")
        densities = content["densities"]
        return SampledSpectrum(
            atoms=structure_from_pymatgen(content["structure"], source),
            energies=np.asarray(content["energies"], dtype=np.float64),
            values=np.stack(
                [np.asarray(densities[spin], dtype=np.float64) for spin in ("1", "-1") if spin in densities]
            ),
            fermi_level=float(content["efermi"]),
            highest_trusted=highest_trusted,
            source=source,
        )


def looks_like_pymatgen_dos(content: bytes) -> bool:
    """Whether a JSON file has the entries of a density of states, wherever in it; older files do not name the class."""
    return all(f'"{name}"'.encode() in content for name in ("densities", "energies", "efermi"))


def structure_from_pymatgen(content: dict[str, Any], source: str) -> Atoms:
    """Lattice, elements and positions; nothing else of what a file says about its structure is used.

    :raises CalculationError: for a site that is not fully occupied by one element.
    """
    symbols = []
    for number, site in enumerate(content["sites"]):
        species = site["species"]
        if len(species) != 1 or abs(float(species[0]["occu"]) - 1.0) > _WHOLE:
            found = ", ".join(f"{one['element']} {float(one['occu']):g}" for one in species)
            raise CalculationError(
                source, f"expected every site fully occupied by one element, got {found} at {number}"
            )
        symbols.append(str(species[0]["element"]))
    lattice = content["lattice"]
    return Atoms(
        symbols,
        scaled_positions=[site["abc"] for site in content["sites"]],
        cell=lattice["matrix"],
        pbc=lattice.get("pbc", True),
    )
