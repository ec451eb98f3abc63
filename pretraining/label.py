"""Tight-binding densities of states of many structures, as a data set for `mtt train`.

    python pretraining/label.py structures.xyz data/options.yaml pretrained
    cd pretrained && mtt train options.yaml

One target, `mtt::tight_binding`: per atom, the densities of states of its s, p and d orbitals in steps of 0.5 eV about
the Fermi level, the Fermi level and the gap of the structure, each divided by its standard deviation over the first
structures. Every 50th structure is for validation. `data/options.yaml`, from `electrain prepare`, has the network and the
energy axis of the model to be fine-tuned later.
"""

import argparse
import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import yaml
from ase import Atoms
from ase.io import iread
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.utils.data.writers import MemmapWriter
from tight_binding import tight_binding
from tqdm import tqdm

from electrain.files.replacing import atomically
from electrain.interface.ase_systems import to_system

TARGET = "mtt::tight_binding"
FOR_SCALES = 2000  # structures
LEAST_SCALE = 0.05  # states/eV; channels that are nearly empty everywhere shall not count as much as others
LARGEST_GAP = 10.0  # eV; gaps of noble gases
EVERY = 50


def values(atoms: Atoms) -> np.ndarray:
    """Return what is learned of every atom, shape ``(num_atoms, num_values)``."""
    found = tight_binding(atoms)
    whole = np.tile([found.fermi_level, min(found.gap, LARGEST_GAP)], (len(atoms), 1))
    return np.concatenate([found.local.reshape(len(atoms), -1), whole], axis=1)


def to_map(array: np.ndarray) -> TensorMap:
    """Label values of atoms."""
    atoms = torch.arange(len(array))
    samples = Labels(["system", "atom"], torch.stack([torch.zeros_like(atoms), atoms], dim=1))
    properties = Labels.range("value", array.shape[1])
    block = TensorBlock(torch.from_numpy(array), samples, [], properties)
    return TensorMap(Labels.single(), [block])


def write(frames: Iterable[Atoms], folder: Path) -> tuple[int, list[int]]:
    """Write training and validation set, and return the number of values of an atom and the elements that occur."""
    frames = iter(frames)
    first = list(itertools.islice(frames, FOR_SCALES))
    deviations = np.concatenate([values(atoms) for atoms in first]).std(axis=0)
    scales = np.maximum(deviations, LEAST_SCALE)
    elements: set[int] = set()
    writers = {part: MemmapWriter(folder / part) for part in ("train", "validation")}
    for index, atoms in enumerate(tqdm(itertools.chain(first, frames), unit="structures")):
        elements.update(int(number) for number in atoms.numbers)
        part = "validation" if index % EVERY == EVERY - 1 else "train"
        writers[part].write([to_system(atoms)], {TARGET: to_map(values(atoms) / scales)})
    for writer in writers.values():
        writer.finish()
    return len(scales), sorted(elements)


def write_options(like: Path, elements: list[int], num_values: int, output: Path) -> None:
    """Write the options of the training, with the network and the elements of other options."""
    options = yaml.safe_load((Path(__file__).parent / "options.yaml").read_text())
    model = yaml.safe_load(like.read_text())["architecture"]["model"]
    options["architecture"] |= {"model": model, "atomic_types": elements}
    for part in ("training_set", "validation_set"):
        options[part]["targets"][TARGET]["num_subtargets"] = num_values
    output.write_text(yaml.safe_dump(options, sort_keys=False))


def main() -> None:
    """Label the structures of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", type=Path, help="extended XYZ, as from draw.py")
    parser.add_argument("options", type=Path, help="options of the training that shall start from this one")
    parser.add_argument("output", type=Path, help="folder to write, which must not exist")
    args = parser.parse_args()
    if args.output.exists():
        parser.error(f"{args.output} exists")
    with atomically(args.output) as unfinished:
        num_values, elements = write(iread(args.structures, ":"), unfinished)
        write_options(args.options, elements, num_values, unfinished / "options.yaml")


if __name__ == "__main__":
    main()
