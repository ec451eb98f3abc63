"""Small sets of real calculations that ship with the package; see PROVENANCE.md."""

from pathlib import Path

HELD_OUT = Path(__file__).with_name("held_out.xyz.xz")
SILICON = Path(__file__).with_name("silicon.xyz.xz")
