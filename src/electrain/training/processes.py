"""Training in one process, or in one process per GPU."""

from typing import NamedTuple, Optional

import torch
from metatrain.utils.distributed.slurm import initialize_slurm_nccl_process_group, resolve_distributed


class Process(NamedTuple):
    """The place of this process in the training."""

    device: torch.device
    rank: int
    world_size: int
    is_distributed: bool


def start_process(distributed: Optional[bool], port: int, devices: list[torch.device]) -> Process:
    """Join the other processes of a distributed training, or take the first device.

    :param distributed: the user's choice; ``None`` to follow SLURM.
    :param port: port for the communication between processes.
    :param devices: devices chosen by metatrain.
    :raises ValueError: for several devices in one process.
    """
    if not resolve_distributed(distributed):
        return Process(devices[0], 0, 1, False)
    if len(devices) > 1:
        raise ValueError("distributed training uses one GPU per process; set `device: cuda`, not `multi-gpu`")
    device, world_size, rank = initialize_slurm_nccl_process_group(port)
    return Process(device, rank, world_size, True)
