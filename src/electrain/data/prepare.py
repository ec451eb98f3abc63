"""Data sets on disk: from DFT output files to input for ``mtt train``, at any scale.

There are two passes over chunks of a hundred structures. The first reads and checks; it writes the data needed of each
structure to a file, and a row about it to a table. The axis, the split and the duplicates follow from the table alone.
The second pass writes the targets on that axis. Both run in parallel, and every result is a file that is complete or
does not exist, so a preparation that was killed continues where it stopped and ends with the same bytes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electrain.files.replacing import naming
from electrain.jobs.folder import make_chunks, open_job
from electrain.jobs.workers import check_workers, dask_client
from electrain.pretrained import locate
from electrain.spectra.axis import EnergyAxis

from .axis_choice import AxisChoice
from .calculation import Calculation, Rejected
from .chunks import read_chunk, read_samples, read_table
from .energies import why_not_learned
from .figure import plot_summary
from .kind_splits import checked_split
from .options import options_yaml
from .plan import DatasetPlan, Found, SourceFile, collect, place_by_kind, plan_dataset
from .readers import read_calculations
from .reports import write_manifest, write_report, write_sources, write_structures
from .settings import Settings
from .sources import Source, find_sources, sha256_of
from .splits import Split
from .table import Dropped, Row
from .targets import Sample
from .work_folder import FIGURE, MANIFEST, NAME, OPTIONS, REPORT, SOURCES, STRUCTURES, WorkFolder
from .writing import join_chunks, part_name, write_chunk

_NUM_SHOWN_SPECTRA = 6


class NothingUsableError(ValueError):
    """No frame passed the checks.

    :param rejected: all frames, with the reasons.
    """

    def __init__(self, rejected: list[Rejected]) -> None:
        super().__init__(f"expected at least one usable frame, but all {len(rejected)} were rejected")
        self.rejected = rejected


@dataclass(frozen=True)
class PreparedDataset:
    """A data set that was written to disk.

    :param folder: its folder.
    :param form: format of its files, ``"xyz"``, ``"zip"`` or ``"memmap"``.
    :param parts: a row of the table for each structure of the training, validation and test set.
    :param rejected: frames that were left out, with the reasons.
    :param axis: the energy axis.
    :param split: indices into all structures, in the order in which they were read.
    :param contents: names of the quantities that were written in addition to density of states, band gap and Fermi
        level.
    :param num_missing_bands: number of structures that cannot be trusted up to their Fermi level.
    :param sources: the files it was made from.
    """

    folder: Path
    form: str
    parts: dict[str, list[Row]]
    rejected: list[Rejected]
    axis: EnergyAxis
    split: Split
    contents: tuple[str, ...]
    num_missing_bands: int
    sources: list[Source]

    def path(self, part: str) -> Path:
        """Return the file or folder that contains a part."""
        return self.folder / part_name(part, self.form)

    def calculations(self, part: str) -> Iterator[Calculation]:
        """Read the calculations of a part from their sources again, in the order of the part's file.

        :raises ValueError: for a structure without eigenvalues, whose source is a density of states.
        """
        wanted = defaultdict(set)
        for row in self.parts[part]:
            wanted[row.source].add(row.frame)
        for source, frames in wanted.items():
            for frame, calculation in enumerate(read_calculations(Path(self.sources[source].path))):
                if frame not in frames:
                    continue
                if not isinstance(calculation, Calculation):
                    raise ValueError(f"{calculation.source}: expected eigenvalues, got none")
                yield calculation


def prepare_dataset(
    sources: Sequence[str | Path],
    folder: str | Path,
    *,
    smearing: float | None = None,
    step: float | None = None,
    max_shift: float | None = None,
    grid: tuple[float, float] | None = None,
    dos_grid: tuple[float, float] | None = None,
    layout: str | None = None,
    like: str | Path | None = None,
    split: tuple[float, float, float] | str | None = (8, 1, 1),
    seed: int = 0,
    missing_bands: str | None = None,
    form: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> PreparedDataset:
    """Make a data set for ``mtt train`` from DFT output files.

    A preparation that was interrupted continues when it is called again with the same sources and settings; the files
    are moved into place when all are complete. Energies, forces and stresses are written if any structure has them,
    as NaN for structures without them. Memory is needed for one row of a table (about 1 kB) per structure and one chunk
    per worker.

    :param sources: files, or folders that are searched for them.
    :param folder: folder to write to; new or empty unless ``overwrite``.
    :param smearing: standard deviation of the Gaussians, in eV; default: 0.3.
    :param step: spacing of the channels, in eV; default: 0.05.
    :param max_shift: how far a prediction may be shifted to match its target, in eV; default: 10.
    :param grid: lowest and highest energy of the targets relative to the Fermi level, in eV; default: fitted to the
        data.
    :param dos_grid: first energy, relative to the Fermi level, and step, in eV, of densities of states in extended XYZ
        files, which do not contain their energies. They are used as they are; ``smearing`` must be theirs.
    :param layout: layout of a published data set, which determines all of the above: ``"mad"`` for PET-MAD-DOS.
    :param like: exported model (``.pt``), checkpoint, or name of a model (:func:`electrain.pretrained.known_models`)
        whose energy axis and smearing to use, to fine-tune it.
    :param split: shares of training, validation and test set; ``"species"`` or ``"crystal-system"`` to test on other
        kinds of crystals than those of the training set, see :func:`~electrain.data.kind_splits.read_kind_split`;
        ``None`` if every structure's key ``split`` names its part.
    :param seed: random seed of the split.
    :param missing_bands: ``"drop"`` or ``"keep"`` structures with too few bands to trust their density of states up to
        the Fermi level; by default they are dropped, except from published layouts.
    :param form: ``"xyz"``, ``"zip"`` or ``"memmap"``; by default chosen by the number of structures.
    :param workers: number of processes on this machine; more than one require Dask. A script that uses them must
        protect its entry point with ``if __name__ == "__main__":``.
    :param scheduler: address of a Dask scheduler to use instead; its workers must share this machine's files.
    :param overwrite: replace a data set in the folder.
    :param progress: show progress bars on a terminal.
    :raises NothingUsableError: if no frame passed the checks.
    :raises BlockingIOError: if another process is working in the folder.
    :raises FileExistsError: if the folder is not empty, or contains an unfinished data set from other sources or with
        other settings.
    :raises ValueError: for invalid settings, or if files would be replaced that do not belong to a data set.
    :raises ImportError: if Dask or a package that a reader needs is missing.
    :raises OSError: if a file cannot be read or written.
    """
    model = None if like is None else locate(like, ".ckpt")
    options = AxisChoice(smearing, step, max_shift, grid, dos_grid, layout, model)
    missing_bands = missing_bands or ("drop" if layout is None else "keep")
    settings = Settings(options.settings(), checked_split(split), seed, missing_bands, form)
    check_workers(workers, scheduler)
    source_paths, folder = [Path(source) for source in sources], Path(folder)
    found_sources = find_sources(source_paths, folder)
    with open_job(folder / NAME) as job:
        work = WorkFolder(job, settings, found_sources, overwrite=overwrite)
        with dask_client(workers, scheduler) as client:
            found, num_chunks = _read(work, found_sources, settings, client, progress)
            files = _source_files(found_sources, found)
            try:
                if settings.kinds is not None:
                    place_by_kind(found, [work.chunk(i) for i in range(num_chunks)], settings.kinds, seed)
                selection = plan_dataset(found, settings, files)
            except ValueError:
                work.discard()
                raise
            if not isinstance(selection, DatasetPlan):
                work.discard()
                raise NothingUsableError(_rejected(selection, files))
            if not work.is_ready:
                _write_targets(work, selection, num_chunks, client, progress)
        prepared = PreparedDataset(
            folder=folder,
            form=selection.form,
            parts={part: [selection.rows[i] for i in indices] for part, indices in selection.parts().items()},
            rejected=_rejected(selection.dropped, files),
            axis=selection.axis,
            split=selection.split,
            contents=selection.contents,
            num_missing_bands=selection.num_missing_bands,
            sources=found_sources,
        )
        if not work.is_ready:
            command = settings.command(source_paths, options.words())
            _write_documents(
                work, prepared, selection, files, settings, command=command, base_model=options.checkpoint()
            )
        data = [prepared.path(part).name for part in prepared.parts]
        work.publish([*data, OPTIONS, STRUCTURES, SOURCES, REPORT, FIGURE, MANIFEST])
    return prepared


def _read(
    work: WorkFolder, sources: Sequence[Source], settings: Settings, client: Any, progress: bool
) -> tuple[Found, int]:
    """Read and check all calculations."""
    chunks, damages = work.plan()
    tasks = ((chunk, [sources[piece.source].name for piece in chunk], settings.axis) for chunk in chunks)
    paths = [work.chunk(index) for index in range(len(chunks))]
    sizes = [sum(piece.num_frames for piece in chunk) for chunk in chunks]
    make_chunks(read_chunk, tasks, paths, sizes, what="reading", client=client, progress=progress)
    return collect(paths, damages), len(chunks)


def _write_targets(work: WorkFolder, selection: DatasetPlan, num_chunks: int, client: Any, progress: bool) -> None:
    """Write the targets of every chunk, then join the chunks."""
    form, places = selection.form, selection.places(num_chunks)
    tasks = (
        (work.chunk(index), of_chunk, selection.axis, selection.contents, form) for index, of_chunk in enumerate(places)
    )
    folders = [work.written(index, form) for index in range(num_chunks)]
    sizes = [len(of_chunk) for of_chunk in places]
    make_chunks(write_chunk, tasks, folders, sizes, what="writing", client=client, progress=progress)
    parts = selection.parts()
    joined = [work.final(part_name(part, form)) for part in parts]
    sizes = [len(indices) for indices in parts.values()]
    make_chunks(
        join_chunks, ((folders, part, form) for part in parts), joined, sizes, what="joining", progress=progress
    )


def _write_documents(
    work: WorkFolder,
    prepared: PreparedDataset,
    selection: DatasetPlan,
    files: Sequence[SourceFile],
    settings: Settings,
    *,
    command: str,
    base_model: str | None,
) -> None:
    """Write all files except the data."""
    options = options_yaml(
        prepared.axis,
        prepared.contents,
        form=prepared.form,
        num_train=len(prepared.parts["train"]),
        with_test_set="test" in prepared.parts,
        validates_on_training_set=prepared.split.validates_on_training_set,
        not_learned=why_not_learned(prepared.parts),
        base_model=base_model,
    )
    with naming(work.final(OPTIONS)):
        work.final(OPTIONS).write_text(options, encoding="utf-8")
    write_structures(work.final(STRUCTURES), files, selection)
    write_sources(work.final(SOURCES), files, selection)
    write_report(work.final(REPORT), files, selection)
    shown = selection.split.train[:: max(1, len(selection.split.train) // _NUM_SHOWN_SPECTRA)][:_NUM_SHOWN_SPECTRA]
    with naming(work.final(FIGURE)):
        plot_summary(
            [_sample(work, selection, index) for index in shown], selection.rows, prepared.axis, work.final(FIGURE)
        )
    folder = work.final("")
    write_manifest(work.final(MANIFEST), selection, files, settings, command=command, folder=folder)


def _sample(work: WorkFolder, selection: DatasetPlan, index: int) -> Sample:
    chunk, row = selection.chunks[index]
    path = work.chunk(chunk)
    samples = list(read_samples(path, read_table(path).rows))
    return samples[row]


def _source_files(sources: Sequence[Source], found: Found) -> list[SourceFile]:
    return [
        SourceFile(
            name=source.name,
            sha256=found.hashes[index] if index in found.hashes else sha256_of(Path(source.path)),
            num_frames=found.num_frames[index],
        )
        for index, source in enumerate(sources)
    ]


def _rejected(dropped: Sequence[Dropped], files: Sequence[SourceFile]) -> list[Rejected]:
    return [Rejected(files[frame.source].frame_name(frame.frame), frame.reason) for frame in dropped]
