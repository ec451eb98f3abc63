"""Data sets of spectra on a fixed axis on disk: everything is read, checked, split and written at once."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from electrain.spectra.fixed_axis import FixedAxis

from ..at_once.publishing import publish
from ..at_once.splitting import read_split, split_into_parts
from ..calculation import CalculationError, Rejected
from ..prepare import NothingUsableError
from ..sources import Source, find_sources
from ..work_folder import FIGURE
from ..writing import format_for, part_name
from .documents import write_documents
from .figure import plot_spectra_summary
from .readers import is_spectrum, read_spectra
from .settings import PreparedSpectra, SpectraSettings
from .spectrum import FixedSpectrum, normalized
from .tables import Columns
from .writing import write_spectra


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
        read_split(split),
        seed,
        form,
    )
    paths, folder = [Path(source) for source in sources], Path(folder)
    found = find_sources(paths, folder, accepts=is_spectrum, what="total_dos.dat or phonon densities of states in JSON")

    def make(file: Callable[[str], Path]) -> PreparedSpectra:
        prepared, values = _plan(folder, found, settings)
        for part, spectra in prepared.parts.items():
            target = file(part_name(part, prepared.form))
            write_spectra(target, prepared.form, prepared.target, prepared.axis, spectra, values[part])
        write_documents(file(""), prepared, found, settings, paths)
        everything = [value for of_part in values.values() for value in of_part]
        spectra = [spectrum for of_part in prepared.parts.values() for spectrum in of_part]
        plot_spectra_summary(prepared.target, prepared.axis, spectra, everything, file(FIGURE))
        return prepared

    return publish(folder, settings, found, make, overwrite=overwrite)


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
    values_of = {spectrum.row: value for spectrum, value in zip(usable, values, strict=True)}
    parts, split, num_unused = split_into_parts(usable, num_rows, settings, rejected)
    form = settings.form or format_for(sum(map(len, parts.values())))
    prepared = PreparedSpectra(folder, form, settings.target, axis, parts, split, rejected, num_unused)
    return prepared, {part: [values_of[one.row] for one in spectra] for part, spectra in parts.items()}


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
