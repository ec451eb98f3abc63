"""``electrain prepare --spectra``: data sets of spectra on a fixed axis."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from .common import preparing
from .prepared import show_parts, show_rest


def prepare_and_show(sources: Sequence[Path], output: Path, **settings: Any) -> None:
    """Make the data set, and show what is in it.

    :param sources: tables, files or folders.
    :param output: folder to write to.
    :param settings: see :func:`electrain.data.fixed.prepare_spectra`.
    """
    from electrain.data.fixed import prepare_spectra  # imports torch, which takes seconds
    from electrain.interface.quantities import quantity_of

    with preparing():
        prepared = prepare_spectra(sources, output, **settings)
    show_parts(prepared)
    quantity = quantity_of(prepared.target)
    unit = "largest value 1" if quantity.intensive else f"{prepared.axis.density_unit} in the whole structure"
    typer.echo(f"target          {prepared.target}, {quantity.label}, {unit}")
    where = "" if quantity.fixed_axis == "frequency" else ", relative to the Fermi level"
    typer.echo(f"axis            {prepared.axis}{where}")
    show_rest(prepared)
