"""Densities of states from tight binding for many structures, as a data set for `mtt train`.

    python pretraining/label.py structures.xyz data/options.yaml pretrained
    cd pretrained && mtt train options.yaml

Two targets with values of every atom: densities of states of its s, p and d orbitals in steps of 0.5 eV about the
Fermi level, and the Fermi level and the gap of its structure. `mtt::tight_binding` has them from Harrison's model for
all structures, `mtt::xtb` from GFN1-xTB for those without periodicity (NaN for others). All are divided by their
standard deviations over the first structures. `mtt::bandgap` is the gap of each structure in eV, from GFN1-xTB where
there is one, so that training with DFT begins with a head that can read gaps. Every 50th structure is for validation.
`data/options.yaml`, from `electrain prepare`, has the network and the energy axis of the model to be fine-tuned later.
"""

import argparse
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
import yaml
from ase import Atoms
from ase.io import iread
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.utils.data.writers import MemmapWriter
from tight_binding import ENERGIES, TightBinding, tight_binding
from tqdm import tqdm
from xtb import xtb

from electrain.files.replacing import atomically
from electrain.interface.ase_systems import to_system
from electrain.interface.quantities import BAND_GAP

SOURCES: dict[str, Callable[[Atoms], TightBinding | None]] = {
    "mtt::tight_binding": tight_binding,
    "mtt::xtb": lambda atoms: None if atoms.pbc.any() else xtb(atoms),
}
NUM_VALUES = 3 * len(ENERGIES) + 2
FOR_SCALES = 2000  # structures
LEAST_SCALE = 0.05  # states/eV; channels that are nearly empty everywhere shall not count as much as others
LARGEST_GAP = 10.0  # eV, beyond those of all solids but noble gases
LARGEST = 10.0  # standard deviations; a few clusters have levels far from all others
EVERY = 50


def values(found: TightBinding | None, num_atoms: int) -> np.ndarray:
    """Return what is learned of every atom, shape ``(num_atoms, NUM_VALUES)``."""
    if found is None:
        return np.full((num_atoms, NUM_VALUES), np.nan)
    whole = np.tile([found.fermi_level, min(found.gap, LARGEST_GAP)], (num_atoms, 1))
    return np.concatenate([found.local.reshape(num_atoms, -1), whole], axis=1)


def labels(atoms: Atoms) -> dict[str, np.ndarray]:
    """Return the values of all targets of atoms."""
    return {name: values(source(atoms), len(atoms)) for name, source in SOURCES.items()}


def gap(found: dict[str, np.ndarray]) -> float:
    """Return the gap in eV of the last source that has one."""
    gaps = [array[0, -1] for array in found.values() if not np.isnan(array[0, -1])]
    return float(gaps[-1])


def to_map(array: np.ndarray) -> TensorMap:
    """Label values of atoms."""
    atoms = torch.arange(len(array))
    samples = Labels(["system", "atom"], torch.stack([torch.zeros_like(atoms), atoms], dim=1))
    block = TensorBlock(torch.from_numpy(array), samples, [], Labels.range("value", array.shape[1]))
    return TensorMap(Labels.single(), [block])


def of_structure(value: float) -> TensorMap:
    """Label a value of a structure."""
    values = torch.tensor([[value]], dtype=torch.float64)
    return TensorMap(Labels.single(), [TensorBlock(values, Labels.range("system", 1), [], Labels.range("value", 1))])


def write(frames: Iterable[Atoms], folder: Path) -> list[int]:
    """Write training and validation set, and return the elements that occur."""
    frames = iter(frames)
    first = list(itertools.islice(frames, FOR_SCALES))
    examples = [labels(atoms) for atoms in first]
    scales = {}
    for name in SOURCES:
        scales[name] = np.nanstd(np.concatenate([example[name] for example in examples]), axis=0).clip(LEAST_SCALE)
    elements: set[int] = set()
    writers = {part: MemmapWriter(folder / part) for part in ("train", "validation")}
    for index, atoms in enumerate(tqdm(itertools.chain(first, frames), unit="structures")):
        elements.update(int(number) for number in atoms.numbers)
        found = examples[index] if index < len(examples) else labels(atoms)
        scaled = {name: to_map((array / scales[name]).clip(-LARGEST, LARGEST)) for name, array in found.items()}
        scaled[BAND_GAP] = of_structure(gap(found))
        writers["validation" if index % EVERY == EVERY - 1 else "train"].write([to_system(atoms)], scaled)
    for writer in writers.values():
        writer.finish()
    return sorted(elements)


def write_options(like: Path, elements: list[int], output: Path) -> None:
    """Write the options of the training, with the network and the elements of other options."""
    options = yaml.safe_load((Path(__file__).parent / "options.yaml").read_text())
    model = yaml.safe_load(like.read_text())["architecture"]["model"]
    options["architecture"] |= {"model": model, "atomic_types": elements}
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
        elements = write(iread(args.structures, ":"), unfinished)
        write_options(args.options, elements, unfinished / "options.yaml")


if __name__ == "__main__":
    main()
