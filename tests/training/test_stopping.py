"""Signals: a training stops at a safe point, and goes on from there as if nothing had happened."""

import logging
import os
import signal
import threading

import pytest
import torch
from short_trainings import FRAMES, equal_states, load, new_trainer, train
from tiny_models import make_dataset, make_model

from electrain.interface.quantities import DENSITY_OF_STATES
from electrain.training import trainer as trainer_module
from electrain.training.epoch import OptimizerStep
from electrain.training.stopping import SIGNALS, StopTraining, noticing_signals

DOS = DENSITY_OF_STATES


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


def before_step(monkeypatch, number, action):
    """Do something before an optimizer step, counted from 0; an epoch has three."""
    original, steps = OptimizerStep.__call__, iter(range(1000))

    def step(self, loss):
        if next(steps) == number:
            action()
        original(self, loss)

    monkeypatch.setattr(OptimizerStep, "__call__", step)


def interrupted(monkeypatch, folder, step, action, **options):
    """A training of five epochs that is interrupted."""
    before_step(monkeypatch, step, action)
    trainer = new_trainer(num_epochs=5, **options)
    try:
        train(trainer, make_model((DOS,), torch.float32), make_dataset((DOS,), FRAMES), folder)
    finally:
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("number", "step", "finished"),
    [(signal.SIGINT, 7, 1), (signal.SIGTERM, 8, 1), (signal.SIGUSR1, 3, 0), (signal.SIGTERM, 14, 3)],
)
def test_a_stopped_training_goes_on(monkeypatch, tmp_path, caplog, number, step, finished):
    """In the middle of an epoch, and in its last step."""
    caplog.set_level(logging.INFO)
    before = handlers()
    with pytest.raises(SystemExit) as stopped:
        interrupted(monkeypatch, tmp_path, step, lambda: os.kill(os.getpid(), number))
    assert stopped.value.code == 128 + number
    assert handlers() == before
    path = tmp_path / f"model_{finished}.ckpt"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    expected = (
        f"Stopped by {number.name}; saved {path} after {finished + 1} of 5 epochs. To go on from there: mtt train"
    )
    assert any(record.message.startswith(expected) for record in caplog.records)
    whole, through = make_model((DOS,), torch.float32), new_trainer(num_epochs=5)
    train(through, whole, make_dataset((DOS,), FRAMES), tmp_path)
    model, again = load(path, num_epochs=5)
    train(again, model, make_dataset((DOS,), FRAMES), tmp_path)
    for name in ("optimizer_state_dict", "scheduler_state_dict", "best_metric", "best_epoch", "best_model_state_dict"):
        assert equal_states(getattr(again, name), getattr(through, name)), name
    assert equal_states(dict(model.state_dict()), dict(whole.state_dict()))


def test_loading_processes_leave_stopping_to_the_training(monkeypatch, tmp_path):
    """They get the same signals: of Ctrl-C they take no notice, and SIGTERM ends them."""
    import torch.utils.data

    loaders = []
    original = torch.utils.data.DataLoader.__iter__
    monkeypatch.setattr(
        torch.utils.data.DataLoader, "__iter__", lambda self: loaders.append(original(self)) or loaders[-1]
    )

    def stop_all():
        for worker in loaders[-1]._workers:
            os.kill(worker.pid, signal.SIGTERM)
            worker.join()
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as stopped:
        interrupted(monkeypatch, tmp_path, 3, stop_all, num_workers=2)
    assert stopped.value.code == 143
    assert [file.name for file in tmp_path.iterdir()] == ["model_0.ckpt"]


def test_nothing_to_save(monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(SystemExit) as stopped:
        interrupted(monkeypatch, tmp_path, 1, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert stopped.value.code == 130
    assert list(tmp_path.iterdir()) == []
    assert "Stopped by SIGINT before the end of the first epoch of this run; there is nothing to save" in caplog.text


def test_after_the_last_epoch(monkeypatch, tmp_path):
    """What comes too late to stop anything is no reason to write a model that nobody waits for."""
    original = trainer_module.EpochLog.count_epoch
    monkeypatch.setattr(
        trainer_module.EpochLog,
        "count_epoch",
        lambda self: (original(self), self._done == 2 and os.kill(os.getpid(), signal.SIGTERM)),
    )
    with pytest.raises(SystemExit) as stopped:
        train(new_trainer(num_epochs=2), make_model((DOS,), torch.float32), make_dataset((DOS,), FRAMES), tmp_path)
    assert stopped.value.code == 143
    assert [file.name for file in tmp_path.iterdir()] == ["model_1.ckpt"]


def test_an_error_costs_one_epoch(monkeypatch, tmp_path):
    """Whatever it was."""

    def fail():
        raise MemoryError("no memory left")

    with pytest.raises(MemoryError):
        interrupted(monkeypatch, tmp_path, 4, fail)
    checkpoint = torch.load(tmp_path / "model_before_failure.ckpt", weights_only=False)
    assert checkpoint["epoch"] == 0


def test_a_second_ctrl_c_stops_at_once(capfd):
    with pytest.raises(KeyboardInterrupt), noticing_signals(announced=True) as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signal == signal.SIGINT
        os.kill(os.getpid(), signal.SIGTERM)  # batch systems send it again and again
        assert (request.name, request.exit_code) == ("SIGINT", 130)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("it went on")
    assert "Stopping at the next safe point; press Ctrl-C (again) to stop at once." in capfd.readouterr().err


def test_signals_are_for_the_main_thread():
    """Elsewhere Python allows no handlers."""
    before, found = handlers(), []

    def work():
        with noticing_signals(announced=True) as request:
            found.append((handlers() == before, request.signal))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(True, None)]


def test_the_exit_code_of_the_others():
    """A process that was not asked itself ends like one that was."""
    with noticing_signals(announced=False) as request:
        assert StopTraining(request.exit_code).exit_code == 143
