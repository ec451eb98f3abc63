"""Paths of k-points for crystals of the data sets, as input of `bands.py`.

    pip install 'electrain[pymatgen]'
    python band_paths.py paths.xyz mad_like_part*.xyz.xz [--points 96] [--number 600]

Of each compound in each prototype, the crystal that took the least time is taken, in its standardised primitive cell,
with the path of `electrain.bands.k_path`. Known crystals come first, then substitutions, then elements in other
lattices; among these the cheapest, but every element once before any element a second time, and so on. `split` is the
part of the data that the compound belongs to, see `assemble.py`.

Written per frame, in `info`, beside what the frame had of `id`, `subset`, `parent`, `prototype` and `k_scale`:

k_points   (n, 3), fractional coordinates of the different k points
walk       index into `k_points` of each point along the path
labels     of the path, such as "0:Γ 23:X"
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import iread, write
from assemble import held_out, part_of

from electrain.bands.k_paths import k_path, unique_points

KINDS = ("bulk", "substituted", "elementary")  # beginnings of `id`
KEPT = ("id", "subset", "parent", "prototype", "k_scale")


def crystals(files: list[Path], largest: int) -> list[Atoms]:
    """Return the cheapest crystal of each compound and prototype, in their order."""
    found: dict[tuple[str, str], Atoms] = {}
    for file in files:
        for atoms in iread(file, ":"):
            if atoms.info["subset"] not in ("bulk", "substituted") or len(atoms) > largest:
                continue
            key = (atoms.get_chemical_formula(empirical=True), str(atoms.info.get("prototype")))
            if key not in found or atoms.info["cpu_s"] < found[key].info["cpu_s"]:
                found[key] = atoms
    cheapest_first = sorted(found.values(), key=lambda atoms: atoms.info["cpu_s"])
    of_kind = [[atoms for atoms in cheapest_first if atoms.info["id"].startswith(kind)] for kind in KINDS]
    return [atoms for frames in of_kind for atoms in in_turns(frames)]


def in_turns(frames: list[Atoms]) -> list[Atoms]:
    """Sort again by how often the rarest element of a crystal has come before it; otherwise, the order is kept."""
    seen: Counter[str] = Counter()
    turns = []
    for atoms in frames:
        turns.append(min(seen[symbol] for symbol in set(atoms.symbols)))
        seen.update(set(atoms.symbols))
    return [frames[index] for index in np.argsort(turns, kind="stable")]


def with_path(atoms: Atoms, num_points: int, part: str) -> Atoms:
    """Return the crystal in its standardised cell, with its path."""
    path = k_path(Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True), num_points)
    k_points, walk = unique_points(path.k_points)
    frame = path.atoms.copy()
    frame.info = {key: atoms.info[key] for key in KEPT if key in atoms.info}
    frame.info |= {
        "id": f"bands-{atoms.info['id']}",
        "split": part,
        "k_points": np.round(k_points, 9),
        "walk": walk,
        "labels": " ".join(f"{index}:{name}" for index, name in path.labels),
    }
    return frame


def main() -> None:
    """Write the file and print how many crystals, elements and k points it has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("files", type=Path, nargs="+", help="data files, may be compressed")
    parser.add_argument("--points", type=int, default=96, help="k points along the path")
    parser.add_argument("--number", type=int, default=600, help="crystals at most")
    parser.add_argument("--largest", type=int, default=6, help="atoms in the cell")
    args = parser.parse_args()
    parts, frames = held_out(), []
    for atoms in crystals(args.files, args.largest):
        if len(frames) == args.number:
            break
        part = part_of(atoms, parts)
        if part is not None:
            frames.append(with_path(atoms, args.points, part))
    write(args.output, frames, format="extxyz")
    elements = {symbol for atoms in frames for symbol in atoms.symbols}
    mean = np.mean([len(atoms.info["k_points"]) for atoms in frames])
    print(f"{len(frames)} crystals of {len(elements)} elements, {mean:.0f} different k points on average")


if __name__ == "__main__":
    main()
