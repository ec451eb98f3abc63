"""Reading files of results."""

from pathlib import Path

from .electronic_structure import ElectronicStructure
from .files import read_contents


def read_json(path: str | Path) -> list[tuple[str, ElectronicStructure]]:
    """Read a JSON file written by ``electrain dos``: the name of each structure and its predictions."""
    return [(content["structure"], ElectronicStructure.from_dict(content)) for content in read_contents(path)]
