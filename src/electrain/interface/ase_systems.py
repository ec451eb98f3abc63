"""ASE structures -> metatomic systems."""

from collections.abc import Collection

import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System, systems_to_torch


def to_system(atoms: Atoms, dtype: torch.dtype = torch.float64) -> System:
    """Convert a structure for metatomic, lengths in A; cell vectors in non-periodic directions are dropped."""
    cell = atoms.cell[:] * atoms.pbc[:, None]
    plain = Atoms(atoms.numbers, positions=atoms.positions, cell=cell, pbc=atoms.pbc)
    return systems_to_torch(plain, dtype=dtype)


def read_input(atoms: Atoms, name: str) -> int:
    """Read an additional input of a model from ``atoms.info``, under the names used by ``metatomic_ase``.

    :param name: metatomic's name: ``charge`` (in e, default: 0) or ``spin_multiplicity`` (2S + 1, default: 1; also
        called ``spin`` in ``atoms.info``).
    :raises ValueError: for another name, or for a value that is not an integer.
    """
    if name == "charge":
        value = atoms.info.get("charge", 0)
    elif name == "spin_multiplicity":
        value = atoms.info.get("spin_multiplicity", atoms.info.get("spin", 1))
    else:
        raise ValueError(
            f"expected a model with the inputs charge and spin_multiplicity only, got one that requests {name!r}"
        )
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not number.is_integer():
        raise ValueError(f"expected an integer as {name} in atoms.info, got {value}")
    return int(number)


def add_inputs(system: System, atoms: Atoms, names: Collection[str]) -> None:
    """Add the values of :func:`read_input` to a system, for models that request them."""
    for name in names:
        values = system.positions.new_full((1, 1), read_input(atoms, name))
        samples = Labels(["system"], torch.tensor([[0]], dtype=torch.int32))
        block = TensorBlock(values, samples, [], Labels.range(name, 1))
        system.add_data(name, TensorMap(Labels.single(), [block]))
