"""The other parts of the data set of which one is evaluated."""

from pathlib import Path
from typing import Protocol, TypeVar


class _Part(Protocol):
    folder: Path
    part: str
    sizes: dict[str, int]

    def __init__(self, folder: Path, part: str) -> None: ...


_P = TypeVar("_P", bound=_Part)


def other_part(part: _P, name: str) -> _P | None:
    """Open another part of a data set; ``None`` if it has none, or the file was taken away."""
    if name == part.part:
        return part
    if not part.sizes.get(name):
        return None
    try:
        return type(part)(part.folder, name)
    except FileNotFoundError:
        return None
