"""Writing all files of a data set, or none."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from electrain import __version__
from electrain.jobs.folder import open_job
from electrain.structures.checks import formula_of

from ..calculation import Rejected
from ..reports import FORMAT_VERSION, table_entry, write_table
from ..sources import Source, sha256_of
from ..splits import Split, identity_of
from ..work_folder import FIGURE, MANIFEST, NAME, OPTIONS, REPORT, SOURCES, STRUCTURES, WorkFolder
from ..writing import part_name
from .items import Item
from .splitting import SplitSettings


class Prepared(Protocol):
    """What a data set contains."""

    @property
    def form(self) -> str:
        """Format of its files."""

    @property
    def parts(self) -> Mapping[str, Sequence[Item]]:
        """Its structures, by part."""


_Prepared = TypeVar("_Prepared", bound=Prepared)
_COLUMNS = ("part", "number", "id", "source", "formula", "subset", "atoms")


def publish(
    folder: Path,
    settings: object,
    sources: Sequence[Source],
    make: Callable[[Callable[[str], Path]], _Prepared],
    *,
    overwrite: bool,
) -> _Prepared:
    """Make a data set in a hidden folder, and move it into place when it is complete.

    :param folder: folder to write to; new or empty unless ``overwrite``.
    :param settings: settings that determine the content of the data set.
    :param sources: files from which it is made.
    :param make: function of another one that returns where to write a file; it returns what the data set contains.
    :param overwrite: replace a data set in the folder.
    :raises FileExistsError: if the folder is not empty.
    :raises ValueError: if nothing can be made, or files would be replaced that are a source or no data set.
    """
    with open_job(folder / NAME) as job:
        work = WorkFolder(job, settings, sources, overwrite=overwrite)
        try:
            work.final("").mkdir(exist_ok=True)
            prepared = make(work.final)
        except ValueError:
            work.discard()
            raise
        data = [part_name(part, prepared.form) for part in prepared.parts]
        work.publish([*data, OPTIONS, STRUCTURES, SOURCES, REPORT, FIGURE, MANIFEST])
    return prepared


def write_tables(
    folder: Path,
    parts: Mapping[str, Sequence[Item]],
    columns: Mapping[str, Iterable[object]],
    rejected: Sequence[Rejected],
    sources: Sequence[Source],
) -> dict[str, Any]:
    """Write the tables of structures, of sources, and of what was left out, and return their entries of the manifest.

    :param columns: further columns of the table of structures, in the order of the parts.
    """
    rows = [(part, i, item) for part, items in parts.items() for i, item in enumerate(items)]
    table: Iterator[list[Any]] = (
        [part, i, s.atoms.info.get("id"), s.source, formula_of(s.atoms), identity_of(s.atoms).subset, len(s.atoms)]
        for part, i, s in rows
    )
    further = zip(*columns.values(), strict=True) if columns else ((),) * len(rows)
    write_table(
        folder / STRUCTURES,
        [*_COLUMNS, *columns],
        ([*line, *more] for line, more in zip(table, further, strict=True)),
    )
    write_table(
        folder / SOURCES, ("source", "sha256"), ((source.name, sha256_of(Path(source.path))) for source in sources)
    )
    write_table(folder / REPORT, ("source", "reason"), ((one.source, one.reason) for one in rejected))
    numbers = {"sources": (SOURCES, len(sources)), "structures": (STRUCTURES, len(rows))}
    numbers["dropped"] = (REPORT, len(rejected))
    return {name: {"table": table_entry(folder / file), "number": count} for name, (file, count) in numbers.items()}


def first_entries(command: str, form: str) -> dict[str, Any]:
    """Return the first entries of a manifest: how the data set was made."""
    return {
        "format_version": FORMAT_VERSION,
        "electrain_version": __version__,
        "command": command,
        "format": form,
    }


def split_entry(split: Split, settings: SplitSettings, parts: Mapping[str, Sequence[Item]]) -> dict[str, Any]:
    """Return the entry of a manifest for the split."""
    return {
        "shares": list(settings.shares) if settings.shares else None,
        "trained_on": settings.kinds.text if settings.kinds else None,
        "files": {Path(name).name: sha256_of(Path(name)) for name in settings.index_files},
        "seed": settings.seed,
        "grouped_by": split.grouped_by,
        "validates_on_training_set": split.validates_on_training_set,
        "number": {part: len(items) for part, items in parts.items()},
    }
