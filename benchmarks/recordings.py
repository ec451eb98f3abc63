"""How many CUDA graphs a training records, and how much more work batches are when they are filled up to them.

    python benchmarks/recordings.py datasets/*.xyz.xz [--batch-size 16] [--epochs 6] [--cutoff 4.5]

Random batches of the structures meet the rules of `training.cuda_graphs`; no network and no GPU are needed.
"""

import argparse
import bisect
import io
import lzma
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase.neighborlist import neighbor_list

from electrain.architectures.pet_mad.cuda_graphs import MAX_RECORDINGS, ROOM, WASTE
from electrain.nn.point_edge_transformer.capacity import Capacity, Sizes, capacity_for, find_capacity


def row_lengths(file: Path, cutoff: float) -> list[np.ndarray]:
    """Tokens of each atom of each structure, the central ones included."""
    text = lzma.decompress(file.read_bytes()).decode()
    structures = ase.io.read(io.StringIO(text), ":", format="extxyz")
    return [1 + np.bincount(neighbor_list("i", atoms, cutoff), minlength=len(atoms)) for atoms in structures]


def main() -> None:
    """Read, draw batches, and print what happens to them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--cutoff", type=float, default=4.5)
    arguments = parser.parse_args()
    structures = [lengths for file in arguments.files for lengths in row_lengths(file, arguments.cutoff)]
    random = np.random.default_rng(0)
    known: list[Capacity] = []
    ratios: list[float] = []
    num_batches, last_recorded = 0, 0
    first_without: int | None = None
    for _ in range(arguments.epochs):
        order = random.permutation(len(structures))
        for batch in np.split(order, range(arguments.batch_size, len(order), arguments.batch_size)):
            lengths = torch.from_numpy(np.sort(np.concatenate([structures[index] for index in batch])))
            sizes = Sizes(len(batch), int((lengths - 1).sum()), lengths)
            num_batches += 1
            found = find_capacity(known, sizes, WASTE)
            capacity = None if found is None else known[found]
            if capacity is None and len(known) < MAX_RECORDINGS:
                capacity, last_recorded = capacity_for(sizes, ROOM), num_batches
                bisect.insort(known, capacity, key=lambda other: other.cost)
            if capacity is None:
                first_without = num_batches if first_without is None else first_without
            else:
                ratios.append(capacity.cost / capacity_for(sizes, room=1.0).cost)
    print(f"{len(structures)} structures of {sum(map(len, structures)) / len(structures):.1f} atoms on average")
    print(f"{num_batches} batches of {arguments.batch_size}")
    print(f"{len(known)} recordings, the last one for batch {last_recorded}")
    print(
        f"{num_batches - len(ratios)} batches fit none" + (f", the first is {first_without}" if first_without else "")
    )
    print(f"work of the others: {np.mean(ratios):.2f} of that without filling up")


if __name__ == "__main__":
    main()
