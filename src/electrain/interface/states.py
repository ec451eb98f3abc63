"""Charge and spin multiplicity of metatomic systems."""

import torch
from metatomic.torch import ModelOutput, System


def state_inputs() -> dict[str, ModelOutput]:
    """What engines must give beside the structure: metatomic's standard quantities."""
    return {
        "charge": ModelOutput(unit="e", sample_kind="system"),
        "spin_multiplicity": ModelOutput(unit="", sample_kind="system"),
    }


def read_states(systems: list[System]) -> torch.Tensor:
    """Charge in e and spin multiplicity of each structure, (num_systems, 2) int64; 0 and 1 where they are not given.

    :raises ValueError: for anything but one integer.
    """
    columns: list[torch.Tensor] = []
    for name, default in [("charge", 0.0), ("spin_multiplicity", 1.0)]:
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
        is_integer = column == column.round()  # false for NaN, too
        if not bool(is_integer.all()):
            worst = int(torch.argmin(is_integer.to(torch.int64)))
            raise ValueError(
                "expected an integer as " + name + " of structure " + str(worst) + ", got " + str(float(column[worst]))
            )
        columns.append(column.to(torch.int64))
    return torch.stack(columns, dim=1)
