"""Reading checkpoints from elsewhere runs nothing that is in them."""

import copyreg
import os
import pickle
import zipfile
from pathlib import Path

import metatensor.torch as mts
import pytest
import torch
from metatomic.torch import ModelMetadata, ModelOutput
from metatrain.utils.data import DatasetInfo
from peer_models import ALL_KINDS, make_peer_model
from typer.testing import CliRunner

from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.cli.main import app
from electrain.files.checkpoints import CheckpointError, UnsafeCheckpointError, read_checkpoint


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def traces(tmp_path):
    """Calls that leave a file behind when they are run, by the name under which a pickle asks for them."""
    trace = tmp_path / "trace"
    return trace, {
        "posix.system": Call(os.system, f"touch {trace}"),
        "eval": Call(eval, f"__import__('pathlib').Path({str(trace)!r}).touch()"),
        "posix.mkdir": Call(os.mkdir, str(trace)),
    }


@pytest.mark.parametrize("name", ["posix.system", "eval", "posix.mkdir"])
def test_code_is_refused_and_does_not_run(name, traces, tmp_path):
    trace, calls = traces
    path = tmp_path / "model.ckpt"
    checkpoint = {"architecture_name": "pet", "metadata": {"deep": [calls[name]]}}
    torch.save(checkpoint, path)
    with pytest.raises(
        UnsafeCheckpointError, match=rf"it references .*{name}\. Opened in the usual way, .* your permissions"
    ):
        read_checkpoint(path)
    result = CliRunner().invoke(app, ["convert", str(path), str(tmp_path / "out.ckpt")])
    assert result.exit_code == 1 and result.output.startswith("error: ") and name in result.output
    assert not trace.exists()
    torch.load(path, weights_only=False)  # it would have run
    assert trace.exists()


def test_fine_tuning_refuses_code(traces, tmp_path):
    """When the options are checked, before metatrain opens the file."""
    trace, calls = traces
    path = tmp_path / "base.ckpt"
    torch.save({"architecture_name": "pet_mad", "epoch": calls["posix.system"]}, path)
    with pytest.raises(UnsafeCheckpointError, match=r"it references .*posix\.system"):
        checkpoint_of("pet_mad")(str(path))
    assert not trace.exists()


def test_code_in_a_real_checkpoint(traces, tmp_path):
    trace, calls = traces
    checkpoint = make_peer_model(("energy",)).get_checkpoint()
    checkpoint["model_data"]["dataset_info"].extra_data = {"x": calls["posix.system"]}
    torch.save(checkpoint, tmp_path / "model.ckpt")
    with pytest.raises(UnsafeCheckpointError, match=r"posix\.system"):
        read_checkpoint(tmp_path / "model.ckpt")
    assert not trace.exists()


def test_code_as_weights_of_the_band_gap(traces, tmp_path):
    trace, calls = traces
    torch.save(make_peer_model(("energy",)).get_checkpoint(), tmp_path / "model.ckpt")
    torch.save({"conv1.weight": calls["eval"]}, tmp_path / "gap.pt")
    arguments = ["convert", tmp_path / "model.ckpt", tmp_path / "out.ckpt", "--band-gap-weights", tmp_path / "gap.pt"]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 1 and "it references" in result.output
    assert not trace.exists() and not (tmp_path / "out.ckpt").exists()


def test_other_kinds_of_pickles(traces, tmp_path):
    """Newer protocols name functions in another way; torch does not read them, we do not run them."""
    trace, calls = traces
    path = tmp_path / "model.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(calls["posix.system"], protocol=4))
        archive.writestr("model/version", "3\n")
    with pytest.raises(CheckpointError, match=r"was not loaded: it uses a kind of pickle that torch cannot check"):
        read_checkpoint(path)
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(calls["posix.system"], protocol=2))
    with pytest.raises(
        CheckpointError, match=r"is not a checkpoint, or incomplete; expected a \.ckpt file written by `mtt train`"
    ):
        read_checkpoint(tmp_path / "plain.ckpt")
    torch.save(calls["posix.system"], tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    with pytest.raises(
        CheckpointError, match=r"is not a checkpoint, or incomplete; expected a \.ckpt file written by `mtt train`"
    ):
        read_checkpoint(tmp_path / "old.ckpt")
    assert not trace.exists()


def test_other_compiled_classes(tmp_path):
    """Only two of all classes that libraries register with torch are made."""
    torch.save({"output": ModelOutput(unit="eV")}, tmp_path / "model.ckpt")
    with pytest.raises(
        UnsafeCheckpointError, match=r"the compiled class __torch__\S*ModelOutput; expected metatensor's TensorMap"
    ):
        read_checkpoint(tmp_path / "model.ckpt")


class Stored:
    """Pickles as an object of another class with any state."""

    def __init__(self, cls, state):
        self.cls = cls
        self.call = (copyreg.__newobj__, (cls,), state)

    @property
    def __class__(self):
        return self.cls

    def __reduce__(self):
        return self.call


TENSOR_MAP = "__torch__.torch.classes.metatensor.TensorMap"


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (Stored(torch.ScriptObject, (torch.zeros(3), TENSOR_MAP)), "a TensorMap must be stored as bytes"),
        (Stored(torch.ScriptObject, ("text", TENSOR_MAP)), "a TensorMap must be stored as bytes"),
        (Stored(torch.ScriptObject, (torch.zeros(9, dtype=torch.uint8, device="meta"), TENSOR_MAP)), "stored as bytes"),
        (Stored(torch.ScriptObject, (torch.zeros(9, dtype=torch.uint8), TENSOR_MAP)), "is damaged"),
        (Stored(torch.ScriptObject, ("{", "__torch__.torch.classes.metatomic.ModelMetadata")), "is damaged"),
        (Stored(torch.ScriptObject, None), "is damaged"),
        (Stored(DatasetInfo, {"length_unit": "angstrom"}), "is damaged: '_atomic_types'"),
        (Stored(DatasetInfo, {"length_unit": 3, "_atomic_types": [1], "targets": {}}), "is damaged"),
        ([1, 2], "expected a dictionary in .*, got list"),
    ],
)
def test_damaged_contents(stored, message, tmp_path):
    torch.save(stored if isinstance(stored, list) else {"a": stored}, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "model.ckpt")


def test_cut_files(tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save(make_peer_model(("energy",)).get_checkpoint(), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="is an archive, but not a checkpoint"):
        read_checkpoint(path)


def test_files_of_other_kinds(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_checkpoint(tmp_path / "none.ckpt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"is an exported model; expected the checkpoint \(.ckpt\)"):
        read_checkpoint(tmp_path / "model.pt")


def test_checkpoints_are_read_completely(tmp_path):
    """The same as the usual way reads."""
    peer = make_peer_model(ALL_KINDS)
    peer.metadata = ModelMetadata("a", "b", ["c"], {"model": ["d"]}, {"e": "f"})
    path = tmp_path / "model.ckpt"
    torch.save({**peer.get_checkpoint(), "numbers": (1, 2.5, None, True, {3}), "shared": peer.dataset_info}, path)
    found, expected = read_checkpoint(path), torch.load(path, weights_only=False)
    assert sorted(found) == sorted(expected)
    info, other = found["model_data"]["dataset_info"], expected["model_data"]["dataset_info"]
    assert info == other and info.atomic_types == other.atomic_types
    assert found["shared"] is info
    for name, target in info.targets.items():
        assert mts.equal(target.layout, other.targets[name].layout)  # gradients, too
    assert found["model_data"]["model_hypers"] == expected["model_data"]["model_hypers"]
    assert found["numbers"] == expected["numbers"]
    for state in ("model_state_dict", "best_model_state_dict"):
        assert list(found[state]) == list(expected[state])
        for name, value in expected[state].items():
            assert torch.equal(found[state][name], value) if isinstance(value, torch.Tensor) else True
    fields = ("name", "description", "authors", "references", "extra")
    assert [getattr(found["metadata"], f) for f in fields] == [getattr(expected["metadata"], f) for f in fields]


def test_nothing_stays_allowed(tmp_path):
    """What this reader allows is not allowed to others afterwards."""
    torch.save(make_peer_model(("energy",)).get_checkpoint(), tmp_path / "model.ckpt")
    before = set(torch.serialization.get_safe_globals())  # they come in any order
    read_checkpoint(tmp_path / "model.ckpt")
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "model.ckpt", weights_only=True)


def test_a_container_that_contains_itself(tmp_path):
    loop: list = []
    loop.append(loop)
    torch.save({"loop": loop}, tmp_path / "model.ckpt")
    found = read_checkpoint(Path(tmp_path / "model.ckpt"))["loop"]
    assert found[0] is found
