"""Batches of structures with a limited number of atoms."""

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

BATCH_SIZE = 256  # atoms; in a dense crystal they take 0.25 GB with a model of the published size
_Structure = TypeVar("_Structure", bound=Sized)


def in_batches(structures: Iterable[_Structure], batch_size: int) -> Iterator[list[_Structure]]:
    """Group consecutive structures into batches of at most ``batch_size`` atoms; a larger structure is a batch alone.

    :param structures: objects whose length is the number of their atoms.
    :param batch_size: maximum number of atoms in a batch.
    :raises ValueError: for a batch size that is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1 atom, got {batch_size}")
    batch: list[_Structure] = []
    num_atoms = 0
    for atoms in structures:
        if batch and num_atoms + len(atoms) > batch_size:
            yield batch
            batch, num_atoms = [], 0
        batch.append(atoms)
        num_atoms += len(atoms)
    if batch:
        yield batch
