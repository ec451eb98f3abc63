"""What these data sets know of each of their structures."""

from typing import Protocol

from ase import Atoms


class Item(Protocol):
    """A structure with its target."""

    @property
    def atoms(self) -> Atoms:
        """The structure, with ``id``, ``subset`` and ``split`` in ``info`` if they are known."""

    @property
    def source(self) -> str:
        """The file, and the row or frame if it contains several structures."""

    @property
    def row(self) -> int:
        """Number of the structure among all of the sources, from 0, with those that cannot be used."""
