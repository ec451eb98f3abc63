"""The ``electrain`` command and its subcommands."""

from typing import Annotated

import typer

from electrain import __version__

from .convert import convert
from .demo import demo
from .dos import dos
from .evaluate import evaluate
from .hot import hot
from .prepare import prepare
from .thermo import thermo

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"electrain {__version__}")
        raise typer.Exit()


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Electronic structure of molecules and materials with machine learning."""


app.command()(prepare)
app.command()(dos)
app.command()(evaluate)
app.command()(thermo)
app.command()(hot)
app.command()(demo)
app.command()(convert)
