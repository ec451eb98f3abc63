"""Compiled libraries that an exported model asks for, which run as soon as they are loaded."""

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

import torch

_RECORDS = ("extra/extensions-deps", "extra/extensions")


def check_extensions(path: Path, directory: Path | None, error: type[ValueError]) -> None:
    """Check that a model asks for no compiled libraries, or only for those in a folder that the user trusts.

    metatomic loads any library that a model names: from any absolute path, from the given folder, and, if the name is
    a path, from the current folder. It does not compare hashes.

    :param path: an exported model.
    :param directory: folder with the libraries, as collected by ``mtt export --extensions``.
    :raises ValueError: ``error``, for libraries without a folder, or that are not the ones in this folder.
    """
    # With torch's own reader, so that metatomic finds the same lists, however strange the archive is.
    reader = torch._C.PyTorchFileReader(str(path))
    libraries = [library for record in _RECORDS for library in _read(reader, record, path, error)]
    if libraries and directory is None:
        names = ", ".join(sorted({name for name, _, _ in libraries}))
        raise error(
            f"{path} was not opened, because it asks for compiled libraries ({names}), which can do anything on this "
            "machine. If you trust them, pass the folder that contains them (--extensions DIR, or "
            "extensions_directory=DIR in Python); it was written by `mtt export --extensions DIR`"
        )
    for name, place, sha256 in libraries:
        assert directory is not None
        problem = _problem(name, place, sha256, directory)
        if problem:
            raise error(f"{path} was not opened: {problem}")


def _read(reader: Any, record: str, path: Path, error: type[ValueError]) -> list[tuple[str, str, str | None]]:
    """Name, path and hash of every library in a list."""
    if not reader.has_record(record):
        return []
    try:
        content = json.loads(reader.get_record(record))
        return [(str(library["name"]), str(library["path"]), library.get("sha256")) for library in content]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise error(f"{path} was not opened, because its list of compiled libraries ({record}) is malformed") from None


def _problem(name: str, place: str, sha256: str | None, directory: Path) -> str:
    parts = PurePosixPath(place).parts
    # A name with a slash is a path for the dynamic loader; an absolute path would be loaded instead of the folder's.
    if not name or "/" in name or "\\" in name or PurePosixPath(place).is_absolute() or ".." in parts:
        return (
            f"its compiled library {name!r} has the path {place!r}; expected a plain name, and a path inside a folder"
        )
    file = directory / place
    if not file.is_file():
        return f"its compiled library {name} is not in {directory}; expected the file {file}"
    if sha256 is not None and hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        return f"{file} is not the library that the model was exported with, because its SHA-256 hash is another one"
    return ""
