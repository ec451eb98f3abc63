"""Errors at each energy (PET-MAD-DOS paper, figure S7)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from electrain.data.reading import PreparedPart

from .chunk_files import read_chunks
from .structure_errors import StructureErrors


class ChannelErrors(NamedTuple):
    """Root mean squares over structures at each channel of the target grid, each of shape ``(num_channels,)``.

    They are NaN where no structure has a trusted target.
    """

    energies: NDArray[np.float64]  # eV from the DFT Fermi level
    rmse: NDArray[np.float64]  # states/eV, for whole structures
    rmse_per_atom: NDArray[np.float64]  # states/eV/atom
    target_per_atom: NDArray[np.float64]  # states/eV/atom, root mean square of the true density of states
    num_structures: NDArray[np.int64]  # number of structures with trusted targets at this energy


def channel_errors(files: Sequence[Path], part: PreparedPart) -> ChannelErrors | None:
    """Compute errors at each channel over all chunks, at the best shift of each structure.

    :param files: files of the chunks.
    :param part: the evaluated part of the data set.
    :return: ``None`` if no density of states was predicted.
    """
    grid = part.axis.target_grid
    sums, counts = np.zeros((3, grid.size)), np.zeros(grid.size, dtype=np.int64)
    for chunk in read_chunks(files):
        errors = chunk.predicted.astype(np.float64) - chunk.target
        num_atoms = chunk.errors[:, StructureErrors._fields.index("num_atoms"), None]
        known = np.isfinite(errors)
        for index, values in enumerate((errors, errors / num_atoms, chunk.target / num_atoms)):
            sums[index] += np.square(values, where=known, out=np.zeros_like(errors)).sum(axis=0)
        counts += known.sum(axis=0)
    if not counts.any():
        return None
    roots = np.full_like(sums, np.nan)
    np.sqrt(sums / np.maximum(counts, 1), out=roots, where=counts > 0)
    return ChannelErrors(grid.energies().numpy(), roots[0], roots[1], roots[2], counts)
