"""Core states of all-electron codes, which lie hundreds or thousands of eV below all others."""

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from ..calculation import CalculationError

# Core electrons of the elements up to this one: those in orbitals of the free atom below -145.5 eV. There is no orbital
# of any element within 3 eV of this energy. From: NIST, Atomic Reference Data for Electronic Structure Calculations
# (1997), LDA.
_CORE_ELECTRONS = (
    ("Be", 0),
    ("Si", 2),
    ("P", 4),
    ("Ga", 10),
    ("As", 12),
    ("Sr", 18),
    ("Sb", 28),
    ("Xe", 30),
    ("Eu", 36),
    ("Tl", 46),
    ("Po", 60),
    ("Fr", 62),
    ("U", 68),
)
_SMALLEST_GAP = 1.0  # eV


def num_core_electrons(atoms: Atoms, source: str) -> int:
    """Number of core electrons of a structure.

    :raises CalculationError: for an element after uranium.
    """
    return sum(_of_element(int(number), source) for number in atoms.numbers)


def _of_element(number: int, source: str) -> int:
    for last, electrons in _CORE_ELECTRONS:
        if number <= atomic_numbers[last]:
            return electrons
    raise CalculationError(source, f"expected elements up to U, whose core states are known, got number {number}")


def lowest_valence_band(eigenvalues: NDArray[np.float64], num_electrons: int, source: str) -> int:
    """Index of the lowest band above the core states, which come first.

    :param eigenvalues: shape ``(num_spins, num_k, num_bands)``, sorted, in eV.
    :param num_electrons: number of core electrons.
    :raises CalculationError: if core and other states lie closer than 1 eV and cannot be told apart.
    """
    first = num_electrons // 2
    if first == 0:
        return 0
    if first >= eigenvalues.shape[2]:
        raise CalculationError(
            source, f"expected core states and others, got {eigenvalues.shape[2]} bands for {first} core states"
        )
    gap = eigenvalues[..., first].min() - eigenvalues[..., first - 1].max()
    if gap < _SMALLEST_GAP:
        raise CalculationError(
            source, f"expected core states at least {_SMALLEST_GAP:g} eV below the others, got {gap:.2f} eV"
        )
    return first
