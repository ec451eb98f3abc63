"""The structure in a file of its own, for results that come without."""

from collections.abc import Sequence
from pathlib import Path

import ase.io
import yaml
from ase import Atoms

from ..calculation import CalculationError
from .common import plain_structure, reading


def structure_beside(path: Path, names: Sequence[str]) -> Atoms:
    """Return the structure in the folder of a file: of phonopy's YAML the primitive cell, of others the last one.

    :param path: the file.
    :param names: names to look for, the first that exists is used; ``*`` stands for that of the file up to its first
        dot.
    :raises CalculationError: if there is none, or it cannot be read.
    """
    names = [name.replace("*", path.name.partition(".")[0]) for name in names]
    for candidate in (path.with_name(name) for name in names):
        if not candidate.is_file():
            continue
        with reading(str(candidate), "a structure"):
            if candidate.suffix != ".yaml":
                return plain_structure(ase.io.read(candidate))  # type: ignore[arg-type]
            content = yaml.load(candidate.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            cell = content.get("primitive_cell") or content["unit_cell"]
            points = cell["points"]
            return Atoms(
                [point["symbol"] for point in points],
                scaled_positions=[point["coordinates"] for point in points],
                cell=cell["lattice"],
                pbc=True,
            )
    raise CalculationError(str(path), f"expected a structure beside it, one of {', '.join(names)}, got none")
