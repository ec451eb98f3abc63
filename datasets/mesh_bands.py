"""Bands on the k meshes of the calculations of densities of states, to learn from beside those along paths.

    python mesh_bands.py meshes.xyz mad_like_part*.xyz.xz [--largest 6]

Parts 1 to 12 do not contain their k points. They are found again here, as GPAW found them: the irreducible points of
the mesh under the symmetry of the crystal. A calculation is left out, and named, if their weights are not its own.
Only crystals of the training part are written, see `assemble.py`. Frames that are in the output already are left out,
so that the command can be stopped and started again.

Each frame has its `info` and, there, `k_points` (k points, 3), in the basis of the reciprocal cell.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import iread
from assemble import held_out, part_of
from compute import append, cut_incomplete_frame, finished_ids
from gpaw.dft import MonkhorstPack
from gpaw.new.symmetry import SymmetryAnalysisBug, create_symmetries_object

# Of symmetries, in fractional coordinates; the first one is GPAW's, the others allow for rounded positions
TOLERANCES = (None, 1e-5, 1e-4)
DIGITS = 1e-6  # of weights


def irreducible_points(atoms: Atoms) -> np.ndarray | None:
    """Return the k points of a calculation, shape (k points, 3); `None` if their weights are not those it has."""
    size = np.array(atoms.info["kpoints_grid"], int).tolist()  # ASE reads three numbers as an array
    mesh = MonkhorstPack(size, gamma=True).build(atoms)
    weights = np.atleast_1d(atoms.info["kweights"])
    for tolerance in TOLERANCES:
        try:
            symmetries = create_symmetries_object(atoms, tolerance=tolerance, _backwards_compatible=True)
        except SymmetryAnalysisBug:  # positions are rounded, so that its operations are no group
            continue
        found = mesh.reduce(symmetries, strict=False)
        if len(found) == len(weights) and np.abs(found.weight_k - weights / weights.sum()).max() < DIGITS:
            return np.round(found.kpt_kc, 8)
    return None


def main() -> None:
    """Write the file and print how many crystals there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("files", type=Path, nargs="+", help="data files, may be compressed")
    parser.add_argument("--largest", type=int, default=6, help="atoms in the cell")
    args = parser.parse_args()
    cut_incomplete_frame(args.output)
    finished, parts, number = finished_ids([args.output]), held_out(), 0
    for atoms in (frame for file in args.files for frame in iread(file, ":")):
        if not atoms.pbc.all() or len(atoms) > args.largest or str(atoms.info["id"]) in finished:
            continue
        if part_of(atoms, parts) != "train":
            continue
        if "k_points" not in atoms.info:
            k_points = irreducible_points(atoms)
            if k_points is None:
                print("left out", atoms.info["id"], "other weights of k points", flush=True)
                continue
            atoms.info["k_points"] = k_points
        atoms.info["split"] = "train"
        append(atoms, args.output)
        number += 1
    print(number, "crystals")


if __name__ == "__main__":
    main()
