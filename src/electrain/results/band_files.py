"""Bands along paths as JSON and CSV files, with units in the names; no incomplete file is left behind."""

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from electrain.bands import BandStructure, band_gap, effective_masses
from electrain.bands.gaps import BandEdge

from .dictionaries import structure_from_dict, structure_to_dict
from .files import JsonWriter, read_contents, writing

_ENERGIES = "energies_eV"


@contextmanager
def open_band_writer(path: str | Path) -> Iterator["BandJsonWriter | BandCsvWriter"]:
    """Open a JSON or CSV file for bands, which replaces ``path`` once all are written without an error.

    :param path: must end with ``.json`` or ``.csv``.
    :raises ValueError: for another ending.
    :raises OSError: if the file cannot be written.
    """
    with writing(path, BandJsonWriter, BandCsvWriter) as writer:
        yield writer


def read_bands(path: str | Path) -> list[tuple[str, BandStructure]]:
    """Read a JSON file of :func:`open_band_writer`: the name of each structure and its bands.

    :raises ValueError: for a file of other results.
    """
    contents = read_contents(path)
    if any(_ENERGIES not in content for content in contents):
        raise ValueError(f"expected bands along paths, but {path} has other results")
    return [(content["structure"], bands_from_dict(content)) for content in contents]


def bands_to_dict(bands: BandStructure, name: str = "") -> dict[str, Any]:
    """Convert bands, with gap and effective masses, to plain Python types, for JSON, without losing any digits.

    Masses of flat bands, which are infinite, are ``None``.

    :param bands: the bands.
    :param name: name of the structure.
    """
    gap = band_gap(bands)
    return {
        "structure": name,
        "formula": bands.atoms.get_chemical_formula(),
        "is_metal": gap is None,
        "band_gap_eV": 0.0 if gap is None else gap.energy,
        "is_direct": None if gap is None else gap.is_direct,
        "valence_band_maximum": None if gap is None else _edge(gap.valence),
        "conduction_band_minimum": None if gap is None else _edge(gap.conduction),
        "smallest_direct_gap_eV": None if gap is None else gap.direct,
        "smallest_direct_gap_at": None if gap is None else gap.direct_where,
        "effective_masses": [
            {
                "carrier": mass.carrier,
                "at": mass.where,
                "direction": mass.direction,
                "spin": mass.spin,
                "band": mass.band,
                "mass_electron_masses": _finite(mass.mass),
                "uncertainty_electron_masses": _finite(mass.uncertainty),
            }
            for mass in effective_masses(bands)
        ],
        "zero_eV": bands.zero(),
        "fermi_level_eV": bands.fermi_level,
        "num_electrons": bands.num_electrons,
        "noncollinear": bands.noncollinear,
        "source": bands.source,
        **structure_to_dict(bands.atoms),
        "k_points_fractional": bands.k_points.tolist(),
        "distances_per_angstrom": bands.distances().tolist(),
        "labels": [list(label) for label in bands.labels],
        _ENERGIES: bands.energies.tolist(),
    }


def bands_from_dict(content: dict[str, Any]) -> BandStructure:
    """Read bands from what :func:`bands_to_dict` returned.

    :raises KeyError: if something is missing.
    :raises ValueError: if the numbers do not fit each other.
    """
    return BandStructure(
        structure_from_dict(content),
        np.array(content["k_points_fractional"], dtype=float),
        np.array(content[_ENERGIES], dtype=float),
        float(content["fermi_level_eV"]),
        tuple((int(index), str(name)) for index, name in content["labels"]),
        content["num_electrons"],
        bool(content["noncollinear"]),
        content["source"],
    )


class BandJsonWriter:
    """One object with the key ``structures``, a list of what :func:`bands_to_dict` returns."""

    def __init__(self, file: TextIO) -> None:
        self._entries = JsonWriter(file)

    def write(self, bands: BandStructure, name: str) -> None:
        """Append bands."""
        self._entries.append(bands_to_dict(bands, name))

    def finish(self) -> None:
        """Close the list."""
        self._entries.finish()


class BandCsvWriter:
    """One row per structure, spin and k-point.

    Columns: ``structure``, ``formula``, ``spin``, ``distance_per_angstrom``, ``label``, fractional coordinates, and
    ``band_1_eV`` and so on, relative to the middle of the gap, or the Fermi level of a metal. Structures with fewer
    bands than another one have empty cells at the end.
    """

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._all: list[tuple[str, BandStructure]] = []

    def write(self, bands: BandStructure, name: str) -> None:
        """Keep bands until the largest number of them is known."""
        self._all.append((name, bands))

    def finish(self) -> None:
        """Write all rows."""
        most = max((bands.energies.shape[2] for _, bands in self._all), default=0)
        head = ["structure", "formula", "spin", "distance_per_angstrom", "label", "k_1", "k_2", "k_3"]
        self._rows.writerow([*head, *(f"band_{index}_eV" for index in range(1, most + 1))])
        for name, bands in self._all:
            names, zero = dict(bands.labels), bands.zero()
            for spin, energies in enumerate(bands.energies):
                for index, (distance, values) in enumerate(zip(bands.distances(), energies, strict=True)):
                    place = [f"{distance:.6f}", names.get(index, ""), *(f"{k:.8g}" for k in bands.k_points[index])]
                    cells = [f"{value - zero:.6f}" for value in values] + [""] * (most - len(values))
                    self._rows.writerow([name, bands.atoms.get_chemical_formula(), spin, *place, *cells])


def _edge(edge: BandEdge) -> dict[str, Any]:
    return {
        "energy_eV": edge.energy,
        "at": edge.where,
        "k_point_fractional": edge.k_point.tolist(),
        "spin": edge.spin,
        "band": edge.band,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
