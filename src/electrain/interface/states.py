"""What networks read of metatomic systems beside the structure: charge, spin, crystal system and k-points."""

from typing import NamedTuple, Optional

import torch
from metatomic.torch import ModelOutput, System

from .quantities import BANDS

CRYSTAL_SYSTEM = "mtt::crystal_system"
K_POINTS = "mtt::k_points"
# Nobody gives fractional coordinates further from the origin than this, also with a reciprocal vector added; in
# 1/Angstrom, some are.
MAX_FRACTIONAL = 4.0


class Inputs(NamedTuple):
    """What the networks that need it read beside the structures, see :class:`~electrain.nn.batch.Batch`."""

    states: Optional[torch.Tensor] = None
    crystal_systems: Optional[torch.Tensor] = None
    k_points: Optional[torch.Tensor] = None


def read_inputs(systems: list[System], states: bool, crystal_systems: bool, k_points: bool) -> Inputs:
    """Read those inputs that a network reads."""
    return Inputs(
        read_states(systems) if states else None,
        read_crystal_systems(systems) if crystal_systems else None,
        read_k_points(systems) if k_points else None,
    )


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


def read_k_points(
    systems: list[System], name: str = K_POINTS, largest: float = MAX_FRACTIONAL
) -> Optional[torch.Tensor]:
    """Read the k-points of each structure, fractional coordinates in the reciprocal lattice of its own cell.

    The values of a structure are ``value[3 * k + axis]``.

    :return: (num_systems, num_k, 3), NaN for structures that have none; ``None`` if no structure has any.
    :raises ValueError: for values that are not three for each k-point, not finite, or far from zero, and for different
        numbers of k-points.
    """
    found: list[torch.Tensor] = []
    owners: list[int] = []
    for i, system in enumerate(systems):
        if name in system.known_data():
            values = system.get_data(name).block().values.reshape(-1)
            if len(values) == 0 or len(values) % 3 != 0:
                raise ValueError(
                    "expected three coordinates for each k-point as "
                    + name
                    + " of structure "
                    + str(i)
                    + ", got "
                    + str(len(values))
                    + " values"
                )
            if len(found) > 0 and len(values) != 3 * len(found[0]):
                raise ValueError(
                    "expected equally many k-points ("
                    + name
                    + ") for all structures of a batch, got "
                    + str(len(found[0]))
                    + " for structure "
                    + str(owners[0])
                    + " and "
                    + str(len(values) // 3)
                    + " for structure "
                    + str(i)
                )
            found.append(values.reshape(-1, 3))
            owners.append(i)
    if len(found) == 0:
        return None
    of_owners = torch.stack(found)
    fractional = (of_owners.abs() <= largest).reshape(len(found), -1).all(dim=1)  # also false for NaN
    if not bool(fractional.all()):
        worst = int(torch.argmin(fractional.to(torch.int64)))
        size = of_owners[worst].abs().max()
        came = "NaN or infinity for structure " + str(owners[worst])
        if bool(torch.isfinite(size)):
            came = str(float(size)) + " for structure " + str(owners[worst]) + "; those in 1/Angstrom must be converted"
        raise ValueError(
            "expected fractional coordinates of k-points in the reciprocal lattice of the cell as "
            + name
            + ", within +-"
            + str(largest)
            + ", got "
            + came
        )
    shape = [len(systems), of_owners.shape[1], 3]
    k_points = torch.full(shape, float("nan"), dtype=of_owners.dtype, device=of_owners.device)
    return k_points.index_copy(0, torch.tensor(owners, device=of_owners.device), of_owners)


def check_k_points(
    k_points: Optional[torch.Tensor], wanted: dict[str, str], training: bool, bands: str = BANDS, name: str = K_POINTS
) -> None:
    """Check that structures have k-points if their bands are wanted; those that train other targets need none.

    :param k_points: result of :func:`read_k_points`.
    :param wanted: the targets that are predicted.
    :param training: whether they are predicted for training.
    :raises ValueError: naming the first structure without k-points.
    """
    if training:
        return
    for target in wanted:
        if target.split("/")[0] == bands:
            missing = 0
            if k_points is not None:
                without = torch.isnan(k_points[:, 0, 0])
                missing = int(torch.argmax(without.to(torch.int64))) if bool(without.any()) else -1
            if missing >= 0:
                raise ValueError(
                    target
                    + " needs k-points, but structure "
                    + str(missing)
                    + " has none: add the fractional coordinates of its path to the system as "
                    + name
                )


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
