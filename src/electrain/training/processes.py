"""Training in one process, or in several that share every batch.

torchrun and SLURM tell each process its place by environment variables. On CPUs the processes communicate with gloo, on
GPUs with NCCL.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Optional

import hostlist  # type: ignore[import-untyped]
import torch
from metatrain.utils.distributed.logging import is_main_process
from metatrain.utils.distributed.slurm import is_slurm
from torch import distributed

# for all processes to start, and for a process to answer
TIMEOUT = timedelta(minutes=10)
_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_JOB_NODELIST")
_HOW_TO_START = (
    "start one process per GPU with `torchrun --nproc-per-node N -m metatrain train options.yaml`, or in a SLURM job "
    "with `srun mtt train options.yaml`"
)
# what metatrain has in the folder of a run before the training starts
_FILES_OF_METATRAIN = {"train.log", "train.csv", "options_restart.yaml", "indices"}


class ProcessesError(RuntimeError):
    """Another process did not start, has ended, or does not answer."""


class Process(NamedTuple):
    """The place of this process in the training."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_distributed(self) -> bool:
        """Whether there are other processes."""
        return self.world_size > 1

    def add_up(self, values: torch.Tensor) -> torch.Tensor:
        """Replace values by their sums over all processes, and return them."""
        if self.is_distributed:
            distributed.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """Return the objects of all processes, in their order."""
        if not self.is_distributed:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value)
        return values

    def share_state(self, module: torch.nn.Module) -> None:
        """Give all processes the parameters and buffers of the first one."""
        if self.is_distributed:
            for values in module.state_dict().values():
                distributed.broadcast(values, 0)


class Place(NamedTuple):
    """What the environment says about this process."""

    rank: int
    world_size: int
    local_rank: int
    launcher: str
    address: str  # where all processes meet, as torch wants it


def start_process(chosen: Optional[bool], port: int, devices: list[torch.device]) -> Process:
    """Join the other processes of a training, or take the first device.

    :param chosen: the option ``distributed``; ``None`` to follow the environment.
    :param port: port for the communication between the processes of a SLURM job.
    :param devices: devices chosen by metatrain.
    :raises ValueError: for options that do not match the environment, or several devices in one process.
    :raises ProcessesError: if not all processes start.
    """
    place = find_place(chosen, port)
    if place.world_size == 1:
        return Process(devices[0])
    if len(devices) > 1:
        raise ValueError("distributed training uses one GPU per process; set `device: cuda`, not `multi-gpu`")
    device = devices[0]
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"several processes can train on CPUs or CUDA GPUs, got device {device.type!r}")
    if device.type == "cuda":
        # a process sees all GPUs of its computer, or its own one
        device = torch.device("cuda", place.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if place.rank > 0:
        logging.getLogger().setLevel(logging.ERROR)  # as metatrain does in SLURM jobs
    logging.info(f"Waiting for all {place.world_size} processes that {place.launcher} starts")
    try:
        distributed.init_process_group(
            "gloo" if device.type == "cpu" else "nccl",
            init_method=place.address,
            rank=place.rank,
            world_size=place.world_size,
            timeout=TIMEOUT,
        )
    except RuntimeError as error:
        raise ProcessesError(
            f"according to {place.launcher} this training has {place.world_size} processes, but they have not found "
            f"each other within {_minutes()}: {_HOW_TO_START} (or set `distributed: false` to train in one process); "
            f"if another SLURM job uses port {port} on this computer, set another `distributed_port`. "
            f"{_first_line(error)}"
        ) from error
    return Process(device, place.rank, place.world_size)


def find_place(chosen: Optional[bool], port: int) -> Place:
    """Return what the environment says about this process; arguments and errors as in :func:`start_process`."""
    if all(name in os.environ for name in _TORCHRUN):
        rank, world_size, local_rank = (int(os.environ[name]) for name in _TORCHRUN[:3])
        if chosen is False and world_size > 1:
            raise ValueError(
                f"`distributed: false`, but torchrun has started {world_size} processes, which all would write "
                "the same files; remove the option, or start `mtt train` without torchrun"
            )
        return Place(rank, world_size, local_rank, "torchrun", "env://")
    world_size = int(os.environ.get("SLURM_NTASKS", "1")) if is_slurm() else 1
    if chosen is False or (chosen is None and world_size == 1):
        return Place(0, 1, 0, "", "")
    if not is_slurm():
        raise ValueError(f"`distributed: true` needs several processes: {_HOW_TO_START}; or remove the option")
    missing = [name for name in _SLURM if name not in os.environ]
    if missing:
        raise ValueError(
            f"this SLURM job has {world_size} tasks, but the variable(s) {', '.join(missing)} are missing: "
            f"{_HOW_TO_START}, or set `distributed: false` to train in one process"
        )
    host = hostlist.expand_hostlist(os.environ["SLURM_JOB_NODELIST"])[0]
    rank, local_rank = (int(os.environ[name]) for name in ("SLURM_PROCID", "SLURM_LOCALID"))
    return Place(rank, world_size, local_rank, "SLURM", f"tcp://{host}:{port}")


@contextmanager
def lost_processes_named(process: Process) -> Iterator[None]:
    """Say what an error in the communication between processes means."""
    try:
        yield
    except RuntimeError as error:
        of_communication = isinstance(error, distributed.DistError) or "gloo" in str(error).lower()
        if not (process.is_distributed and of_communication):
            raise
        raise ProcessesError(
            f"another process of this training has ended, or did not answer for {_minutes()}; if it could, it says "
            f"above why. {_first_line(error)}"
        ) from error


def leave(process: Process, folder: str) -> bool:
    """Take leave of the other processes at the end of a training.

    metatrain does not know torchrun: it has made a folder for each process, and would write the same model in each.

    :param folder: the folder that metatrain made for this process; removed if nothing is in it but what was known
        before the training.
    :return: whether only the first process is to go on, and this is another one.
    """
    if not process.is_distributed:
        return False
    first = process.gather(str(Path(folder).resolve()))[0]
    distributed.destroy_process_group()
    if process.rank == 0 or not is_main_process():
        return False
    own = Path(folder).resolve()
    if str(own) != first and {path.name for path in own.glob("*")} <= _FILES_OF_METATRAIN:
        shutil.rmtree(own, ignore_errors=True)
    return True


def _minutes() -> str:
    return f"{TIMEOUT.total_seconds() / 60:g} minutes"


def _first_line(error: Exception) -> str:
    return f"({str(error).strip().partition(chr(10))[0]})"
