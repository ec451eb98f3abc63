"""Reading checkpoints from elsewhere without running anything that is in them.

A checkpoint is a pickle, and a pickle may call any function of any module on the machine that opens it. This reader
builds on torch's weights-only loading, which makes tensors and plain containers and refuses all else. The three
classes that checkpoints of metatrain need on top are read as inert data; the objects are then made through their
constructors, which check what they get.
"""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from metatensor.torch import load_buffer
from metatomic.torch import ModelMetadata
from metatrain.utils.data import DatasetInfo, TargetInfo


class CheckpointError(ValueError):
    """A file that is not a checkpoint, or is a damaged one."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint that names code of which it is not known that it does no harm."""


class _Stored:
    """An object of a pickle as plain data: no code of its class has run."""

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
    """Read a checkpoint, on the CPU.

    :param path: a file that ``torch.save`` wrote: a checkpoint of metatrain, or a dictionary of tensors.
    :raises FileNotFoundError: if there is no such file.
    :raises UnsafeCheckpointError: if anything but tensors, plain Python containers and numbers, and metatrain's
        descriptions of data sets is in it. Nothing of it has run then.
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
            raise UnsafeCheckpointError(f"{path} was not loaded, because it is not only data: {error}") from None
        except Exception as error:  # torch raises all kinds of errors
            raise CheckpointError(f"{path} is damaged: {_first_line(error)}") from error
    try:
        checkpoint = _Builder().build(stored)
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(f"{path} was not loaded: {error}") from None
    except Exception as error:  # whatever the constructors say to what they got
        raise CheckpointError(f"{path} is damaged: {_first_line(error)}") from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"expected a dictionary in {path}, got {type(checkpoint).__name__}")
    return checkpoint


def _check_kind(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; expected a checkpoint, a .ckpt file")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {name.partition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile:
        raise CheckpointError(
            f"{path} is not a checkpoint, or incomplete; expected a file written by torch.save"
        ) from None
    if any(entry.startswith("code/") for entry in entries):
        raise CheckpointError(
            f"{path} is an exported model; expected the checkpoint (.ckpt) that it was exported from, which holds the "
            "weights and what they mean"
        )
    if "data.pkl" not in entries:
        raise CheckpointError(f"{path} is an archive, but not a checkpoint; expected a file written by torch.save")


def _check_names(path: Path) -> None:
    """Say which code a file asks for; the loading itself would stop at the first one, with less to read."""
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
            f"{path} was not loaded: it asks for {', '.join(names)}. Opened the usual way, a checkpoint can call such "
            "code with arguments of its own, on this machine and with your rights. Checkpoints of metatrain need no "
            "more than tensors, plain Python values, DatasetInfo, TargetInfo, TensorMap and ModelMetadata"
        )


class _Builder:
    """Puts the real objects in place of the inert ones, containers in place, shared objects once."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}  # with the original, which keeps its id from being used again

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
    """An object of the two compiled classes that checkpoints hold; their contents are data."""
    if class_name == "__torch__.torch.classes.metatensor.TensorMap":
        if not (isinstance(content, torch.Tensor) and content.dtype == torch.uint8 and content.device.type == "cpu"):
            raise CheckpointError("a TensorMap must be stored as bytes")  # metatensor reads them without looking
        return load_buffer(content.contiguous())
    if class_name == "__torch__.torch.classes.metatomic.ModelMetadata":
        fields = json.loads(content)
        names = ("name", "description", "authors", "references", "extra")
        return ModelMetadata(**{name: fields[name] for name in names if name in fields})
    raise UnsafeCheckpointError(
        f"it asks for the compiled class {class_name}; expected TensorMap of metatensor or ModelMetadata of metatomic"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
