"""Data sets of spectra on a fixed axis on disk: everything is read, checked, split and written at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electrain.jobs.folder import open_job
from electrain.spectra.fixed_axis import FixedAxis
from electrain.structures.crystal_systems import crystal_system

from ..calculation import CalculationError, Rejected
from ..kind_splits import CRYSTAL_SYSTEM, KindSplit, checked_split, split_by_kind
from ..prepare import NothingUsableError
from ..sources import Source, find_sources
from ..splits import PARTS, Split, given_split, identity_of, split_identities
from ..work_folder import FIGURE, MANIFEST, NAME, OPTIONS, REPORT, SOURCES, STRUCTURES, WorkFolder
from ..writing import format_for, part_name
from .documents import write_documents
from .figure import plot_spectra_summary
from .index_files import split_of_files
from .readers import is_spectrum, read_spectra
from .settings import PreparedSpectra, SpectraSettings
from .spectrum import FixedSpectrum, normalized
from .tables import Columns
from .writing import write_part


def prepare_spectra(
    sources: Sequence[str | Path],
    folder: str | Path,
    *,
    kind: str,
    unit: str | None = None,
    source_unit: str | None = None,
    columns: Sequence[str] | None = None,
    normalize: str | None = None,
    grid: tuple[float, float] | None = None,
    step: float | None = None,
    split: tuple[float, float, float] | Sequence[str | Path] | str | None = (8, 1, 1),
    seed: int = 0,
    form: str | None = None,
    overwrite: bool = False,
) -> PreparedSpectra:
    """Make a data set for ``mtt train`` from spectra on a fixed axis.

    :param sources: tables (CSV or JSON) of structures and spectra, phonopy's ``total_dos.dat`` or pymatgen's phonon
        densities of states in JSON, each with its structure, or folders that are searched for the latter two.
    :param folder: folder to write to; new or empty unless ``overwrite``.
    :param kind: ``"phonon"``, or ``"electronic"`` for energies relative to the Fermi level.
    :param unit: unit of the axis of the data set: eV, meV, THz or cm^-1; default: that of the sources.
    :param source_unit: unit of the axis in the sources; default: THz of phonopy and pymatgen. Tables need it.
    :param columns: columns of structure, axis and spectrum in tables; default: known names.
    :param normalize: ``None`` for states per unit in the whole structure, as in the sources; see
        :func:`~electrain.data.fixed.spectrum.normalized` for the others.
    :param grid: first and last channel in ``unit``; default: the axis that all spectra have.
    :param step: distance of the channels in ``unit``.
    :param split: shares of training, validation and test set; three index files, each with a number of a row (from 0)
        in each line; ``"species"`` or ``"crystal-system"`` to test on other kinds of crystals than those of the
        training set, see :func:`~electrain.data.kind_splits.read_kind_split`; or ``None`` if the table's column
        ``split`` names the part of every structure.
    :param seed: random seed of the split.
    :param form: ``"xyz"``, ``"zip"`` or ``"memmap"``; by default chosen by the number of structures.
    :param overwrite: replace a data set in the folder.
    :raises NothingUsableError: if no spectrum passed the checks.
    :raises FileExistsError: if the folder is not empty.
    :raises ValueError: for invalid settings, sources that are no spectra, and spectra on different axes without
        ``grid`` and ``step``.
    :raises OSError: if a file cannot be read or written.
    """
    settings = SpectraSettings(
        kind,
        unit,
        source_unit,
        None if columns is None else Columns(*columns),
        normalize,
        grid,
        step,
        _split_setting(split),
        seed,
        form,
    )
    paths, folder = [Path(source) for source in sources], Path(folder)
    found = find_sources(paths, folder, accepts=is_spectrum, what="total_dos.dat or phonon densities of states in JSON")
    with open_job(folder / NAME) as job:
        work = WorkFolder(job, settings, found, overwrite=overwrite)
        try:
            prepared, values = _plan(folder, found, settings)
            work.final("").mkdir(exist_ok=True)
            for part, spectra in prepared.parts.items():
                target = work.final(part_name(part, prepared.form))
                write_part(target, prepared.form, prepared.target, prepared.axis, spectra, values[part])
            write_documents(work.final(""), prepared, found, settings, paths)
            everything = [value for of_part in values.values() for value in of_part]
            spectra = [spectrum for of_part in prepared.parts.values() for spectrum in of_part]
            plot_spectra_summary(prepared.target, prepared.axis, spectra, everything, work.final(FIGURE))
        except ValueError:
            work.discard()
            raise
        data = [part_name(part, prepared.form) for part in prepared.parts]
        work.publish([*data, OPTIONS, STRUCTURES, SOURCES, REPORT, FIGURE, MANIFEST])
    return prepared


def _split_setting(split: Any) -> Any:
    if split is None or isinstance(split, str):
        return checked_split(split)
    return tuple(str(part) if isinstance(part, Path) else part for part in split)


def _plan(
    folder: Path, sources: Sequence[Source], settings: SpectraSettings
) -> tuple[PreparedSpectra, dict[str, list[NDArray[np.float64]]]]:
    """Read everything; put it on one axis and into the parts."""
    spectra, rejected, num_rows = _read(sources, settings)
    axis = settings.axis() or _common_axis(spectra)
    usable, values = [], []
    for spectrum in spectra:
        try:
            placed = spectrum.on(axis, phonons=settings.kind == "phonon")
            values.append(placed if settings.normalize is None else normalized(placed, settings.normalize))
            usable.append(spectrum)
        except ValueError as error:
            rejected.append(Rejected(spectrum.source, str(error)))
    if not usable:
        raise NothingUsableError(rejected)
    if settings.kinds is not None:
        usable, values = _placed(usable, values, settings.kinds, settings.seed, rejected)
    split = _split(usable, num_rows, settings)
    indices = {"train": split.train, "validation": split.validation, "test": split.test}
    if split.validates_on_training_set:
        del indices["validation"]
    parts = {part: [usable[i] for i in of_part] for part, of_part in indices.items() if of_part}
    num_unused = len(usable) - sum(map(len, parts.values()))
    form = settings.form or format_for(len(usable) - num_unused)
    prepared = PreparedSpectra(folder, form, settings.target, axis, parts, split, rejected, num_unused)
    return prepared, {part: [values[i] for i in indices[part]] for part in parts}


def _read(sources: Sequence[Source], settings: SpectraSettings) -> tuple[list[FixedSpectrum], list[Rejected], int]:
    """Return all usable spectra in the unit of the data set, what was left out, and the number of rows."""
    spectra: list[FixedSpectrum] = []
    rejected: list[Rejected] = []
    num_rows = 0
    for source in sources:
        found = read_spectra(
            Path(source.path), source.name, num_rows, unit=settings.source_unit, columns=settings.columns
        )
        for spectrum in found:
            num_rows += 1
            if isinstance(spectrum, Rejected):
                rejected.append(spectrum)
                continue
            phonons = settings.kind == "phonon"
            try:
                spectrum = spectrum.check(phonons=phonons, are_states=phonons and settings.normalize is None)
                spectra.append(spectrum if settings.unit is None else spectrum.in_unit(settings.unit))
            except (ValueError, CalculationError) as error:
                rejected.append(Rejected(spectrum.source, str(error)))
    if not spectra:
        raise NothingUsableError(rejected)
    return spectra, rejected, num_rows


def _common_axis(spectra: Sequence[FixedSpectrum]) -> FixedAxis:
    first = spectra[0]
    for other in spectra:
        if not first.axis.is_close(other.axis):
            raise ValueError(
                f"expected spectra on the same axis, or --grid, --step and --unit of one to move them to, got\n\n"
                f"  {first.source}: {first.axis}\n  {other.source}: {other.axis}"
            )
    return first.axis


def _placed(
    spectra: Sequence[FixedSpectrum],
    values: Sequence[NDArray[np.float64]],
    kinds: KindSplit,
    seed: int,
    rejected: list[Rejected],
) -> tuple[list[FixedSpectrum], list[NDArray[np.float64]]]:
    """Write the parts of a split out of distribution into the structures, and leave some out.

    The kinds of those without a subset become their subsets, for errors of each kind.
    """
    systems = [crystal_system(one.atoms) if kinds.by == CRYSTAL_SYSTEM else None for one in spectra]
    identities = [identity_of(one.atoms) for one in spectra]
    placed = split_by_kind(identities, systems, kinds, seed=seed)
    for spectrum, identity, system, one in zip(spectra, identities, systems, placed, strict=True):
        if one.part is None:
            rejected.append(Rejected(spectrum.source, one.reason))
        else:
            number = len(identity.elements)
            spectrum.atoms.info["split"] = one.part
            spectrum.atoms.info.setdefault("subset", system or f"{number} element{'s' * (number != 1)}")
    kept = [index for index, one in enumerate(placed) if one.part is not None]
    return [spectra[index] for index in kept], [values[index] for index in kept]


def _split(spectra: Sequence[FixedSpectrum], num_rows: int, settings: SpectraSettings) -> Split:
    identities = [identity_of(spectrum.atoms) for spectrum in spectra]
    if settings.kinds is not None:
        return given_split(identities, "parent or formula")
    if settings.split is None:
        unknown = [s for s, identity in zip(spectra, identities, strict=True) if identity.part not in PARTS]
        if unknown:
            raise ValueError(
                f"expected {', '.join(PARTS[:-1])} or {PARTS[-1]} in the column 'split' of every row, got something "
                f"else in {len(unknown)} rows, the first {unknown[0].source}"
            )
        return given_split(identities)
    if settings.index_files:
        files = [Path(name) for name in settings.index_files]
        return split_of_files(files, [spectrum.row for spectrum in spectra], num_rows)
    assert settings.shares is not None  # the only other kind of split
    return split_identities(identities, shares=settings.shares, seed=settings.seed)
