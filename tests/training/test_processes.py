"""Training in several processes: the same result as in one, wherever it starts and however it ends."""

import logging
import pickle
import signal
from datetime import timedelta

import pytest
import torch
import train_together
from train_together import assert_close, state

from electrain.training import processes
from electrain.training.processes import ProcessesError, find_place, start_process

CPU = [torch.device("cpu")]
VARIABLES = (
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_JOB_NODELIST"),
)


@pytest.fixture
def environment(monkeypatch):
    """Set the given variables, and unset all others that say something about processes."""

    def change(**variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    change()
    return change


def torchrun(**changes):
    place = {"RANK": 1, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "MASTER_ADDR": "localhost", "MASTER_PORT": 29400}
    return {**place, **changes}


def slurm(**changes):
    job = {"SLURM_JOB_ID": 7, "SLURM_PROCID": 5, "SLURM_NTASKS": 8, "SLURM_LOCALID": 1}
    return {**job, "SLURM_JOB_NODELIST": "node[3-4]", **changes}


# --- which process this is -------------------------------------------------------------------------------------


def test_one_process(environment):
    assert start_process(None, 1, CPU) == start_process(False, 1, CPU) == (CPU[0], 0, 1)
    environment(**slurm(SLURM_NTASKS=1))  # a job for one task, with or without srun
    assert start_process(None, 1, CPU) == start_process(True, 1, CPU) == (CPU[0], 0, 1)
    environment(**torchrun(RANK=0, WORLD_SIZE=1))
    assert start_process(None, 1, CPU) == start_process(False, 1, CPU) == (CPU[0], 0, 1)
    environment(**slurm())  # several tasks, of which the batch script is none
    assert start_process(False, 1, CPU) == (CPU[0], 0, 1)


def test_place_among_others(environment):
    environment(**torchrun())
    assert find_place(None, 39591) == (1, 4, 1, "torchrun", "env://")
    environment(**slurm())
    assert find_place(None, 39591) == (5, 8, 1, "SLURM", "tcp://node3:39591")
    environment(**slurm(), **torchrun())  # torchrun in a SLURM job
    assert find_place(True, 39591) == (1, 4, 1, "torchrun", "env://")


def test_options_that_do_not_match_the_environment(environment):
    with pytest.raises(ValueError, match=r"`distributed: true` needs several processes: .*torchrun --nproc-per-node"):
        start_process(True, 1, CPU)
    environment(**torchrun())
    with pytest.raises(ValueError, match="torchrun has started 4 processes, which all would write the same files"):
        start_process(False, 1, CPU)
    several = slurm()
    del several["SLURM_LOCALID"], several["SLURM_JOB_NODELIST"]
    environment(**several)
    expected = r"has 8 tasks, but the variable\(s\) SLURM_LOCALID, SLURM_JOB_NODELIST are missing: .*srun mtt train"
    with pytest.raises(ValueError, match=expected):
        start_process(None, 1, CPU)
    environment(**torchrun())
    with pytest.raises(ValueError, match="several processes can train on CPUs or CUDA GPUs, got device 'mps'"):
        start_process(None, 1, [torch.device("mps")])


@pytest.mark.parametrize("rank", [0, 1])
def test_others_that_do_not_start(environment, monkeypatch, rank):
    """A hang becomes an error: here only one of two tasks was started."""
    monkeypatch.setattr(processes, "TIMEOUT", timedelta(seconds=1))
    environment(**slurm(SLURM_PROCID=rank, SLURM_NTASKS=2, SLURM_JOB_NODELIST="localhost"))
    level = logging.getLogger().level
    expected = "according to SLURM this training has 2 processes, but they have not found each other"
    try:
        with pytest.raises(ProcessesError, match=expected):
            start_process(None, free_port(), CPU)
    finally:
        logging.getLogger().setLevel(level)


def free_port():
    with train_together.socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# --- together --------------------------------------------------------------------------------------------------


def test_two_processes(environment, tmp_path):
    """All kinds of data and ends, one after the other, because processes take long to start."""
    (tmp_path / "first").mkdir()
    model, trainer = train_together.train("first", tmp_path / "first")
    trainer.save_checkpoint(model, tmp_path / "first.ckpt")
    names = ["by atoms", "other data", "stopped", "again", "lost"]
    said = train_together.wait(train_together.start(tmp_path, names))
    found = {
        (name, rank): pickle.loads((tmp_path / f"{name}.{rank}").read_bytes())
        for name in names
        for rank in (0, 1)
        if (name, rank) != ("lost", 1)
    }
    for name in ("by atoms", "again"):  # each starts with other random numbers in each process
        alone = tmp_path / name
        alone.mkdir()
        (alone / "first.ckpt").write_bytes((tmp_path / "first.ckpt").read_bytes())
        assert_close(found[name, 0], state(*train_together.train(name, alone)), name)
    # metatrain would go on and write the same files; in SLURM jobs it ends the others itself
    assert found["by atoms", 1] == "SystemExit: 0"
    assert_close(found["again", 1], found["again", 0], "again")
    for rank in (0, 1):
        assert "the processes have different training or validation sets" in found["other data", rank]
        assert found["stopped", rank] == f"SystemExit: {128 + signal.SIGTERM}"
    assert "another process of this training has ended, or did not answer for 10 minutes" in found["lost", 0]
    for name, file in (("stopped", "model_0.ckpt"), ("lost", "model_before_failure.ckpt")):
        path = tmp_path / f"{name} of 0" / file
        assert f"saved {path} after 1 of 50 epochs" in said[0]
        saved = torch.load(path, weights_only=False)["model_state_dict"]
        finished = torch.load(tmp_path / f"{name} of 0" / "model_0.ckpt", weights_only=False)["model_state_dict"]
        assert all(torch.equal(saved[key], finished[key]) for key in finished)
    # the other process writes nothing, and leaves no folder if it had a folder of its own
    assert said[1] == ""
    assert not (tmp_path / "by atoms of 1").exists()
    assert [path.name for path in (tmp_path / "lost of 1").iterdir()] == ["train.log"]
