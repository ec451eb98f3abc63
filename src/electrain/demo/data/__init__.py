"""A small set of real calculations that ships with the package; see PROVENANCE.md."""

from pathlib import Path

SEMICONDUCTORS_AND_MOLECULES = Path(__file__).with_name("semiconductors_and_molecules.xyz.xz")
