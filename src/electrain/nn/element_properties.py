"""Properties of the elements, from which a network can know rare elements by their likeness to common ones.

``element_data.csv`` has one line per element: Pauling's electronegativity (1.5 where there is none), Slater's atomic
radius in Angstrom (1.5 likewise), group (3 for lanthanides), period and block, and energies in eV of the orbitals of
the free atom: the outermost s, p, d and f orbital (``s``, ``p``...) and the next inner one (``s_inner``...), with the
fraction of each shell that is filled (``s_filled``...), all 0 where the atom has no such orbital or it is a core state
below -70 eV. The energies were computed for this project with GPAW's solvers for spherical atoms
(``gpaw.atom.all_electron``; for Tb to Lu ``gpaw.atom.aeatom``): PBE, neutral, not spin-polarised, scalar-relativistic
(but for Tb to Lu). From francium on, they are those of the element above in the periodic table.
"""

import csv
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch

_BLOCKS = "spdf"
_GROUPS, _PERIODS = 18, 7
_ENERGY_SCALE = 20.0  # eV


@cache
def _table() -> dict[int, dict[str, str]]:
    with (Path(__file__).parent / "element_data.csv").open(newline="") as file:
        return {int(row["number"]): row for row in csv.DictReader(file)}


def check_known(numbers: Sequence[int]) -> None:
    """Raise a ``ValueError`` for atomic numbers without properties."""
    unknown = sorted(set(numbers) - set(_table()))
    if unknown:
        raise ValueError(
            f"expected atomic numbers with known properties, {min(_table())} to {max(_table())}, got {unknown}"
        )


def element_properties(numbers: Sequence[int]) -> torch.Tensor:
    """Return properties of elements, of order one, with zero mean over these elements.

    Electronegativity, radius, group, period, valence, square root of the atomic number; block, group and period once
    more as indicators; orbital energies and fillings.

    :param numbers: atomic numbers.
    :return: shape ``(len(numbers), 51)``, float64.
    :raises ValueError: for an element whose properties are not known.
    """
    check_known(numbers)
    rows = torch.tensor([_properties(number, _table()[number]) for number in numbers], dtype=torch.float64)
    return rows - rows.mean(dim=0)


def neighbor_weights(numbers: Sequence[int]) -> torch.Tensor:
    """Return the weights p of elements in :class:`~electrain.nn.radial_descriptors.RadialDescriptors`.

    1, electronegativity, group / 18, period / 7, radius, block / 3, and energies of the outermost s, p and d orbital.

    :param numbers: atomic numbers.
    :return: shape ``(len(numbers), 9)``, float64.
    :raises ValueError: for an element whose properties are not known.
    """
    check_known(numbers)
    found = []
    for number in numbers:
        row = _table()[number]
        group, period = int(row["group"]), int(row["period"])
        basic = [1.0, float(row["electronegativity"]), group / _GROUPS, period / _PERIODS, float(row["radius"])]
        found.append(
            [*basic, _BLOCKS.index(row["block"]) / 3, *(float(row[orbital]) / _ENERGY_SCALE for orbital in "spd")]
        )
    return torch.tensor(found, dtype=torch.float64)


def _properties(number: int, row: dict[str, str]) -> list[float]:
    group, period, block = int(row["group"]), int(row["period"]), row["block"]
    valence = group - 10 if block == "p" else min(group, 12)
    numeric = [float(row["electronegativity"]) / 4, float(row["radius"]) / 2.5, group / _GROUPS, period / _PERIODS]
    numeric += [valence / 12, math.sqrt(number) / 10]
    indicators = [float(block == other) for other in _BLOCKS]
    indicators += [float(group == other) for other in range(1, _GROUPS + 1)]
    indicators += [float(period == other) for other in range(1, _PERIODS + 1)]
    orbitals = [f"{orbital}{which}" for orbital in _BLOCKS for which in ("", "_inner")]
    energies = [float(row[orbital]) / _ENERGY_SCALE for orbital in orbitals]
    return [*numeric, *indicators, *energies, *(float(row[f"{orbital}_filled"]) for orbital in orbitals)]
