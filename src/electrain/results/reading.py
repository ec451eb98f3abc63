"""Reading files of results."""

from pathlib import Path

from .electronic_structure import ElectronicStructure
from .files import read_contents


def read_json(path: str | Path) -> list[tuple[str, ElectronicStructure]]:
    """Read a JSON file written by ``electrain dos``: the name of each structure and its predictions.

    :raises ValueError: for a file with spectra on a fixed axis, which are not electronic structures.
    """
    contents = read_contents(path)
    others = sorted({content["target"] for content in contents if "target" in content})
    if others:
        raise ValueError(
            f"expected results of a model of mtt::dos, but {path} contains {', '.join(others)}, which json.load reads"
        )
    return [(content["structure"], ElectronicStructure.from_dict(content)) for content in contents]
