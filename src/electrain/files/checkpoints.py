"""Reading checkpoints from untrusted sources without executing any code in them.

A checkpoint is a pickle, and a pickle may call any function of any module on the machine that opens it. This reader
builds on torch's weights-only loading, which creates tensors and plain containers and refuses everything else. The
three further classes that metatrain's checkpoints need are read as inert data; the objects are then created with their
constructors, which check their arguments.
"""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from metatensor.torch import load_buffer
from metatomic.torch import ModelMetadata
from metatrain.utils.data import DatasetInfo, TargetInfo

from .archives import archive_entries
from .replacing import replacing


class CheckpointError(ValueError):
    """A file that is not a checkpoint, or is damaged."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint that references code not known to be safe."""


class _Stored:
    """An object of a pickle as plain data; no code of its class has been executed."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _StoredScriptObject(_Stored):
    pass


class _StoredDatasetInfo(_Stored):
    pass


class _StoredTargetInfo(_Stored):
    pass


_ALLOWED: list[tuple[type, str]] = [
    (_StoredScriptObject, "torch.ScriptObject"),
    (_StoredDatasetInfo, "metatrain.utils.data.dataset.DatasetInfo"),
    (_StoredTargetInfo, "metatrain.utils.data.target_info.TargetInfo"),
]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    :param path: a file written by ``torch.save``: a metatrain checkpoint, or a dictionary of tensors.
    :raises FileNotFoundError: if the file does not exist.
    :raises UnsafeCheckpointError: if it contains anything except tensors, plain Python containers and numbers, and
        metatrain's descriptions of data sets. None of it is executed.
    :raises CheckpointError: for another kind of file, or a damaged one.
    """
    path = Path(path)
    _check_kind(path)
    allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [*_ALLOWED]
    with torch.serialization.safe_globals(allowed):
        _check_names(path)
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise UnsafeCheckpointError(f"{path} was not loaded because it contains more than data: {error}") from None
        except Exception as error:  # torch raises all kinds of errors
            raise CheckpointError(f"{path} is damaged: {_first_line(error)}") from error
    try:
        checkpoint = _Builder().build(stored)
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(f"{path} was not loaded: {error}") from None
    except Exception as error:  # constructors raise all kinds of errors
        raise CheckpointError(f"{path} is damaged: {_first_line(error)}") from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"expected a dictionary in {path}, got {type(checkpoint).__name__}")
    return checkpoint


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, which replaces ``path`` when it is complete.

    :raises OSError: if the file cannot be written.
    """
    # In memory: on a full disk torch fails in ways that name no file, and it would put the name of the temporary file,
    # which is never the same, into the archive.
    content = io.BytesIO()
    torch.save(checkpoint, content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _check_kind(path: Path) -> None:
    entries = archive_entries(path, "checkpoint", "a .ckpt file written by `mtt train`", CheckpointError)
    if any(entry.startswith("code/") for entry in entries):
        raise CheckpointError(
            f"{path} is an exported model; expected the checkpoint (.ckpt) it was exported from, which contains the "
            "weights and their meaning"
        )
    if "data.pkl" not in entries:
        raise CheckpointError(
            f"{path} is an archive, but not a checkpoint, or incomplete; expected a file written by torch.save"
        )


def _check_names(path: Path) -> None:
    """Report all code that a file references; loading would stop at the first one, with a shorter message."""
    try:
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            f"{path} was not loaded: it uses a kind of pickle that torch cannot check ({_first_line(error)})"
        ) from None
    except Exception as error:  # torch raises all kinds of errors
        raise CheckpointError(f"{path} is damaged: {_first_line(error)}") from error
    if names:
        raise UnsafeCheckpointError(
            f"{path} was not loaded: it references {', '.join(names)}. Opened in the usual way, a checkpoint can call "
            "this code with any arguments, on this machine and with your permissions. metatrain checkpoints only need "
            "tensors, plain Python values, DatasetInfo, TargetInfo, TensorMap and ModelMetadata"
        )


class _Builder:
    """Replaces the inert objects with real ones; containers are changed in place, shared objects built once."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}  # with the original, so that its id is not reused

    def build(self, value: Any) -> Any:
        if not isinstance(value, (dict, list, tuple, _Stored)):
            return value
        if id(value) in self._done:
            return self._done[id(value)][1]
        if isinstance(value, dict):
            self._done[id(value)] = (value, value)
            for key in value:
                value[key] = self.build(value[key])
            return value
        if isinstance(value, list):
            self._done[id(value)] = (value, value)
            value[:] = [self.build(item) for item in value]
            return value
        built = tuple(self.build(item) for item in value) if isinstance(value, tuple) else self._object(value)
        self._done[id(value)] = (value, built)
        return built

    def _object(self, stored: _Stored) -> Any:
        if isinstance(stored, _StoredScriptObject):
            return _script_object(*stored.state)
        state = self.build(dict(stored.state))
        if isinstance(stored, _StoredTargetInfo):
            return TargetInfo(state["layout"], state["quantity"], state["unit"], state.get("description", ""))
        types = [int(number) for number in state["_atomic_types"]]
        return DatasetInfo(state["length_unit"], types, state["targets"], state.get("extra_data", {}))


def _script_object(content: Any, class_name: str) -> Any:
    """An object of one of the two compiled classes that checkpoints may contain; both contain only data."""
    if class_name == "__torch__.torch.classes.metatensor.TensorMap":
        if not (isinstance(content, torch.Tensor) and content.dtype == torch.uint8 and content.device.type == "cpu"):
            raise CheckpointError("a TensorMap must be stored as bytes")  # metatensor reads them without checking
        return load_buffer(content.contiguous())
    if class_name == "__torch__.torch.classes.metatomic.ModelMetadata":
        fields = json.loads(content)
        names = ("name", "description", "authors", "references", "extra")
        return ModelMetadata(**{name: fields[name] for name in names if name in fields})
    raise UnsafeCheckpointError(
        f"it references the compiled class {class_name}; expected metatensor's TensorMap or metatomic's ModelMetadata"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
