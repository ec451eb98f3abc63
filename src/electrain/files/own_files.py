"""Reading files that electrain wrote: a damaged one is named, with what to do about it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class DamagedFileError(ValueError):
    """A file that is not as electrain wrote it."""


@contextmanager
def expecting(what: str, path: Path, remedy: str) -> Iterator[None]:
    """Turn every error while a file is read into one that names it.

    :param what: what the file was expected to be.
    :param path: the file.
    :param remedy: what to do about it.
    :raises DamagedFileError: instead of all errors of parsers, which advise, for example, to load the file unsafely.
    :raises OSError: if the file cannot be read at all.
    """
    try:
        yield
    except DamagedFileError:
        raise
    except Exception as error:  # parsers raise all kinds of errors for a damaged file
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(f"cannot read {path}: {error.strerror}") from error
        raise DamagedFileError(f"{path} is damaged: expected {what}; {remedy}") from error


def read_json(what: str, path: Path, remedy: str) -> Any:
    """Read a JSON file; parameters and errors as for :func:`expecting`."""
    with expecting(what, path, remedy):
        return json.loads(path.read_text(encoding="utf-8"))


def read_arrays(path: Path, names: Sequence[str] | None, remedy: str) -> dict[str, NDArray[Any]]:
    """Read arrays from an ``.npz`` file.

    :param path: the file.
    :param names: names of the arrays to read; ``None`` for all.
    :param remedy: what to do if it is damaged.
    :raises DamagedFileError: if it is, or lacks one of the arrays.
    """
    # Opened here, because numpy would leave a damaged file open.
    with expecting("arrays in an .npz file", path, remedy), path.open("rb") as stream, np.load(stream) as file:
        return {name: file[name] for name in (file.files if names is None else names)}
