"""What ``electrain prepare`` shows of data sets of spectra and of bands."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from .common import show_rejected

# Head of a column of the table, with its width, and its number for the structures of a part
Columns = Mapping[str, Callable[[Sequence[Any]], int]]


def show_parts(prepared: Any, more: Columns | None = None) -> None:
    """Print how many structures, atoms and elements each part has.

    :param prepared: the data set.
    :param more: further columns.
    """
    from electrain.data.writing import part_name  # imports torch, which takes seconds

    columns: Columns = {
        f"{'structures':>12}": len,
        f"{'atoms':>10}": lambda items: sum(len(one.atoms) for one in items),
        f"{'elements':>10}": lambda items: len({symbol for one in items for symbol in set(one.atoms.symbols)}),
        **(more or {}),
    }

    def row(items: Sequence[Any]) -> str:
        return "".join(f"{count(items):>{len(head)}}" for head, count in columns.items())

    typer.echo(f"{'':12}{''.join(columns)}  file")
    for name, items in prepared.parts.items():
        typer.echo(f"{name:12}{row(items)}  {part_name(name, prepared.form)}")
    typer.echo(f"{'total':12}{row([one for items in prepared.parts.values() for one in items])}\n")


def show_rest(prepared: Any) -> None:
    """Print what was not used and what was left out, and how to go on."""
    if prepared.num_unused:
        typer.echo(f"not used        {prepared.num_unused} structures that are in none of the index files")
    if prepared.split.validates_on_training_set:
        typer.echo("warning: no structure was held out; the training set is also the validation set")
    show_rejected(prepared.rejected, where=f" ({prepared.folder / 'report.csv'} lists all of them)")
    typer.echo(f"\nOverview:       {prepared.folder / 'summary.png'}")
    typer.echo(f"Train a model:  cd {prepared.folder} && mtt train options.yaml")
