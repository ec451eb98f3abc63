"""``electrain prepare --spectra``: data sets of spectra on a fixed axis."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .common import preparing, show_rejected

if TYPE_CHECKING:
    from electrain.data.fixed import FixedSpectrum, PreparedSpectra


def prepare_and_show(sources: Sequence[Path], output: Path, **settings: Any) -> None:
    """Make the data set, and show what is in it.

    :param sources: tables, files or folders.
    :param output: folder to write to.
    :param settings: see :func:`electrain.data.fixed.prepare_spectra`.
    """
    from electrain.data.fixed import prepare_spectra  # imports torch, which takes seconds

    with preparing():
        prepared = prepare_spectra(sources, output, **settings)
    _show_summary(prepared)
    show_rejected(prepared.rejected, where=f" ({prepared.folder / 'report.csv'} lists all of them)")
    typer.echo(f"\nOverview:       {prepared.folder / 'summary.png'}")
    typer.echo(f"Train a model:  cd {prepared.folder} && mtt train options.yaml")


def _show_summary(prepared: "PreparedSpectra") -> None:
    from electrain.data.writing import part_name
    from electrain.interface.quantities import quantity_of

    typer.echo(f"{'':12}{'structures':>12}{'atoms':>10}{'elements':>10}  file")
    everything = [spectrum for spectra in prepared.parts.values() for spectrum in spectra]
    for name, spectra in prepared.parts.items():
        typer.echo(f"{name:12}{_numbers(spectra)}  {part_name(name, prepared.form)}")
    typer.echo(f"{'total':12}{_numbers(everything)}")
    quantity = quantity_of(prepared.target)
    unit = "largest value 1" if quantity.intensive else f"{prepared.axis.density_unit} in the whole structure"
    typer.echo(f"\ntarget          {prepared.target}, {quantity.label}, {unit}")
    where = "" if quantity.fixed_axis == "frequency" else ", relative to the Fermi level"
    typer.echo(f"axis            {prepared.axis}{where}")
    if prepared.num_unused:
        typer.echo(f"not used        {prepared.num_unused} structures that are in none of the index files")
    if prepared.split.validates_on_training_set:
        typer.echo("warning: no structure was held out; the training set is also the validation set")


def _numbers(spectra: "Sequence[FixedSpectrum]") -> str:
    atoms = sum(len(spectrum.atoms) for spectrum in spectra)
    elements = len({symbol for spectrum in spectra for symbol in spectrum.atoms.get_chemical_symbols()})
    return f"{len(spectra):>12}{atoms:>10}{elements:>10}"
