"""Real calculations for tests.

125 structures of 22 elements with 1 to 6 atoms: the part of ``datasets/dft_mini.xyz.xz`` whose elements are all among H
Li B C N O F Na Al Si P S Cl Zn Ga Ge As Se Cd In Sb Te, without clusters. ``datasets/README.md`` describes how they
were computed, and the format.
"""

from pathlib import Path

SEMICONDUCTORS_AND_MOLECULES = Path(__file__).with_name("semiconductors_and_molecules.xyz.xz")
