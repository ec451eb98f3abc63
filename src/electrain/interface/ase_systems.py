"""ASE structures -> metatomic systems."""

from collections.abc import Collection

import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System, systems_to_torch
from numpy.typing import NDArray

from .states import K_POINTS


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
    if not (number.is_integer() and abs(number) < 1e9):  # more does not fit into the model's integers
        raise ValueError(f"expected an integer as {name} in atoms.info, got {value}")
    return int(number)


def unread_inputs(atoms: Atoms, names: Collection[str]) -> list[str]:
    """Find charges and spin multiplicities in ``atoms.info`` that a model does not read.

    :param names: inputs that the model reads, as for :func:`read_input`.
    :return: keys with their values, such as ``"charge=2"``, without those that mean a neutral structure in its lowest
        spin state.
    """
    found = []
    for name, (read, others) in _KEYS.items():
        is_read = name in names and any(key in atoms.info for key in read)
        keys = () if is_read else (*(() if name in names else read), *others)
        found += [f"{key}={atoms.info[key]}" for key in keys if key in atoms.info and not _is_default(atoms, name, key)]
    return found


# Inputs, with the keys of `atoms.info` that are read and those that others use for the same
_KEYS = {
    "charge": (("charge",), ("total_charge",)),
    "spin_multiplicity": (("spin_multiplicity", "spin"), ("multiplicity",)),
}


def _is_default(atoms: Atoms, name: str, key: str) -> bool:
    value = atoms.info[key]
    if value is None:
        return True
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    if name == "charge":
        return number == 0
    lowest = 2 if atoms.numbers.sum() % 2 else 1  # of a neutral structure
    return number in (1, lowest) or (key == "spin" and number == 0)  # some count unpaired electrons


def add_inputs(system: System, atoms: Atoms, names: Collection[str]) -> None:
    """Add the values of :func:`read_input` to a system, for models that request them."""
    for name in names:
        add_number(system, name, read_input(atoms, name))


def add_number(system: System, name: str, number: int) -> None:
    """Add a number of the whole structure to a system."""
    _add_row(system, name, system.positions.new_full((1,), number))


def add_k_points(system: System, k_points: NDArray[np.float64]) -> None:
    """Add fractional coordinates of k-points, shape ``(num_k, 3)``, to a system."""
    values = torch.from_numpy(k_points).to(dtype=system.positions.dtype, device=system.positions.device)
    _add_row(system, K_POINTS, values.reshape(-1))


def _add_row(system: System, name: str, row: torch.Tensor) -> None:
    samples = Labels(["system"], torch.tensor([[0]], dtype=torch.int32, device=row.device))
    properties = Labels.range(name.rpartition("::")[2], len(row)).to(row.device)
    block = TensorBlock(row.unsqueeze(0), samples, [], properties)
    system.add_data(name, TensorMap(Labels.single().to(row.device), [block]))
