"""A training that can run in several processes.

As a script: one of the processes. Its arguments are a folder and the names of what to train there, one after the other;
torchrun's variables say which process it is.
"""

import copy
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from pathlib import Path

import metatrain
import pytest
import torch
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import Dataset, DatasetInfo
from metatrain.utils.io import model_from_checkpoint, trainer_from_checkpoint
from mixed_targets import frames, hypers, infos, mixed_dataset, some_missing
from tiny_models import GRID_HYPERS, SMALL, make_dataset, training_structures

from electrain.interface.quantities import DENSITY_OF_STATES

PLUGINS = str(Path(__file__).parents[1] / "architectures" / "plugins")
if PLUGINS not in metatrain.__path__:
    metatrain.__path__.append(PLUGINS)


def datasets() -> list[Dataset]:
    """Structures that lack some targets, all of them in some batches, and others that only have a spectrum."""
    structures = frames()[3:]
    return [mixed_dataset(some_missing(structures), structures), make_dataset((DENSITY_OF_STATES,), FEW)]


FEW = training_structures(5)
# options of each training, beside those of `mixed_targets.hypers`; batches of 3 leave something over
TRAININGS = {
    "first": {},
    "by atoms": {"max_atoms_per_batch": 8},
    "again": {"num_epochs": 2},
    "stopped": {"num_epochs": 50},
    "lost": {"num_epochs": 50},
    "other data": {},
}


def train(name: str, folder: Path, rows: dict | None = None, seed: int = 1):
    """Train as `mtt train` does; returns model and trainer.

    ``rows`` has small hyperparameters of architectures, which can be trained under their own names, too.
    """
    rows = {"pet_mad": SMALL} if rows is None else rows
    chosen = name if name in rows else "pet_mad"
    architecture_name = chosen.partition(",")[0]
    architecture = import_architecture(architecture_name)
    defaults = copy.deepcopy(get_default_hypers(architecture_name))
    options = defaults["training"]
    options |= {key: hypers()[key] for key in ("num_workers", "learning_rate", "warmup_epochs", "loss")}
    options["distributed_port"] = int(os.environ.get("MASTER_PORT", "39591"))  # for SLURM
    options |= {"batch_size": 3, "num_epochs": 1, "checkpoint_interval": 1, **TRAININGS.get(name, {})}
    torch.manual_seed(seed)
    if name == "again":
        checkpoint = torch.load(folder / "first.ckpt", weights_only=False)
        model = model_from_checkpoint(copy.deepcopy(checkpoint), "restart")
        model = model.restart(DatasetInfo("angstrom", model.atomic_types, infos()), {})
        trainer = trainer_from_checkpoint(checkpoint, "restart", options)
    else:
        targets = infos()
        predicted = {"all": 2, "vectors": 1, "none": 0}[architecture.__model__.tensors]  # largest rank
        if predicted < 2:
            ranks = {name: len(target.layout.block(0).components) for name, target in targets.items()}
            targets = {name: target for name, target in targets.items() if ranks[name] <= predicted}
            options["loss"] = {name: loss for name, loss in options["loss"].items() if name in targets}
        info = DatasetInfo("angstrom", [1, 6, 7, 8, 14], targets)
        model = architecture.__model__({**defaults["model"], "energy_grid": GRID_HYPERS, **rows[chosen]}, info)
        model.to(torch.float64)
        trainer = architecture.__trainer__(options)
    data = datasets()
    if name == "other data" and os.environ["RANK"] == "1":
        data[1] = make_dataset((DENSITY_OF_STATES,), FEW[:4])
    trainer.train(model, torch.float64, [torch.device("cpu")], data, data, str(folder))
    return model, trainer


def state(model, trainer):
    """Everything that must not depend on the number of processes."""
    return {
        "parameters": {name: p.detach().clone() for name, p in model.named_parameters()},
        "baselines": {n: b.block().values for n, b in model.additive_models[0].model.weights.items()},
        "scales": {n: b.block().values for n, b in model.scaler.model.scales.items()},
        "optimizer": copy.deepcopy(trainer.optimizer_state_dict["state"]),
        "steps": trainer.scheduler_state_dict["last_epoch"],
        "best": (trainer.best_epoch, trainer.best_metric),
    }


def assert_close(found, expected, where=""):
    """Nested numbers are equal to 1e-9 of their size."""
    assert type(found) is type(expected), where
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in expected:
            assert_close(found[key], expected[key], f"{where} {key}")
    elif isinstance(expected, torch.Tensor):
        size = float(expected.abs().max()) if expected.numel() else 0.0
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9 * max(size, 1.0), msg=lambda m: f"{where}: {m}")
    else:
        assert found == pytest.approx(expected, rel=1e-9), where


def start(folder: Path, names: list[str], rows: dict | None = None) -> list[subprocess.Popen]:
    """Start two processes; arguments as in :func:`train`."""
    num_processes = 2
    (folder / "rows.json").write_text(json.dumps(rows))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(num_processes):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num_processes, "MASTER_PORT": port}
        environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        environment |= {name: str(value) for name, value in place.items()}
        command = [sys.executable, "-W", "ignore", __file__, str(folder), *names]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    return processes


def wait(processes: list[subprocess.Popen]) -> list[str]:
    """Wait for all processes, and return what they said."""
    try:
        return [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()


def interrupt_after_some_steps(name: str, rank: str) -> None:
    """The second process gets a signal, or is gone, in its 6th step, which is not the last one of an epoch."""
    from electrain.training.epoch import OptimizerStep

    original, steps = OptimizerStep.__call__, 0

    def step(self, loss):
        nonlocal steps
        steps += 1
        if steps == 6 and rank == "1":
            if name == "lost":
                os._exit(1)
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, loss)

    OptimizerStep.__call__ = step


def main() -> None:
    """Train everything, and write the result or how it ended."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    folder, rank = Path(sys.argv[1]), os.environ["RANK"]
    rows = json.loads((folder / "rows.json").read_text())
    for number, name in enumerate(sys.argv[2:]):
        if name in ("stopped", "lost"):
            interrupt_after_some_steps(name, rank)
        os.environ["MASTER_PORT"] = str(int(os.environ["MASTER_PORT"]) + (number > 0))
        if name == "again":  # this one and those after it are in a SLURM job
            for torchruns in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"):
                del os.environ[torchruns]
            os.environ |= {"SLURM_JOB_ID": "1", "SLURM_PROCID": rank, "SLURM_LOCALID": rank, "SLURM_NTASKS": "2"}
            os.environ["SLURM_JOB_NODELIST"] = "localhost"
        own = folder / f"{name} of {rank}"
        own.mkdir()
        (own / "train.log").touch()
        if name == "again":
            (own / "first.ckpt").write_bytes((folder / "first.ckpt").read_bytes())
        try:
            # every process would choose another seed
            found = state(*train(name, own, rows, seed=1 + int(rank)))
        except (SystemExit, Exception) as error:
            found = f"{type(error).__name__}: {error}"
            if torch.distributed.is_initialized():  # not after regular ends
                torch.distributed.destroy_process_group()
        (folder / f"{name}.{rank}").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
