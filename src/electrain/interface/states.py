"""Charge, spin multiplicity and crystal system of metatomic systems."""

import torch
from metatomic.torch import ModelOutput, System

CRYSTAL_SYSTEM = "mtt::crystal_system"


def state_inputs() -> dict[str, ModelOutput]:
    """Return the inputs that engines must provide in addition to the structure, as metatomic's standard quantities."""
    return {
        "charge": ModelOutput(unit="e", sample_kind="system"),
        "spin_multiplicity": ModelOutput(unit="", sample_kind="system"),
    }


def read_states(systems: list[System]) -> torch.Tensor:
    """Read charge in e and spin multiplicity of each structure, (num_systems, 2) int64; default: 0 and 1.

    :raises ValueError: for anything but a single integer.
    """
    columns = [_read_integers(systems, "charge", 0.0), _read_integers(systems, "spin_multiplicity", 1.0)]
    return torch.stack(columns, dim=1)


# TorchScript: functions cannot read module-level names
def read_crystal_systems(systems: list[System], name: str = CRYSTAL_SYSTEM) -> torch.Tensor:
    """Read the number of the crystal system of each structure, (num_systems,) int64; default: 0, which means unknown.

    :raises ValueError: for anything but a single integer.
    """
    return _read_integers(systems, name, 0.0)


def _read_integers(systems: list[System], name: str, default: float) -> torch.Tensor:
    numbers: list[torch.Tensor] = []
    for i, system in enumerate(systems):
        number = torch.full([1], default, dtype=system.positions.dtype, device=system.positions.device)
        if name in system.known_data():
            number = system.get_data(name).block().values.reshape(-1)
            if len(number) != 1:
                raise ValueError(
                    "expected one number as " + name + " of structure " + str(i) + ", got " + str(len(number))
                )
        numbers.append(number)
    column = torch.cat(numbers)
    is_integer = column == column.round()  # also false for NaN
    if not bool(is_integer.all()):
        worst = int(torch.argmin(is_integer.to(torch.int64)))
        raise ValueError(
            "expected an integer as " + name + " of structure " + str(worst) + ", got " + str(float(column[worst]))
        )
    return column.to(torch.int64)
