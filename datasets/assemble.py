"""All structures in one file, each with the part of the data that it belongs to, for `electrain prepare --split given`.

    python assemble.py structures.xyz FILE [FILE ...]
    electrain prepare structures.xyz -o data --split given

`held_out.csv` names the reduced formulas and the parents of the validation and the test part: what
`electrain prepare` had chosen for parts 1 to 8 and `dft_mini.xyz.xz` (seed 0). Whatever has one of these formulas or
parents belongs to that part, and everything else to the training part, however many structures are added. So errors of
later models can be compared with those of earlier ones.

New structures of held-out compounds with a coarse k mesh (`k_scale` below 1) are left out, because their labels are
not good enough to test on.
"""

import argparse
import csv
from collections import Counter
from functools import cache
from pathlib import Path

from ase import Atoms
from ase.io import read, write

HELD_OUT = Path(__file__).parent / "held_out.csv"


@cache
def held_out() -> dict[str, str]:
    """Return the part of each formula and each parent that is held out."""
    with HELD_OUT.open(newline="") as file:
        return {row["compound"]: row["part"] for row in csv.DictReader(file)}


def part_of(atoms: Atoms, parts: dict[str, str]) -> str | None:
    """Return the part of a structure, `None` for one to leave out."""
    names = [atoms.get_chemical_formula(mode="hill", empirical=True)]
    names += [str(atoms.info[key]) for key in ("parent", "id") if key in atoms.info]
    found = {parts[name] for name in names if name in parts}
    if not found:
        return "train"
    if float(atoms.info.get("k_scale", 1.0)) < 1.0 or len(found) > 1:
        return None
    return found.pop()


def main() -> None:
    """Write the file and print how many structures are in each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("files", type=Path, nargs="+", help="extended XYZ, may be compressed")
    args = parser.parse_args()
    parts, frames, seen = held_out(), [], set()
    for atoms in (atoms for file in args.files for atoms in read(file, ":")):
        part = part_of(atoms, parts)
        if part is None or atoms.info["id"] in seen:
            continue
        seen.add(atoms.info["id"])
        atoms.info["split"] = part
        frames.append(atoms)
    write(args.output, frames, format="extxyz")
    print(len(frames), "structures", dict(Counter(atoms.info["split"] for atoms in frames)))


if __name__ == "__main__":
    main()
