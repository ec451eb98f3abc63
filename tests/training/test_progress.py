"""What a training says in the terminal, and what in its log."""

import io
import logging
import warnings

import pytest
import torch
from metatrain.utils.data import DatasetInfo
from metatrain.utils.logging import ROOT_LOGGER, CSVFileHandler
from short_trainings import FRAMES, new_trainer, train
from targets import energy
from tiny_models import ALL_TARGETS, make_dataset, make_model, scalar_info, target_infos

from electrain.training.progress import EpochLog, digits, duration, epoch_line, target_errors

VALIDATION = {
    "loss": 1.3149,
    "mtt::dos aligned RMSE [eV^-1/2 per electron]": 0.4526,
    "mtt::dos aligned RMSE [states eV^-1/2 per atom]": 2.2,
    "energy RMSE (per atom)": 0.2,
    "mtt::bandgap RMSE": 0.3,
    "energy MAE (per atom)": 0.0123,
    "energy_positions_gradients MAE": 0.085,
    "energy_strain_gradients MAE (per atom)": 0.5,
    "energy/pbe MAE (per atom)": 1.5,
    "mtt::bandgap MAE": 0.21,
    "mtt::efermi MAE": 0.1234,
    "mtt::charges MAE (per atom)": 12345.6,
}


def info():
    infos = target_infos(ALL_TARGETS)
    infos["energy"], infos["energy/pbe"] = energy("energy"), energy("energy/pbe", gradients=False)
    return DatasetInfo("angstrom", [1, 6], {**infos, "mtt::charges": scalar_info("mtt::charges", 3, "e")})


def test_errors_with_units():
    found = [(error.name, digits(error.value), error.unit) for error in target_errors(VALIDATION, info())]
    assert found == [
        ("DOS", "0.453", "eV^-1/2"),
        ("energy", "12.3", "meV/atom"),
        ("forces", "85.0", "meV/A"),
        ("virial", "500", "meV/atom"),
        ("energy/pbe", "1500", "meV/atom"),
        ("gap", "0.210", "eV"),
        ("E_F", "0.123", "eV"),
        ("charges", "12346", "e/atom"),
    ]


def test_line():
    names = ("loss", "mtt::dos aligned RMSE [eV^-1/2 per electron]", "mtt::bandgap MAE")
    few = {name: VALIDATION[name] for name in names}
    line = epoch_line(11, 300, [{"loss": 1.2345}, few], 3e-4, 9, "0.8 s  left 4 min", info())
    assert line == (
        "epoch  12/300  train  1.23  valid  1.31 (best  10)  DOS 0.453 eV^-1/2  gap 0.210 eV  lr 3.0e-4  0.8 s  "
        "left 4 min"
    )
    first = epoch_line(0, 300, [{"loss": 123.0}, {**few, "loss": 99.0}], 0.0, 0, "0.8 s  left 4 min", info())
    assert [first.index(word) for word in ("valid", "DOS", "gap")] == [line.index(w) for w in ("valid", "DOS", "gap")]


@pytest.mark.parametrize("num_epochs", [9, 100000])
def test_a_line_is_never_long(num_epochs):
    """What does not fit is in the log; a shorter error may."""
    line = epoch_line(3, num_epochs, [{"loss": 1e7}, VALIDATION], 3e-4, 2, "1 h 20 min  left 12 d 4 h", info())
    assert 80 < len(line) <= 120
    assert line.endswith("lr 3.0e-4  1 h 20 min  left 12 d 4 h")


def test_numbers():
    assert [digits(value) for value in (0.0, 0.001234, 9.999, 99.99, 999.9, 1000.4, 1e7)] == [
        *("0.00", "0.00123", "10.0", "100", "1.00e+03", "1000", "1.00e+07")
    ]
    assert digits(float("nan")) == "nan" and digits(float("inf")) == "inf"
    times = (0.04, 9.94, 59.0, 99.9, 101.0, 3599.0, 3600.0, 12000.0, 86399.0, 90000.0)
    expected = ["0.0 s", "9.9 s", "59 s", "100 s", "2 min", "1 h", "1 h", "3 h 20 min", "1 d", "1 d 1 h"]
    assert [duration(seconds) for seconds in times] == expected


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    """What metatrain sets up for the terminal, the log and the table; returns what is said in the terminal."""
    found = [
        logging.StreamHandler(io.StringIO()),
        logging.FileHandler(tmp_path / "train.log"),
        CSVFileHandler(filename=str(tmp_path / "train.csv")),
    ]
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(found))
    level = root.level
    root.setLevel(logging.INFO)
    monkeypatch.setattr(ROOT_LOGGER, "handlers", list(found))
    yield found[0].stream
    root.setLevel(level)
    for handler in found:
        handler.close()


def test_terminal_and_log(tmp_path, terminal):
    """Short lines in the terminal, long ones in the file, numbers in the table; nothing twice."""
    trainer = new_trainer(num_epochs=3)
    train(trainer, make_model(ALL_TARGETS, torch.float32), make_dataset(ALL_TARGETS, FRAMES), tmp_path)
    said, log, table = (
        terminal.getvalue().splitlines(),
        *((tmp_path / name).read_text().splitlines() for name in ("train.log", "train.csv")),
    )
    assert [line[:11] for line in said if " train " in line] == ["epoch 1/3  ", "epoch 2/3  ", "epoch 3/3  "]
    assert sum("Epoch:" in line for line in said) == 0 and "Starting training" in said
    assert sum("Epoch:" in line for line in log) == 3 and not any(line.startswith("epoch") for line in log)
    assert len(table) == 2 + 3
    assert "left 0.0 s" in said[-1]


def test_time_left(monkeypatch, terminal):
    """From the mean of the epochs of this run."""
    clock = iter([0.0, 10.0, 40.0])
    monkeypatch.setattr("electrain.training.progress.time.monotonic", lambda: next(clock))
    log = EpochLog(info(), 100, rank=0)
    errors = [{"loss": 1.0}, {"loss": 2.0}]
    for epoch in (89, 90):  # after a restart
        log.count_epoch()
        log.write(epoch, errors, 1e-3, None)
    first, second = terminal.getvalue().splitlines()
    assert first.endswith("10 s  left 2 min") and second.endswith("30 s  left 3 min")


def test_warnings_that_are_not_ours(tmp_path):
    """TorchScript is deprecated, which users of models can do nothing about; other warnings are shown."""
    model = make_model(("energy",), torch.float32)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        exported = model.export()
        exported.save(tmp_path / "model.pt")
        warnings.warn("torch.jit.script is deprecated, says somebody else", DeprecationWarning, stacklevel=1)
    assert [str(warning.message) for warning in found] == ["torch.jit.script is deprecated, says somebody else"]
