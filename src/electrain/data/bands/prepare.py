"""Data sets of bands on disk: everything is read, checked, split and written at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from electrain.bands import BandStructure

from ..at_once.publishing import publish
from ..at_once.splitting import read_split, split_into_parts
from ..calculation import Rejected
from ..prepare import NothingUsableError
from ..sources import Source, each_readable, find_sources
from ..work_folder import FIGURE
from ..writing import format_for, part_name
from .cells import is_standard_cell
from .documents import write_documents
from .figure import plot_bands_summary
from .meshes import read_meshes
from .readers import is_bands_source, read_bands
from .settings import BandsSettings, LearnedBands, PreparedBands
from .targets import band_targets
from .writing import write_bands

_Item = TypeVar("_Item")


def prepare_bands(
    sources: Sequence[str | Path],
    folder: str | Path,
    *,
    meshes: Sequence[str | Path] = (),
    num_bands: int = 6,
    num_k_points: int = 256,
    split: tuple[float, float, float] | Sequence[str | Path] | str | None = (8, 1, 1),
    seed: int = 0,
    form: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> PreparedBands:
    """Make a data set for ``mtt train`` from bands along paths of k-points.

    :param sources: files that :func:`~electrain.data.bands.read_bands` reads, or folders that are searched for them.
    :param folder: folder to write to; new or empty unless ``overwrite``.
    :param meshes: calculations on meshes of k-points, or folders of them, that are added to the training set, see
        :func:`~electrain.data.bands.meshes.read_meshes`.
    :param num_bands: number of bands about the gap, half of them filled.
    :param num_k_points: number of k-points along the path.
    :param split: shares of training, validation and test set; three index files, each with a number of a band
        structure (from 0) in each line; ``"species"`` or ``"crystal-system"`` to test on other kinds of crystals than
        those of the training set, see :func:`~electrain.data.kind_splits.read_kind_split`; or ``None`` if the key
        ``split`` names the part of every structure.
    :param seed: random seed of the split.
    :param form: ``"xyz"``, ``"zip"`` or ``"memmap"``; by default chosen by the number of structures.
    :param overwrite: replace a data set in the folder.
    :param progress: show progress bars on a terminal.
    :raises NothingUsableError: if no band structure passed the checks.
    :raises FileExistsError: if the folder is not empty.
    :raises ValueError: for invalid settings, and sources without bands.
    :raises ImportError: if the package that parses a file is not installed, or, with meshes, pymatgen.
    :raises OSError: if a file cannot be read or written.
    """
    settings = BandsSettings(num_bands, num_k_points, read_split(split), seed, form, tuple(map(str, meshes)))
    paths, folder = [Path(source) for source in sources], Path(folder)
    found = find_sources(paths, folder, accepts=is_bands_source, what="bands along paths of k-points")
    of_meshes = find_sources([Path(mesh) for mesh in meshes], folder) if meshes else []

    def make(file: Callable[[str], Path]) -> PreparedBands:
        prepared = _plan(folder, found, of_meshes, settings, progress)
        for part, of_part in prepared.parts.items():
            write_bands(file(part_name(part, prepared.form)), prepared.form, prepared.shape, of_part)
        write_documents(file(""), prepared, [*found, *of_meshes], settings, paths)
        plot_bands_summary(prepared.along_paths, file(FIGURE))
        return prepared

    return publish(folder, settings, [*found, *of_meshes], make, overwrite=overwrite)


def _plan(
    folder: Path, sources: Sequence[Source], of_meshes: Sequence[Source], settings: BandsSettings, progress: bool
) -> PreparedBands:
    """Read everything, and put it into the parts."""
    usable: list[LearnedBands] = []
    rejected: list[Rejected] = []
    num_rows = 0
    for one in _shown(_read(sources), "reading paths", progress):
        if isinstance(one, Rejected):
            rejected.append(one)
        else:
            try:
                usable.append(_learned(one, num_rows, settings))
            except ValueError as error:
                rejected.append(Rejected(one.source, str(error)))
        num_rows += 1
    if not usable:
        raise NothingUsableError(rejected)
    parts, split, num_unused = split_into_parts(usable, num_rows, settings, rejected)
    held_out = [one for part, of_part in parts.items() if part != "train" for one in of_part]
    meshes = read_meshes(of_meshes, settings, held_out, rejected)
    parts["train"] += _shown(meshes, "reading meshes", progress) if of_meshes else []
    form = settings.form or format_for(sum(map(len, parts.values())))
    return PreparedBands(folder, form, settings.shape, parts, split, rejected, num_unused)


def _shown(items: Iterable[_Item], what: str, progress: bool) -> Iterable[_Item]:
    return tqdm(items, desc=what, unit=" structures", delay=2, disable=None if progress else True)


def _read(sources: Sequence[Source]) -> Iterator[BandStructure | Rejected]:
    for source in sources:
        for one in each_readable(read_bands(source.path), source.name):
            yield replace(one, source=one.source.replace(source.path, source.name))


def _learned(bands: BandStructure, row: int, settings: BandsSettings) -> LearnedBands:
    targets = band_targets(bands, settings.num_bands, settings.num_k_points)
    return LearnedBands(bands, targets, row, is_standard_cell(bands.atoms))
